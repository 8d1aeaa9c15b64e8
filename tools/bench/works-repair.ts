/**
 * Background work: pieces move to a disk that was added, and are built anew when it is lost.
 *
 * Napkin. Every byte is read and hashed on the thread of one disk, passed to that of another, hashed and
 * written there, synced once for some 16 MiB, and read back and hashed: three hashes at some GB/s, four copies
 * in memory, and reading and writing that the device does for the native copy as well. With two
 * processors and batches that overlap the device is the limit: what a synced copy of a file gets.
 */
import { join } from 'node:path';
import type { WorkFacts } from '../../src/node/mod.ts';
import { type Bench, BOTH, type Work } from './work.ts';

const HASHES = 3;

/** Bytes a second that background work wrote of a kind, while `change` was made and taken up. */
async function rateDuring(
  { volume }: Bench,
  kind: 'rebuild' | 'rebalance',
  change: () => Promise<void>,
): Promise<number> {
  const before = await volume.work();
  const start = performance.now();
  await change();
  const after = await volume.workDone();
  const seconds = (performance.now() - start) / 1000;
  const bytes = ({ totals }: WorkFacts): number => totals.bytes[kind];
  return (bytes(after) - bytes(before)) / seconds;
}

const repair: Work = {
  name: 'repair',
  sides: BOTH,
  measures: [
    {
      name: 'rebalance',
      title: 'pieces move to an added disk (native: synced copy of a file)',
      unit: 'bytes/s',
      napkin: (limits, native) => Math.min(native, limits.hashBytesPerSecond / HASHES),
    },
    {
      name: 'rebuild',
      title: 'pieces of a lost disk are built anew (native: synced copy of a file)',
      unit: 'bytes/s',
      napkin: (limits, native) => Math.min(native, limits.hashBytesPerSecond / HASHES),
    },
  ],
  async prepare(bench, { folder }) {
    const size = String(bench.sizes.streamBytes);
    await bench.load('write', join(folder, 'content'), size, bench.seed(), '0');
    await bench.volume.commit();
    await bench.volume.workDone();
  },
  async run(bench, { side, folder }) {
    const { volume, sizes } = bench;
    if (side === 'native') {
      const files = [`if=${join(folder, 'content')}`, `of=${join(folder, 'copy')}`];
      const seconds = await bench.time('dd', ...files, 'bs=4M', 'conv=fsync', 'status=none');
      const rate = sizes.streamBytes / seconds;
      return { rebalance: rate, rebuild: rate };
    }
    const disk = volume.newDisk();
    const rebalance = await rateDuring(bench, 'rebalance', () => volume.addDisk(disk));
    await bench.time('sync', '-f', volume.native);
    const rebuild = await rateDuring(bench, 'rebuild', () => volume.loseDisk(disk));
    return { rebalance, rebuild };
  },
};

/** Works of background work. */
export const REPAIR_WORKS: readonly Work[] = [repair];
