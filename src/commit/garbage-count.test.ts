import { expect, test } from 'vitest';
import type { ChunkId, Epoch } from '../base/ids.ts';
import type { DeadChunk } from '../meta/mod.ts';
import { GarbageCount } from './garbage-count.ts';

const CHUNKS = 5000;

function chunkAt(at: number): DeadChunk {
  const id = Buffer.alloc(32) as ChunkId;
  id.writeUInt32BE(at);
  const row = { scheme: 'ec:2+1', refs: 0, born: 1 as Epoch, died: (at % 7) as Epoch };
  return { id, lengthBytes: at, ...row };
}

test('figures() has every dead chunk once, however many pages they are', async () => {
  const all = Array.from({ length: CHUNKS }, (_, at) => chunkAt(at));
  let pages = 0;
  const count = new GarbageCount({
    dead: (limit, after) => {
      pages++;
      const from = after === undefined ? 0 : after.id.readUInt32BE() + 1;
      return all.slice(from, from + limit);
    },
    protects: ({ died }) => died >= 3,
  });
  const wanted = { retainedChunks: 0, retainedBytes: 0, garbageChunks: 0, garbageBytes: 0 };
  for (const { died, lengthBytes } of all) {
    const kind = died >= 3 ? 'retained' : 'garbage';
    wanted[`${kind}Chunks`]++;
    wanted[`${kind}Bytes`] += lengthBytes;
  }
  expect(await Promise.all([count.figures(), count.figures()])).toEqual([wanted, wanted]);
  expect(pages).toBe(5);
});
