import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { MUTATIONS } from './mutations.ts';

const ROOT: string = resolve(import.meta.dirname, '../..');

test('every mutation can be made in what is built', () => {
  for (const { name, file, from, to } of MUTATIONS) {
    const text = readFileSync(join(ROOT, 'dist/src', file), 'utf8');
    expect(text.split(from).length - 1, name).toBe(1);
    expect(to, name).not.toBe(from);
  }
});

test('docs/reliability.md names every mutation and no other', () => {
  const text = readFileSync(join(ROOT, 'docs/reliability.md'), 'utf8');
  const section = text.slice(text.indexOf('## Mistakes made on purpose'));
  const named = [...section.matchAll(/^\| `([a-z-]+)` /gm)].map(([, name]) => name);
  expect(named).toEqual(MUTATIONS.map(({ name }) => name));
});
