/**
 * A load that knows what every byte must be: `season-load-main.js FOLDER SEED`. It makes, writes,
 * cuts, renames and removes files in FOLDER and reads them back, beside a model in memory. Each
 * line of input is an order, and is answered with a line of JSON:
 *
 *     go       works on, until the next order
 *     stop     keeps still, with no file open
 *     check    keeps still, and compares all that is there with the model
 *     shrink   keeps still, and removes two thirds of the files
 *
 * A wrong byte, a wrong name or an error ends it with {"failed": what}.
 */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { Dice } from '../harness/seed.ts';

const FILES_MAX = 60;
const FILE_BYTES_MAX: number = 3 * 2 ** 20;
const SMALL_BYTES_MAX = 40_000;
const LARGE_BYTES_MAX: number = 2 ** 20;
const PAUSE_MS = 20;

const [folder = '', seedText = '1'] = process.argv.slice(2);
const dice = new Dice(Number(seedText));
const model = new Map<string, Buffer>();
let isWorking = false;
let steps = 0;

class Wrong extends Error {}

function say(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

/** Bytes that are nowhere else, so that nothing is taken for what it is not. */
function freshBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = dice.below(2 ** 31) + 1;
  for (let at = 0; at + 4 <= length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, at);
  }
  return bytes;
}

function withFile<T>(name: string, flags: string, work: (fd: number) => T): T {
  const fd = openSync(join(folder, name), flags);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}

function compare(name: string, offset: number, length: number): void {
  const expected = (model.get(name) as Buffer).subarray(offset, offset + length);
  const bytes = Buffer.alloc(length + 1);
  const got = withFile(name, 'r', (fd) => readAll(fd, bytes, offset));
  const found = bytes.subarray(0, Math.min(got, length));
  if (found.equals(expected)) return;
  let at = 0;
  while (at < found.length && found[at] === expected[at]) at++;
  const lengths = `${found.length} of ${expected.length} bytes from ${offset}`;
  throw new Wrong(`${name}: read ${lengths}, the first wrong one at ${offset + at}`);
}

function readAll(fd: number, bytes: Buffer, offset: number): number {
  let got = 0;
  while (got < bytes.length) {
    const more = readSync(fd, bytes, got, bytes.length - got, offset + got);
    if (more === 0) break;
    got += more;
  }
  return got;
}

function write(name: string): void {
  const old = model.get(name) ?? Buffer.alloc(0);
  const limit = dice.below(6) === 0 ? LARGE_BYTES_MAX : SMALL_BYTES_MAX;
  const offset = dice.below(Math.min(old.length + 1, FILE_BYTES_MAX - limit));
  const bytes = freshBytes(1 + dice.below(limit));
  withFile(name, model.has(name) ? 'r+' : 'wx+', (fd) => {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
    }
    if (dice.below(10) === 0) fsyncSync(fd);
  });
  const now = Buffer.alloc(Math.max(old.length, offset + bytes.length));
  old.copy(now);
  bytes.copy(now, offset);
  model.set(name, now);
}

function cut(name: string): void {
  const old = model.get(name) as Buffer;
  const length = dice.below(old.length + 10_000);
  withFile(name, 'r+', (fd) => ftruncateSync(fd, length));
  const now = Buffer.alloc(length);
  old.copy(now);
  model.set(name, now);
}

function rename(name: string, to: string): void {
  renameSync(join(folder, name), join(folder, to));
  const bytes = model.get(name) as Buffer;
  model.delete(name);
  model.set(to, bytes);
}

function remove(name: string): void {
  unlinkSync(join(folder, name));
  model.delete(name);
}

function step(): void {
  steps++;
  const name = `file${dice.below(FILES_MAX)}`;
  const choice = dice.below(100);
  const bytes = model.get(name);
  if (bytes === undefined || choice < 40) return write(name);
  if (choice < 85) {
    const offset = dice.below(bytes.length + 1);
    return compare(name, offset, Math.min(1 + dice.below(200_000), bytes.length - offset));
  }
  if (choice < 90) return cut(name);
  if (choice < 95) return rename(name, `file${dice.below(FILES_MAX)}`);
  remove(name);
}

function check(): void {
  const names = readdirSync(folder).sort();
  const expected = [...model.keys()].sort();
  if (String(names) !== String(expected)) {
    throw new Wrong(`the folder has ${String(names)}, not ${String(expected)}`);
  }
  let total = 0;
  for (const [name, bytes] of model) {
    const { size } = statSync(join(folder, name));
    if (size !== bytes.length) throw new Wrong(`${name} has ${size} of ${bytes.length} bytes`);
    compare(name, 0, bytes.length);
    total += bytes.length;
  }
  say({ checked: model.size, bytes: total, steps });
}

function shrink(): void {
  const names = [...model.keys()].filter((_, index) => index % 3 !== 0);
  const bytes = names.reduce((sum, name) => sum + (model.get(name)?.length ?? 0), 0);
  for (const name of names) remove(name);
  say({ removed: names.length, bytes });
}

function obey(order: string): void {
  isWorking = order === 'go';
  if (order === 'check') check();
  else if (order === 'shrink') shrink();
  else say({ steps });
}

/** What went wrong ends the program; the exit code says so, too. */
function orFail(work: () => void): void {
  try {
    work();
  } catch (error) {
    say({ failed: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  }
}

createInterface({ input: process.stdin })
  .on('line', (order) => orFail(() => obey(order)))
  .on('close', () => process.exit(0));
say({ ready: true });
for (;;) {
  await pause(PAUSE_MS);
  if (isWorking) orFail(step);
}
