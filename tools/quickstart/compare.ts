import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { DfsError } from '../../src/base/errors.ts';

const NAMED_MAX = 10;

/** Compares two lists of hash-tree-main; throws with the paths that differ. */
export async function compareLists(before: string, after: string): Promise<void> {
  const [wanted, found] = [await readList(before), await readList(after)];
  const wrong: string[] = [];
  for (const [path, line] of wanted) {
    const there = found.get(path);
    if (there === undefined) wrong.push(`${path} is missing`);
    else if (there !== line) wrong.push(`${path} is not the same: ${there} instead of ${line}`);
  }
  for (const path of found.keys()) if (!wanted.has(path)) wrong.push(`${path} never was`);
  if (wrong.length === 0) return;
  const named = wrong.slice(0, NAMED_MAX).join('\n  ');
  const state = `${wrong.length} of ${wanted.size} paths differ`;
  throw new DfsError('CORRUPT', `Cannot find everything again: ${state}:\n  ${named}`);
}

async function readList(list: string): Promise<Map<string, string>> {
  const lines = new Map<string, string>();
  for await (const line of createInterface({ input: createReadStream(list) })) {
    lines.set((JSON.parse(line) as { path: string }).path, line);
  }
  return lines;
}
