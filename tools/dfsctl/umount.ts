import type { Command } from 'commander';
import { DfsError } from '../../src/base/errors.ts';
import { readMountinfo } from '../../src/base/os/mod.ts';
import { examples } from './examples.ts';
import { formatBytes } from './format.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { findTarget } from './target.ts';
import { unmountVolume } from './unmount-volume.ts';

interface UmountOptions extends OutputOptions {
  now?: true;
}

/** dfsctl umount: commits, unmounts and waits for the daemon's end. */
export function registerUmount(program: Command): void {
  program
    .command('umount')
    .description('Commit everything, then unmount.')
    .argument('<mountpoint>', 'where the volume is mounted')
    .option('--now', 'do not commit; what is not committed stays in the cache of this HOME')
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl umount /srv/files', 'dfsctl umount ./mnt --now'))
    .action(umount);
}

async function umount(name: string, options: UmountOptions): Promise<void> {
  const { home, mountPoint } = findTarget(name);
  const isMounted = readMountinfo().some((entry) => entry.mountPoint === mountPoint);
  if (mountPoint === undefined || !isMounted) {
    throw new DfsError('BAD_ARGUMENT', `Cannot unmount ${name}: it is not mounted`);
  }
  const now = options.now === true;
  const result = await unmountVolume({ home, mountPoint, now });
  printFacts(options, result, (style) => {
    const { epoch, dirtyBytes, wasDead } = result;
    if (wasDead) return [`${style.good('Detached')} ${mountPoint}, which nobody served any more`];
    const left = dirtyBytes === 0 ? '' : `; ${formatBytes(dirtyBytes)} stay in the cache`;
    return [`${style.good('Unmounted')} ${mountPoint} at epoch ${epoch}${left}`];
  });
}
