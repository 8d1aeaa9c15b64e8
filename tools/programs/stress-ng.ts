import { DfsError } from '../../src/base/errors.ts';
import { withKills } from './kills.ts';
import type { Ended } from './processes.ts';
import type { Ground, Program } from './program.ts';
import { words } from './words.ts';

/** The classes filesystem and io, and mappings, but for what never touches the folder given. */
const STRESSORS: readonly string[] = words(`
  access bind-mount chattr chdir chmod chown copy-file dentry dir dirdeep dirmany dnotify dup
  fallocate fanotify fcntl fiemap file-ioctl filename flock fpunch fsize fstat getdent handle hdd
  inode-flags inotify io iomix lease link locka lockf lockofd mknod open rename symlink sync-file
  touch utime verity xattr aio aiol io-uring msync mmap sendfile fault readahead revio seek
`);
const QUICK: readonly string[] = words('access chmod dentry dir fallocate fcntl hdd iomix link');
/** All of them at the same time, in the same folder. */
const TOGETHER: readonly string[] = words(`
  access chmod dentry dir fallocate flock fstat getdent hdd iomix link lockf open rename symlink
  sync-file touch xattr
`);
/** Sizes that a few seconds can fill. */
const SIZES: Readonly<Record<string, readonly string[]>> = {
  'bind-mount': ['--pathological'],
  'copy-file': ['--copy-file-bytes', '128M'],
  fallocate: ['--fallocate-bytes', '64M'],
  fiemap: ['--fiemap-bytes', '16M'],
  hdd: ['--hdd-bytes', '64M'],
  iomix: ['--iomix-bytes', '64M'],
  mmap: ['--mmap-file', '--mmap-bytes', '64M'],
  readahead: ['--readahead-bytes', '64M'],
  revio: ['--revio-bytes', '64M'],
  seek: ['--seek-size', '64M'],
  'sync-file': ['--sync-file-bytes', '64M'],
};

async function stress(
  ground: Ground,
  options: { folder: string; names: readonly string[]; seconds: number; workers: number },
): Promise<Ended> {
  const { folder, names, seconds, workers } = options;
  const what = names.flatMap((name) => [`--${name}`, String(workers), ...(SIZES[name] ?? [])]);
  const time = ['--timeout', `${seconds}s`, '--verify'];
  return await ground.run('stress-ng', ['--temp-path', folder, ...time, ...what], {
    anyStatus: true,
    deadlineMs: (seconds + 60) * 1000,
  });
}

const SKIPPED = /skipping|not (?:supported|implemented)/i;

function saidOf({ output, errors }: Ended): string {
  const lines = `${output}\n${errors}`.split('\n').filter((line) => /fail:|error:|skip/.test(line));
  return lines.slice(0, 4).join('\n  ');
}

/** stress-ng: what fails on the volume is tried natively; only what works there is a failure. */
export const STRESS: Program = {
  name: 'stress-ng',
  packages: { 'stress-ng': 'stress-ng' },
  async run(ground) {
    const { folder, scratch, quick } = ground;
    const seconds = quick ? 1 : 2;
    const [failed, same, skipped]: [string[], string[], string[]] = [[], [], []];
    let good = 0;
    for (const name of quick ? QUICK : STRESSORS) {
      const options = { names: [name], seconds, workers: 2 };
      const ended = await stress(ground, { folder, ...options });
      const isSkipped = SKIPPED.test(`${ended.output}${ended.errors}`);
      if (ended.status === 0 && !isSkipped) {
        good++;
        continue;
      }
      const native = await stress(ground, { folder: scratch, ...options });
      const nativeSkipped = SKIPPED.test(`${native.output}${native.errors}`);
      if (native.status !== 0 || nativeSkipped) same.push(name);
      else if (ended.status === 0 || ended.status === 4) skipped.push(name);
      else failed.push(`${name} ended with ${ended.status}: ${saidOf(ended)}`);
    }
    const together = stress(ground, { folder, names: TOGETHER, seconds: 5 * seconds, workers: 1 });
    const kills = await withKills(ground, together, { everyMs: 2500, most: 3 });
    const all = await together;
    if (all.status !== 0) failed.push(`all together ended with ${all.status}: ${saidOf(all)}`);
    if (failed.length > 0) {
      throw new DfsError('IO', `${failed.length} stressors failed:\n  ${failed.join('\n  ')}`);
    }
    const mix = `${TOGETHER.length} of them together while ${kills} daemons died`;
    const counts = `${good} stressors verified, ${mix}`;
    const not = skipped.length === 0 ? '' : `; not on FUSE: ${skipped.join(', ')}`;
    const both = same.length === 0 ? '' : `; neither natively: ${same.join(', ')}`;
    return `${counts}${not}${both}`;
  },
};
