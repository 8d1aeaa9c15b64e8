import { describe, expect, test } from 'vitest';
import type { ChunkId, Epoch } from '../base/ids.ts';
import type { ChunkRow, MetaOp } from '../meta/mod.ts';
import { Maintenance } from './maintenance.ts';

const chunkOf = (number: number): ChunkId => Buffer.alloc(32, number) as ChunkId;

/** Chunks that are known, by the first byte of their ids, and those that are protected. */
class Scene {
  readonly rows = new Map<number, Partial<ChunkRow>>();
  readonly protected = new Set<number>();
  wanted = 0;
  readonly maintenance: Maintenance = new Maintenance({
    wantEpoch: () => {
      this.wanted++;
    },
    lookUp: (id) => this.rows.get(id[0] ?? 0) as ChunkRow | undefined,
    protects: ({ died }) => this.protected.has(died),
  });

  take(requestsMax?: number, stored: number[] = []): [MetaOp['kind'], number][] {
    const isStored = (id: ChunkId): boolean => stored.includes(id[0] ?? 0);
    return this.maintenance
      .take(isStored, requestsMax)
      .map((op) => [op.kind, 'chunk' in op ? (op.chunk[0] ?? 0) : 0]);
  }
}

describe('take()', () => {
  test('decides by what is known then, not when somebody asked', () => {
    const scene = new Scene();
    for (const number of [1, 2, 3, 4])
      scene.rows.set(number, { born: 1 as Epoch, died: 5 as Epoch });
    void scene.maintenance.request({ forget: [1, 2, 3, 4].map(chunkOf), stored: [] });
    expect(scene.wanted).toBe(1);
    // Named again; named again and dead in a later epoch; forgotten by somebody else.
    scene.rows.set(1, { born: 1 as Epoch, died: null });
    scene.rows.set(2, { born: 1 as Epoch, died: 9 as Epoch });
    scene.protected.add(9);
    scene.rows.delete(3);
    expect(scene.take()).toEqual([['forget', 4]]);
  });

  test('does not forget what the epoch itself stored, nor note what is not known', () => {
    const scene = new Scene();
    scene.rows.set(1, { born: 1 as Epoch, died: 5 as Epoch });
    const stored = [1, 2].map((number) => ({
      id: chunkOf(number),
      lengthBytes: 7,
      scheme: 'ec:2+1',
    }));
    void scene.maintenance.request({ forget: [chunkOf(1)], stored });
    expect(scene.take(1, [1])).toEqual([['chunk', 1]]);
  });

  test('leaves what is too much for the next epoch, which is asked for', async () => {
    const scene = new Scene();
    for (const number of [1, 2]) scene.rows.set(number, { born: 1 as Epoch, died: 5 as Epoch });
    const asked = [1, 2].map((number) =>
      scene.maintenance.request({ forget: [chunkOf(number)], stored: [] }),
    );
    expect(scene.take(1)).toEqual([['forget', 1]]);
    expect(scene.wanted).toBe(2);
    scene.maintenance.published(8 as Epoch);
    expect(scene.wanted).toBe(3);
    expect(scene.take(1)).toEqual([['forget', 2]]);
    scene.maintenance.published(9 as Epoch);
    expect(await Promise.all(asked)).toEqual([8, 9]);
    expect(scene.wanted).toBe(3);
  });
});
