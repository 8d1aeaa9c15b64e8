/**
 * Single pages of a large file.
 *
 * Napkin. What the kernel has costs as much as natively. Else a page is one request, about 10 us,
 * and the pread or pwrite of the cache file, 1 to 2 us. With fdatasync after each write it is two
 * requests and the device's own sync, which is most of it where the device is honest.
 */
import { type Bench, BOTH, rateOf, type Work } from './work.ts';

async function writePages(bench: Bench, folder: string): Promise<void> {
  const size = String(bench.sizes.randomBytes);
  await bench.load('write', `${folder}/pages`, size, bench.seed(), '1');
}

const randomRead: Work = {
  name: 'random-read',
  sides: BOTH,
  measures: [
    {
      name: 'random-read',
      title: '4 KiB random read, pages in the kernel',
      unit: '/s',
      napkin: (_limits, native) => native,
    },
    {
      name: 'random-read-upcall',
      title: '4 KiB random read, only the daemon has it',
      unit: '/s',
      napkin: (limits, native) => 1 / (limits.upcallSeconds + 1 / native),
    },
  ],
  async prepare(bench, { folder }) {
    await writePages(bench, folder);
    await bench.load('read', `${folder}/pages`);
  },
  async run(bench, { side, folder }) {
    const args = [`${folder}/pages`, String(bench.sizes.randomCount)];
    const warm = rateOf(await bench.load('random-read', ...args, bench.seed()), 'random-read');
    if (side === 'dfs') await bench.load('drop', `${folder}/pages`);
    const upcall = rateOf(await bench.load('random-read', ...args, bench.seed()), 'random-read');
    return { 'random-read': warm, 'random-read-upcall': upcall };
  },
};

const randomWrite: Work = {
  name: 'random-write',
  sides: BOTH,
  measures: [
    {
      name: 'random-write',
      title: '4 KiB random write',
      unit: '/s',
      napkin: (limits) => 1 / (limits.upcallSeconds + limits.pageWriteSeconds),
    },
  ],
  prepare: async (bench, { folder }) => await writePages(bench, folder),
  async run(bench, { folder }) {
    const args = [`${folder}/pages`, String(bench.sizes.randomCount), bench.seed(), '0'];
    return { 'random-write': rateOf(await bench.load('random-write', ...args), 'random-write') };
  },
};

const syncedWrite: Work = {
  name: 'random-write-sync',
  sides: BOTH,
  measures: [
    {
      name: 'random-write-sync',
      title: '4 KiB random write and fdatasync',
      unit: '/s',
      napkin: (limits, native) => 1 / (2 * limits.upcallSeconds + 1 / native),
    },
  ],
  prepare: async (bench, { folder }) => await writePages(bench, folder),
  async run(bench, { folder }) {
    const args = [`${folder}/pages`, String(bench.sizes.syncCount), bench.seed(), '1'];
    const counts = await bench.load('random-write', ...args);
    return { 'random-write-sync': rateOf(counts, 'random-write') };
  },
};

/** Random reads and writes of pages. */
export const RANDOM_WORKS: readonly Work[] = [randomRead, randomWrite, syncedWrite];
