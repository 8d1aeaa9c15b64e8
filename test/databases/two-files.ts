import { closeSync, fdatasyncSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';
import { bytesFor, judgeLast, type Known, type Load, numberFor, type Running } from './load.ts';

const SLOTS = 64;
const PAGE_BYTES = 4096;
const HEADER_BYTES = 40;
const RECORD_BYTES_MAX = 3000;

/** A record of the log: number, length and hash of its bytes, which follow. */
function recordOf(number: number): Buffer {
  const bytes = bytesFor(number, numberFor(number, 6, RECORD_BYTES_MAX));
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(number, 0);
  header.writeUInt32LE(bytes.length, 4);
  blake3(bytes).copy(header, 8);
  return Buffer.concat([header, bytes]);
}

/** The records of a log, which are one after the other from 1 on, and what is left behind them. */
function readLog(log: Buffer): { count: number; rest: Buffer } {
  for (let at = 0, count = 0; ; count++) {
    const record = recordOf(count + 1);
    if (!log.subarray(at, at + record.length).equals(record)) {
      return { count, rest: log.subarray(at) };
    }
    at += record.length;
  }
}

/** The last one up to `last` that went into a slot; 0 for none. */
function lastInSlot(slot: number, last: number): number {
  const number = last - ((last - slot + SLOTS) % SLOTS);
  return Math.max(0, number);
}

function pageOf(number: number): Buffer {
  return number === 0 ? Buffer.alloc(PAGE_BYTES) : bytesFor(number, PAGE_BYTES);
}

/** The log first, then what it tells of: a database's rule, by hand. */
class TwoFiles implements Running {
  readonly #log: number;
  readonly #data: number;
  readonly #isSynced: boolean;

  constructor(folder: string, isSynced: boolean) {
    this.#isSynced = isSynced;
    this.#log = openSync(join(folder, 'log'), 'a');
    this.#data = openSync(join(folder, 'data'), 'w');
    writeSync(this.#data, Buffer.alloc(SLOTS * PAGE_BYTES));
    fsyncSync(this.#log);
    fsyncSync(this.#data);
  }

  step(number: number): void {
    writeSync(this.#log, recordOf(number));
    if (this.#isSynced) fdatasyncSync(this.#log);
    writeSync(this.#data, pageOf(number), 0, PAGE_BYTES, (number % SLOTS) * PAGE_BYTES);
    if (this.#isSynced) fdatasyncSync(this.#data);
  }

  close(): void {
    closeSync(this.#log);
    closeSync(this.#data);
  }
}

function check(folder: string, known: Known): string[] {
  const { count, rest } = readLog(readFileSync(join(folder, 'log')));
  const data = readFileSync(join(folder, 'data'));
  const problems = judgeLast(count, known);
  if (data.length !== SLOTS * PAGE_BYTES) problems.push(`the data has ${data.length} bytes`);
  if (rest.length > recordOf(count + 1).length) {
    problems.push(`${rest.length} bytes behind record ${count} of the log are none`);
  }
  if (known.isInstant) return [...problems, ...judgeInstant({ count, rest, data })];
  // The page behind the last one that was acknowledged may be torn, or not there.
  const open = known.acknowledged + 1;
  for (let slot = 0; slot < SLOTS; slot++) {
    if (slot === open % SLOTS && count >= open) continue;
    const number = lastInSlot(slot, Math.min(count, known.acknowledged));
    if (!hasPage(data, slot, number)) problems.push(`slot ${slot} has not page ${number}`);
  }
  return problems.slice(0, 5);
}

/** At one instant a record was written or not, and so was its page. */
function judgeInstant(found: { count: number; rest: Buffer; data: Buffer }): string[] {
  const { count, rest, data } = found;
  const problems = rest.length > 0 ? [`the log ends in ${rest.length} bytes of a record`] : [];
  const fits = (last: number): boolean =>
    Array.from({ length: SLOTS }, (_, slot) => hasPage(data, slot, lastInSlot(slot, last))).every(
      Boolean,
    );
  if (fits(count) || (count > 0 && fits(count - 1))) return problems;
  return [...problems, `the data has not what was written up to record ${count} of the log`];
}

function hasPage(data: Buffer, slot: number, number: number): boolean {
  return data.subarray(slot * PAGE_BYTES, (slot + 1) * PAGE_BYTES).equals(pageOf(number));
}

/** Each write is synced before the next one. */
export const TWO_FILES: Load = {
  name: 'two-files',
  isSynced: true,
  begin: (folder) => Promise.resolve(new TwoFiles(folder, true)),
  check: (folder, known) => Promise.resolve().then(() => check(folder, known)),
};

/** Nothing is synced: only what is recovered from disks has to be of one instant. */
export const UNSYNCED: Load = {
  name: 'unsynced',
  isSynced: false,
  begin: (folder) => Promise.resolve(new TwoFiles(folder, false)),
  check: (folder, known) =>
    Promise.resolve().then(() => (known.isInstant ? check(folder, known) : [])),
};
