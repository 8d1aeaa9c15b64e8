import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { EPERM } from '../../src/base/errno.ts';
import { DfsError } from '../../src/base/errors.ts';
import { removeXattr, setXattr } from '../../src/base/os/mod.ts';
import type { ModeReport } from '../../src/node/mod.ts';
import { MODE_XATTR } from '../../src/vfs/mod.ts';
import { withDaemon } from './client.ts';
import { inoOf } from './commit.ts';
import { examples } from './examples.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { UsageError } from './report.ts';
import { findMountedPath, type MountedPath } from './target.ts';

const WORDS = ['strong', 'weak', 'inherit'];

/** What holds for a path, and where that is said. */
interface ModeFacts {
  path: string;
  mode: 'weak' | 'strong';
  origin: ModeReport['origin'];
  /** The folder that is marked, when another one is. */
  from?: string;
}

/** dfsctl mode: what fsync waits for in a folder and below. */
export function registerMode(program: Command): void {
  program
    .command('mode')
    .description('Show or set what fsync and close wait for in a folder and all below it.')
    .argument('<path>', 'a folder, or a file, on a mounted volume')
    .argument('[mode]', 'strong: the disks, weak: the cache, inherit: as the folder above')
    .option('--json', 'print the facts as JSON')
    .addHelpText(
      'after',
      examples(
        'dfsctl mode /srv/files/db strong',
        'dfsctl mode /srv/files/db',
        'dfsctl mode . inherit',
      ),
    )
    .action(mode);
}

async function mode(name: string, word: string | undefined, options: OutputOptions): Promise<void> {
  if (word !== undefined && !WORDS.includes(word)) {
    throw new UsageError(`Cannot use mode "${word}": expected ${WORDS.join(', ')}`);
  }
  const place = findMountedPath(name);
  if (word !== undefined) mark(place.path, word);
  const facts = await factsOf(name, place);
  printFacts(options, facts, (style) => {
    const shown = facts.mode === 'strong' ? style.good(facts.mode) : facts.mode;
    return [`${facts.path}: ${shown}, ${why(facts)}`];
  });
}

function mark(path: string, word: string): void {
  try {
    if (word === 'inherit') removeXattr(path, MODE_XATTR);
    else setXattr(path, MODE_XATTR, word);
  } catch (error) {
    if (!(error instanceof DfsError) || error.details.errno !== EPERM) throw error;
    const state = 'only its owner and root may, and only of files and folders';
    throw new DfsError('IO', `Cannot change the mode of ${path}: ${state}`, { cause: error });
  }
}

async function factsOf(name: string, { path, mountPoint }: MountedPath): Promise<ModeFacts> {
  const { home, ino } = await inoOf(name);
  const report = await withDaemon(home, (client) => client.get<ModeReport>(`/mode?ino=${ino}`));
  const { folder, ...facts } = report;
  for (let at = path; folder !== undefined && at !== mountPoint; ) {
    at = dirname(at);
    if (statSync(at).ino === folder) return { path, ...facts, from: at };
  }
  return { path, ...facts };
}

function why({ origin, from }: ModeFacts): string {
  switch (origin) {
    case 'own':
      return 'as it is marked';
    case 'folder':
      return `inherited from ${from ?? 'a folder above'}`;
    case 'mount':
      return 'as the volume is mounted';
    case 'names':
      return 'because it has several names, and something on the volume is strong';
  }
}
