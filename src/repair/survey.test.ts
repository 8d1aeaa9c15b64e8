import { expect, test } from 'vitest';
import type { ChunkId, DiskId, Epoch } from '../base/ids.ts';
import type { DiskEntry, DiskMap } from '../diskmap/mod.ts';
import type { ChunkRow } from '../meta/mod.ts';
import type { ChunkStore } from '../store/mod.ts';
import { survey } from './survey.ts';
import { WorkView, type WorkVolume } from './work-volume.ts';

const disk: DiskEntry = {
  id: 1 as DiskId,
  uuid: '00000000-0000-4000-8000-000000000001',
  room: 1,
  row: 1,
  rack: 1,
  machine: 1,
  disk: 1,
  weight: 8,
  state: 'in',
  label: '',
};

/** Many chunks that are known, and a disk that has none of them. */
function volumeOf(count: number): WorkVolume {
  const rows = Array.from({ length: count }, (_, at): ChunkRow => {
    const id = Buffer.alloc(32) as ChunkId;
    id.writeUInt32BE(at);
    return { id, lengthBytes: 1, scheme: 'replica:1', refs: 1, born: 1 as Epoch, died: null };
  });
  const volumeUuid = '00000000-0000-4000-8000-00000000abcd';
  const sizes = { version: 1, bucketBytes: 2 ** 30 };
  const map: DiskMap = { ...sizes, volumeUuid, scheme: 'replica:1', disks: [disk] };
  const chunks = { diskIds: [disk.id], statusOf: () => 'up', ask: () => Promise.resolve([]) };
  const committed = {
    allChunksAfter: (after: Buffer, limit: number) =>
      rows.filter(({ id }) => id.compare(after) > 0).slice(0, limit),
  };
  return { map, chunks: chunks as unknown as ChunkStore, committed, head: { epoch: 1 } } as never;
}

test('survey() rests between pages, and ends there when it is over', async () => {
  let [rests, over] = [0, Number.POSITIVE_INFINITY];
  const options = {
    onPage: () => undefined,
    throttle: {
      worked: () => undefined,
      rest: () => {
        rests++;
        return Promise.resolve();
      },
    },
    isOver: () => rests >= over,
  };
  const found = await survey(new WorkView(volumeOf(3000)), options);
  expect(found).toMatchObject({ chunks: 3000, lost: 3000, degraded: 0 });
  expect(rests).toBeGreaterThanOrEqual(5);
  [rests, over] = [0, 2];
  expect(await survey(new WorkView(volumeOf(3000)), options)).toBeUndefined();
  expect(rests).toBe(2);
});
