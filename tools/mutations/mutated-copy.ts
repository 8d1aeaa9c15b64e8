import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DfsError } from '../../src/base/errors.ts';
import type { Mutation } from './mutations.ts';

/** What the tests and the program need of the repository. */
const COPIED = ['dist', 'src', 'test', 'package.json', 'vitest.config.ts', 'bin'];

/** A copy of the built repository, without mistakes so far. */
export function copyRepository(root: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const name of COPIED) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
}

/** Makes the mistake in the copy, in what its finder runs; what undoes it. */
export function mutate(folder: string, mutation: Mutation): () => void {
  const { file, finder } = mutation;
  const isOfSources = finder === 'cuts of a log';
  const path = isOfSources ? `src/${file.replace(/js$/, 'ts')}` : `dist/src/${file}`;
  return change(join(folder, path), mutation);
}

/** BAD_ARGUMENT unless the text to be changed stands in the file exactly once. */
function change(path: string, { name, file, from, to }: Mutation): () => void {
  const text = readFileSync(path, 'utf8');
  const count = text.split(from).length - 1;
  if (count !== 1) {
    const state = `the text stands ${count} times in ${file}; bring tools/mutations up to date`;
    throw new DfsError('BAD_ARGUMENT', `Cannot make the mutation ${name}: ${state}`);
  }
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  return () => writeFileSync(path, text);
}
