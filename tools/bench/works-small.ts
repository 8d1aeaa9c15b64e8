/**
 * Many small files in one folder: created, looked at, listed, renamed, deleted.
 *
 * Napkin. Creating one is six requests of about 10 us (GETATTR of the folder, which the kernel asks
 * for after each of its changes, LOOKUP, CREATE, GETXATTR of security.capability at the first
 * write, WRITE, and RELEASE, which alone does not hold up the program), two transactions of the
 * metadata (the operation and the mark that the file is dirty) and a file in the cache, which costs
 * what it costs natively. The first stat after a write is one request; later ones and a listing are
 * the kernel's, as natively. A rename is three requests (GETATTR, LOOKUP of the new name, RENAME)
 * and a transaction; a deletion is three (GETATTR, UNLINK, FORGET), a transaction, a share of
 * another one and the removal of the cached file.
 */
import { type Bench, BOTH, type Measure, rateOf, type Work } from './work.ts';

const MEASURES: readonly Measure[] = [
  {
    name: 'create',
    title: 'small file: create, write 4 KiB, close',
    unit: '/s',
    napkin: (limits, native) =>
      1 / (6 * limits.upcallSeconds + 2 * limits.transactionSeconds + 1 / native),
  },
  {
    name: 'stat-first',
    title: 'small file: stat after the write',
    unit: '/s',
    napkin: (limits, native) => 1 / (limits.upcallSeconds + 1 / native),
  },
  {
    name: 'stat',
    title: 'small file: stat again',
    unit: '/s',
    napkin: (_limits, native) => native,
  },
  {
    name: 'list',
    title: 'small files: list the folder and stat each',
    unit: '/s',
    napkin: (_limits, native) => native,
  },
  {
    name: 'list-again',
    title: 'small files: the same again (ls -l)',
    unit: '/s',
    napkin: (_limits, native) => native,
  },
  {
    name: 'rename',
    title: 'small file: rename',
    unit: '/s',
    napkin: (limits) => 1 / (3 * limits.upcallSeconds + limits.transactionSeconds),
  },
  {
    name: 'delete',
    title: 'small file: delete',
    unit: '/s',
    napkin: (limits, native) =>
      1 / (3 * limits.upcallSeconds + 1.5 * limits.transactionSeconds + 1 / native),
  },
];

const smallFiles: Work = {
  name: 'small',
  sides: BOTH,
  measures: MEASURES,
  async run(bench: Bench, { folder }) {
    const counts = await bench.load('small', folder, String(bench.sizes.smallCount), bench.seed());
    return Object.fromEntries(MEASURES.map(({ name }) => [name, rateOf(counts, name)]));
  },
};

const lookup: Work = {
  name: 'lookup',
  sides: BOTH,
  measures: [
    {
      name: 'lookup',
      title: 'stat of a name that does not exist',
      unit: '/s',
      napkin: (limits) => 1 / limits.upcallSeconds,
    },
  ],
  async run(bench, { folder }) {
    const counts = await bench.load('lookup', folder, String(bench.sizes.randomCount));
    return { lookup: rateOf(counts, 'lookup') };
  },
};

/** Works on names. */
export const SMALL_WORKS: readonly Work[] = [lookup, smallFiles];
