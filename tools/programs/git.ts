import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DfsError } from '../../src/base/errors.ts';
import type { Program } from './program.ts';

/** git's everyday life, the same on the volume and beside it. */
export const GIT: Program = {
  name: 'git',
  packages: { git: 'git' },
  async run(ground) {
    const { folder, scratch, repository, quick } = ground;
    const commits = quick ? 9 : 60;
    const project = !quick && existsSync(join(repository, '.git')) ? [repository] : [];
    const day = (at: string): Promise<string> =>
      ground.script('git.sh', [at, String(commits), ...project]);
    const found = await day(folder);
    const wanted = await day(scratch);
    if (found !== wanted) {
      throw new DfsError('CORRUPT', `git came to another end: ${found}instead of ${wanted}`);
    }
    await ground.remount({ cold: true });
    const args = ['-c', 'safe.directory=*', '-C', join(folder, 'work'), 'fsck', '--strict'];
    await ground.run('git', args);
    const own = project.length === 0 ? '' : "; the project's own repository cloned";
    return `${commits} commits, merges, rebase, bisect, gc, clones, worktree as natively${own}`;
  },
};
