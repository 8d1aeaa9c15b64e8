/**
 * Writes N files with M bytes in all below a folder, none like another: write-files-main.js FOLDER
 * N M.
 */

import { randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const FILES_A_FOLDER = 500;

const [folder = '', files = '0', bytes = '0'] = process.argv.slice(2);
const count = Number(files);
const size = Math.floor(Number(bytes) / count);
const content = randomFillSync(Buffer.alloc(size));
for (let index = 0; index < count; index++) {
  const parent = join(folder, `d${Math.floor(index / FILES_A_FOLDER)}`);
  if (index % FILES_A_FOLDER === 0) mkdirSync(parent);
  content.writeUInt32LE(index, 0);
  const fd = openSync(join(parent, `f${index}`), 'w');
  writeSync(fd, content);
  closeSync(fd);
}
