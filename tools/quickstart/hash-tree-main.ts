/**
 * Writes down what a tree is: for every file, folder and symlink below FOLDER its path, kind, mode,
 * size, time of change and BLAKE3. Arguments: FOLDER LIST.
 */
import { createReadStream } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import { say } from './programs.ts';

const [folder = '', list = ''] = process.argv.slice(2);
const SAY_EVERY = 200;

async function* walk(below: string): AsyncGenerator<string> {
  const entries = await readdir(join(folder, below), { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(below, entry.name);
    yield path;
    if (entry.isDirectory()) yield* walk(path);
  }
}

async function hashOf(path: string): Promise<string> {
  const hasher = new Blake3Hasher();
  for await (const part of createReadStream(path) as AsyncIterable<Buffer>) hasher.update(part);
  return hasher.digest('hex');
}

async function describe(path: string): Promise<{ line: string; bytes: number; isFile: boolean }> {
  const full = join(folder, path);
  const { mode, size, mtimeMs } = await lstat(full);
  const kind = mode & 0o170000;
  const isFile = kind === 0o100000;
  const content = isFile ? await hashOf(full) : kind === 0o120000 ? await readlink(full) : '';
  // Whole microseconds: a double has no room for more of the time.
  const time = Math.round(mtimeMs * 1000);
  const facts = { path, mode: mode.toString(8), size: isFile ? size : 0, time, content };
  return { line: `${JSON.stringify(facts)}\n`, bytes: isFile ? size : 0, isFile };
}

const paths: string[] = [];
for await (const path of walk('')) paths.push(path);
const out = await open(list, 'w');
let files = 0;
let bytes = 0;
for (const [index, path] of paths.entries()) {
  const found = await describe(path);
  await out.appendFile(found.line);
  files += found.isFile ? 1 : 0;
  bytes += found.bytes;
  if (index % SAY_EVERY === 0) say({ progress: { done: index, total: paths.length } });
}
await out.close();
say({ result: { entries: paths.length, files, bytes } });
