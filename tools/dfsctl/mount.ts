import { realpathSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { type MountFlags, parseMountOptions } from '../../src/fuse/mod.ts';
import { type Config, requireConfig } from '../../src/home/mod.ts';
import type { StatusReport } from '../../src/node/mod.ts';
import { withDaemon } from './client.ts';
import { parseDeadline } from './deadline.ts';
import { examples } from './examples.ts';
import { detachDeadMount, prepareMountPoint } from './mount-checks.ts';
import { type MountProcess, startMount } from './mount-process.ts';
import { type OutputOptions, printFacts, remark } from './output.ts';
import { withClock } from './progress.ts';
import { EXIT_FAILED, oneLine, UsageError } from './report.ts';
import { findTarget } from './target.ts';
import { unmountVolume } from './unmount-volume.ts';

interface MountOptions extends OutputOptions {
  mode?: 'weak' | 'strong';
  deadline?: number;
  readOnly?: true;
  epoch?: number;
  options: string[];
  foreground?: true;
  verbose?: true;
}

/** dfsctl mount: serves a volume at a folder. */
export function registerMount(program: Command): void {
  program
    .command('mount')
    .description('Mount a volume.')
    .argument('<home>', 'HOME of the volume')
    .argument('<mountpoint>', 'an existing empty folder')
    .addOption(
      new Option('--mode <mode>', 'what fsync waits for: the cache, or the disks').choices([
        'weak',
        'strong',
      ]),
    )
    .option('--deadline <seconds>', 'how long changes may wait for their commit', parseDeadline)
    .option('--read-only', 'let nothing be changed; the same as -o ro')
    .option('--epoch <number>', 'show the volume as it was; needs --read-only', parseEpoch)
    .option('-o, --options <list>', 'as of mount(8): ro,noatime,nosuid,...', collect, [])
    .option('--foreground', 'stay until it is unmounted; Ctrl-C unmounts')
    .option('--verbose', 'write more into HOME/daemon.log')
    .option('--json', 'print the facts as JSON')
    .addHelpText(
      'after',
      examples(
        'dfsctl mount /var/lib/dfs /srv/files',
        'dfsctl mount ./home ./mnt --mode strong --foreground',
        'dfsctl mount ./home ./mnt -o noatime,nosuid,nodev',
        'dfsctl mount ./home ./old --epoch 4711 --read-only',
      ),
    )
    .action(mount);
}

function parseEpoch(text: string): number {
  const epoch = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(epoch)) return epoch;
  throw new InvalidArgumentError('Give the number of an epoch, as "dfsctl epochs" lists them.');
}

function collect(list: string, lists: string[]): string[] {
  return [...lists, list];
}

async function mount(homeName: string, mountName: string, options: MountOptions): Promise<void> {
  const flags = flagsOf(options.options);
  const { home, mountPoint: elsewhere } = findTarget(homeName);
  const config = await requireConfig(home);
  const readOnly = options.readOnly ?? flags.readOnly ?? false;
  const { epoch } = options;
  if (epoch !== undefined && !readOnly) {
    const state = 'what was cannot be changed; add --read-only';
    throw new DfsError('BAD_ARGUMENT', `Cannot mount epoch ${epoch} of ${homeName}: ${state}`);
  }
  if (epoch === undefined && elsewhere !== undefined && !(await detachDeadMount(elsewhere))) {
    const hint = `"dfsctl umount ${elsewhere}" ends that`;
    throw new DfsError('BUSY', `Cannot mount ${homeName}: it is mounted on ${elsewhere}; ${hint}`);
  }
  const mountPoint = await prepareMountPoint(mountName, { home, config });
  const volumeHome = realpathSync(home);
  const request = {
    home: epoch === undefined ? volumeHome : await homeOfEpoch(volumeHome, config, epoch),
    ...(epoch === undefined ? {} : { epoch }),
    mountPoint,
    ...(options.mode === undefined ? {} : { mode: options.mode }),
    ...(options.deadline === undefined ? {} : { deadlineMs: options.deadline }),
    readOnly,
    flags,
    verbose: options.verbose === true,
  };
  const running = await withClock(`Opening the volume of ${home}`, () => startMount(request));
  // Ctrl-C must unmount from the moment on that somebody can know of the mount.
  const end =
    options.foreground === true
      ? stay(running, { home: request.home, mountPoint })
      : Promise.resolve(undefined);
  const mode = options.mode ?? config.mode;
  const how = `${mode} mode${readOnly ? ', read-only' : ''}`;
  const which = epoch === undefined ? home : `epoch ${epoch} of ${home}`;
  const facts = { home, mountPoint, mode, readOnly, ...(epoch === undefined ? {} : { epoch }) };
  printFacts(options, facts, (style) => [
    `${style.good('Mounted')} ${which} on ${mountPoint}: ${how}`,
  ]);
  await remarkProblems(request.home);
  if (options.foreground !== true) running.letGo();
  await end;
}

/** What is not as it should be is said at once, not only in the status. */
async function remarkProblems(home: string): Promise<void> {
  try {
    const { problems } = await withDaemon(home, (client) => client.get<StatusReport>('/status'));
    for (const problem of problems) remark(problem);
  } catch {
    // The mount serves; that it cannot be asked at this moment does not undo that.
  }
}

/** Waits for the end of the mount. The first Ctrl-C unmounts unless busy, the second anyway. */
async function stay(
  running: MountProcess,
  mount: { home: string; mountPoint: string },
): Promise<void> {
  let asked = false;
  const onInterrupt = (): void => {
    if (asked) {
      running.kill('SIGTERM');
      return;
    }
    asked = true;
    unmountVolume({ ...mount, now: false }).catch((error: unknown) => {
      remark(`${oneLine(error)}; Ctrl-C again detaches it all the same`);
    });
  };
  const onTerm = (): void => running.kill('SIGTERM');
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerm);
  const status = await running.ended;
  process.off('SIGINT', onInterrupt).off('SIGTERM', onTerm);
  if (status !== 0) process.exitCode = EXIT_FAILED;
}

async function homeOfEpoch(home: string, config: Config, epoch: number): Promise<string> {
  const { makeEpochHome } = await import('../../src/node/mod.ts');
  return makeEpochHome(home, config, epoch);
}

function flagsOf(lists: string[]): Partial<MountFlags> {
  try {
    return parseMountOptions(lists);
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}
