import type { Command } from 'commander';
import { DfsError } from '../../src/base/errors.ts';
import type { WorkFacts } from '../../src/node/mod.ts';
import { isHomeInUse, withDaemon } from './client.ts';
import { examples } from './examples.ts';
import { formatFacts } from './format.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { createProgress, type Progress } from './progress.ts';
import { EXIT_FAILED } from './report.ts';
import { parseSize } from './size.ts';
import { findTarget } from './target.ts';
import { workFacts } from './work-words.ts';

const VOLUME = 'HOME or mountpoint; default: the only mounted one, or the one you are in';

/** dfsctl work: what a mounted volume does about its disks in the background. */
export function registerWork(program: Command): void {
  const work = program
    .command('work')
    .description('Background work: rebuilding, rebalancing, scrubbing, garbage.');
  command(work, 'show', 'Show what runs, how far it is, and what the last walk found.', 'show');
  command(work, 'pause', 'Let nothing run until "work resume", also after a new mount.', 'pause');
  command(work, 'resume', 'Let it go on.', 'resume');
  work
    .command('limit')
    .description('Limit what it writes in a second, beside the share that it may take.')
    .argument('<rate>', 'bytes a second, as in 50MB, or "none"')
    .argument('[volume]', VOLUME)
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl work limit 50MB', 'dfsctl work limit none'))
    .action(async (rate: string, volume: string | undefined, options: OutputOptions) => {
      const bytes = rate === 'none' ? 'none' : String(parseSize(rate));
      await ask(volume, options, `/work?order=limit&bytes=${bytes}`);
    });
  work
    .command('wait')
    .description('Wait until nothing is left that can be done now.')
    .argument('[volume]', VOLUME)
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl work wait /srv/files'))
    .action(async (volume: string | undefined, options: OutputOptions) => {
      const facts = await waitFor(volume, '/work?order=wait');
      printFacts(options, facts, (style) => formatFacts(workFacts(facts), style));
      if (facts.state === 'waiting') process.exitCode = EXIT_FAILED;
    });
}

function command(
  work: Command,
  name: string,
  description: string,
  call: 'show' | 'pause' | 'resume',
): void {
  work
    .command(name)
    .description(description)
    .argument('[volume]', VOLUME)
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples(`dfsctl work ${name} /srv/files`))
    .action(async (volume: string | undefined, options: OutputOptions) => {
      await ask(volume, options, call === 'show' ? undefined : `/work?order=${call}`);
    });
}

/** Has something done about the work, if `call` says what, and prints how it is. */
async function ask(
  volume: string | undefined,
  options: OutputOptions,
  call: string | undefined,
): Promise<void> {
  const home = mountedHome(volume);
  const facts = await withDaemon(home, (client) =>
    call === undefined ? client.get<WorkFacts | null>('/work') : client.post<WorkFacts>(call),
  );
  if (facts === null) {
    const state = 'there is none on a volume that is mounted read-only';
    throw new DfsError('BAD_ARGUMENT', `Cannot show background work: ${state}`);
  }
  printFacts(options, facts, (style) => formatFacts(workFacts(facts), style));
}

/** Waits for the end of a call that tells how far the work is. */
export async function waitFor(volume: string | undefined, call: string): Promise<WorkFacts> {
  const home = mountedHome(volume);
  let progress: Progress | undefined;
  let shown = '';
  const onProgress = ({ state, kind, done, total, bytes, totalBytes, scrub }: WorkFacts): void => {
    const what = state === 'scrubbing' ? 'scrub' : (kind ?? state);
    if (what !== shown) {
      progress?.stop();
      progress = createProgress(what, totalBytes > 0 && what !== 'scrub' ? 'bytes' : 'count');
      shown = what;
    }
    if (what === 'scrub') {
      progress?.update({ done: Math.floor(scrub.cursorShare * 1000), total: 1000 });
    } else if (totalBytes > 0) progress?.update({ done: bytes, total: totalBytes });
    else progress?.update({ done, total });
  };
  try {
    return await withDaemon(home, (client) => client.post<WorkFacts, WorkFacts>(call, onProgress));
  } finally {
    progress?.stop();
  }
}

/** The HOME of a volume that is mounted. */
export function mountedHome(volume: string | undefined): string {
  const { home, mountPoint } = findTarget(volume);
  if (mountPoint !== undefined || isHomeInUse(home)) return home;
  throw new DfsError(
    'BAD_ARGUMENT',
    `Cannot ask for background work of ${home}: it is not mounted; "dfsctl mount" mounts it`,
  );
}
