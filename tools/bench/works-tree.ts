/**
 * A real tree: the installed packages of this repository, extracted from a tar file, walked,
 * deleted.
 *
 * Napkin. A file that tar extracts is nine requests (GETATTR of the folder, LOOKUP, CREATE,
 * GETXATTR, WRITE, one to three SETATTR for owner, mode and times, RELEASE) and four transactions
 * of the metadata, besides what tar and the device need natively. A walk of what the kernel has
 * seen costs as natively, but the first listing of each folder. grep opens each file, which is a
 * request; git status looks at names only. rm -r unlinks: as in works-small.ts.
 */
import { BOTH, rateOf, type Work } from './work.ts';

/** Whoever runs the bench may own none of the folders, and have no name. */
const GIT = ['-c', 'safe.directory=*', '-c', 'user.name=bench', '-c', 'user.email=bench@localhost'];
/** The kernel asks for every open of a file. */
const OPENS_A_FILE = 1;

/** What the second of two runs gives. */
async function second(run: () => Promise<number>): Promise<number> {
  await run();
  return run();
}

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
      name: 'walk-again',
      title: 'find and stat over it again',
      unit: '/s',
      napkin: (_limits, native) => native,
    },
    {
      name: 'grep',
      title: 'grep -r over it, the second time',
      unit: '/s',
      napkin: (limits, native) => 1 / (OPENS_A_FILE * limits.upcallSeconds + 1 / native),
    },
    {
      name: 'git-status',
      title: 'git status of it, the second time',
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
    const root = `${folder}/tree`;
    const walk = rateOf(await bench.load('walk', folder), 'walk');
    const again = rateOf(await bench.load('walk', folder), 'walk');
    const grep = await second(() => bench.time('grep', '-rc', '--max-count=1', 'e', root));
    await bench.time('git', ...GIT, '-C', root, 'init', '-q');
    await bench.time('git', ...GIT, '-C', root, 'add', '-A');
    const status = await second(() => bench.time('git', ...GIT, '-C', root, 'status', '--short'));
    await bench.time('rm', '-rf', `${root}/.git`);
    const removal = await bench.time('rm', '-rf', root);
    return {
      untar: entries / seconds,
      walk,
      'walk-again': again,
      grep: entries / grep,
      'git-status': entries / status,
      remove: entries / removal,
    };
  },
};

/** Works on a tree of files. */
export const TREE_WORKS: readonly Work[] = [tree];
