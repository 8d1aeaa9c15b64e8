/**
 * A real tree: the installed packages of this repository, extracted from a tar file, walked,
 * deleted.
 *
 * Napkin. A file that tar extracts is nine requests (GETATTR of the folder, LOOKUP, CREATE,
 * GETXATTR, WRITE, one to three SETATTR for owner, mode and times, RELEASE) and four transactions
 * of the metadata, besides what tar and the device need natively. A walk of what the kernel has
 * seen costs as natively, but the first listing of each folder. rm -r unlinks: as in
 * works-small.ts.
 */
import { BOTH, rateOf, type Work } from './work.ts';

const tree: Work = {
  name: 'tree',
  sides: BOTH,
  measures: [
    {
      name: 'untar',
      title: 'tar extract of a tree, entries',
      unit: '/s',
      napkin: (limits, native) =>
        1 / (9 * limits.upcallSeconds + 4 * limits.transactionSeconds + 1 / native),
    },
    {
      name: 'walk',
      title: 'find and stat over it, entries',
      unit: '/s',
      napkin: (_limits, native) => native,
    },
    {
      name: 'remove',
      title: 'rm -rf of it, entries',
      unit: '/s',
      napkin: (limits, native) =>
        1 / (3 * limits.upcallSeconds + 1.5 * limits.transactionSeconds + 1 / native),
    },
  ],
  async run(bench, { folder }) {
    const { archive, entries } = bench.tree;
    const seconds = await bench.time('tar', '-xf', archive, '-C', folder);
    const walk = rateOf(await bench.load('walk', folder), 'walk');
    const removal = await bench.time('rm', '-rf', `${folder}/tree`);
    return { untar: entries / seconds, walk, remove: entries / removal };
  },
};

/** Works on a tree of files. */
export const TREE_WORKS: readonly Work[] = [tree];
