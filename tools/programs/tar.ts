import { join } from 'node:path';
import { formatCount } from '../dfsctl/format.ts';
import type { Program } from './program.ts';
import { compareTrees, listTree, makeTree } from './trees.ts';

const FLAGS = ['--acls', '--xattrs', '--xattrs-include=*', '--sparse', '--numeric-owner'];

/** tar: a tree onto the volume and from it, an archive on it, with all that tar can keep. */
export const TAR: Program = {
  name: 'tar',
  packages: { tar: 'tar', setfacl: 'acl', getfattr: 'attr', python3: 'python3' },
  async run(ground) {
    const native = join(ground.scratch, 'source');
    const back = join(ground.scratch, 'back');
    const copy = join(ground.folder, 'copy');
    const archive = join(ground.folder, 'archive.tar');
    await makeTree(ground, native);
    const made = await listTree(ground, native);
    const pack = async (from: string): Promise<void> => {
      await ground.run('tar', [...FLAGS, '--format=posix', '-cf', archive, '-C', from, '.']);
    };
    const unpack = async (to: string): Promise<void> => {
      await ground.run('mkdir', [to]);
      await ground.run('tar', [...FLAGS, '-xpf', archive, '-C', to]);
    };
    await pack(native);
    await unpack(copy);
    compareTrees(made, await listTree(ground, copy), 'what was unpacked on the volume');
    await ground.run('tar', [...FLAGS, '--compare', '-f', archive, '-C', copy]);
    await ground.run('rm', [archive]);
    await pack(copy);
    await ground.remount({ cold: true });
    await unpack(back);
    compareTrees(made, await listTree(ground, back), 'what was packed on the volume');
    compareTrees(made, await listTree(ground, copy), 'the tree after a mount without cache');
    const entries = formatCount(made.length, 'entry', 'entries');
    return `${entries} there and back with ACLs, xattrs, holes, links, fifo, device, times in ns`;
  },
};
