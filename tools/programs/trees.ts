import { DfsError } from '../../src/base/errors.ts';
import type { Ground } from './program.ts';

const NAMED_MAX = 6;

/** Makes a tree of everything a folder can hold: the same for the same seed. */
export async function makeTree(ground: Ground, folder: string): Promise<void> {
  await ground.script('tree.py', ['make', folder, '1', ground.quick ? '150' : '1500']);
}

/** A line for each entry of a tree, with all that can be seen of it. */
export async function listTree(ground: Ground, folder: string): Promise<string[]> {
  const output = await ground.script('tree.py', ['list', folder]);
  return output.trimEnd().split('\n');
}

/** CORRUPT with the lines that differ. */
export function compareTrees(
  wanted: readonly string[],
  found: readonly string[],
  what: string,
): void {
  const [all, there] = [new Set(wanted), new Set(found)];
  const missing = wanted.filter((line) => !there.has(line)).map((line) => `- ${line}`);
  const added = found.filter((line) => !all.has(line)).map((line) => `+ ${line}`);
  if (missing.length + added.length === 0) return;
  const shown = [...missing.slice(0, NAMED_MAX), ...added.slice(0, NAMED_MAX)]
    .map((line) => line.slice(0, 400))
    .join('\n  ');
  const state = `${missing.length} of ${wanted.length} entries differ`;
  throw new DfsError('CORRUPT', `${what} is not the same: ${state}:\n  ${shown}`);
}
