import { join } from 'node:path';
import { DfsError } from '../../src/base/errors.ts';
import { formatCount } from '../dfsctl/format.ts';
import type { Ground, Program } from './program.ts';
import { compareTrees, listTree, makeTree } from './trees.ts';

const FLAGS = ['-aHAX', '--numeric-ids', '--devices', '--specials'];

async function sync(ground: Ground, args: readonly string[]): Promise<string> {
  return (await ground.run('rsync', [...FLAGS, ...args])).output.trim();
}

async function expectNothing(ground: Ground, from: string, to: string): Promise<void> {
  const said = await sync(ground, ['--checksum', '--itemize-changes', from, to]);
  if (said === '') return;
  throw new DfsError('CORRUPT', `rsync transfers again what is the same: ${said.slice(0, 500)}`);
}

/** rsync onto the volume, from it, over changed files, and with nothing to do. */
export const RSYNC: Program = {
  name: 'rsync',
  packages: { rsync: 'rsync', python3: 'python3' },
  async run(ground) {
    const native = join(ground.scratch, 'source');
    const back = join(ground.scratch, 'back');
    const copy = join(ground.folder, 'copy');
    await makeTree(ground, native);
    const made = await listTree(ground, native);
    await sync(ground, ['--sparse', `${native}/`, copy]);
    compareTrees(made, await listTree(ground, copy), 'the copy on the volume');
    await expectNothing(ground, `${native}/`, copy);
    await sync(ground, ['--sparse', `${copy}/`, back]);
    compareTrees(made, await listTree(ground, back), 'what came back from the volume');

    await ground.script('tree.py', ['change', native, '2']);
    const changed = await listTree(ground, native);
    await sync(ground, ['--inplace', '--checksum', '--delete', `${native}/`, copy]);
    compareTrees(changed, await listTree(ground, copy), 'the updated copy');
    await sync(ground, ['--checksum', '--delete', '--no-whole-file', `${native}/`, back]);
    await ground.remount({ cold: true });
    compareTrees(changed, await listTree(ground, copy), 'the copy after a mount without cache');
    await expectNothing(ground, `${native}/`, copy);
    const entries = formatCount(changed.length, 'entry', 'entries');
    return `${entries} there and back, updated in place, cold after a mount; nothing sent twice`;
  },
};
