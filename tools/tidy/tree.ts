import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The files of a repository; the checks run on a folder as well as on a few lines in a test. */
export interface Tree {
  /** Paths relative to the root, with slashes, sorted. */
  readonly paths: readonly string[];
  has(path: string): boolean;
  /** The text of one of `paths`. */
  read(path: string): string;
}

/** One finding. A warning is printed, a problem also fails the gate. */
export interface Problem {
  path: string;
  /** From 1. */
  line: number;
  message: string;
  warning?: boolean;
}

/** A tree of texts in memory. */
export function treeOf(texts: ReadonlyMap<string, string>): Tree {
  return {
    paths: [...texts.keys()].sort(),
    has: (path) => texts.has(path),
    read: (path) => texts.get(path) ?? '',
  };
}

/** What git tracks below `root`, and what it would track: ignored files are nobody's concern. */
export function treeOfRepository(root: string): Tree {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  // A file deleted but not yet committed is still listed.
  const paths = [...new Set(listed.split('\0'))]
    .filter((path) => path !== '' && existsSync(join(root, path)))
    .sort();
  const known = new Set(paths);
  const texts = new Map<string, string>();
  return {
    paths,
    has: (path) => known.has(path),
    read: (path) => {
      const text = texts.get(path) ?? readFileSync(join(root, path), 'utf8');
      texts.set(path, text);
      return text;
    },
  };
}

/** The line, from 1, of the character at `index`. */
export function lineAt(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < index; at = text.indexOf('\n', at + 1))
    line++;
  return line;
}
