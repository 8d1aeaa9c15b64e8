import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { EPERM } from '../../src/base/errno.ts';
import { DfsError } from '../../src/base/errors.ts';
import { getXattr, removeXattr, setXattr } from '../../src/base/os/mod.ts';
import { EFFECTIVE_MODE_XATTR, MODE_XATTR } from '../../src/base/xattr-names.ts';
import { examples } from './examples.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { UsageError } from './report.ts';
import { findMountedPath, type MountedPath } from './target.ts';

const WORDS = ['strong', 'weak', 'inherit'];

/** What holds for a path, and where that is said. */
interface ModeFacts {
  path: string;
  mode: 'weak' | 'strong';
  /** A mark of its own, one above, the mount, or several names, of which one may be in a strong folder. */
  origin: 'own' | 'folder' | 'mount' | 'names';
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
  if (word !== undefined) await mark(place.path, word);
  const facts = factsOf(place);
  printFacts(options, facts, (style) => {
    const shown = facts.mode === 'strong' ? style.good(facts.mode) : facts.mode;
    return [`${facts.path}: ${shown}, ${why(facts)}`];
  });
}

async function mark(path: string, word: string): Promise<void> {
  try {
    if (word === 'inherit') removeXattr(path, MODE_XATTR);
    else await setXattr(path, MODE_XATTR, word);
  } catch (error) {
    if (!(error instanceof DfsError) || error.details.errno !== EPERM) throw error;
    const state = 'only its owner and root may, and only of files and folders';
    throw new DfsError('IO', `Cannot change the mode of ${path}: ${state}`, { cause: error });
  }
}

/** Found with attributes alone, which anybody may read who may read the file. */
function factsOf({ path, mountPoint }: MountedPath): ModeFacts {
  const mode = getXattr(path, EFFECTIVE_MODE_XATTR);
  if (mode !== 'weak' && mode !== 'strong') {
    throw new DfsError(
      'UNAVAILABLE',
      `Cannot tell the mode of ${path}: its daemon is an older one`,
    );
  }
  if (getXattr(path, MODE_XATTR) !== undefined) return { path, mode, origin: 'own' };
  const { nlink, isFolder } = lookAt(path);
  if (!isFolder && nlink > 1) return { path, mode, origin: 'names' };
  for (let at = path; at !== mountPoint; ) {
    at = dirname(at);
    if (getXattr(at, MODE_XATTR) !== undefined) return { path, mode, origin: 'folder', from: at };
  }
  return { path, mode, origin: 'mount' };
}

function lookAt(path: string): { nlink: number; isFolder: boolean } {
  const stat = statSync(path);
  return { nlink: stat.nlink, isFolder: stat.isDirectory() };
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
      return 'as it has several names: strong if anything on the volume is';
  }
}
