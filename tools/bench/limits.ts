import { randomFillSync } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';
import Database from 'better-sqlite3';
import { BLOCK_BYTES, MIB } from '../../src/base/limits.ts';
import { median } from './runner.ts';
import { type Bench, bytesRateOf, rateOf } from './work.ts';

/** What the machine can do, measured in the same run: the ground of every napkin estimate. */
export interface Limits {
  /** Seconds of a request through /dev/fuse and back: a lookup that fails. */
  upcallSeconds: number;
  /** Seconds of a 4 KiB pwrite into the page cache of the device. */
  pageWriteSeconds: number;
  /** Seconds of a 4 KiB pwrite and its fdatasync. */
  syncedWriteSeconds: number;
  /** Seconds of 4 KiB with O_DSYNC to each of three files at once, over bytes that are there. */
  logsSeconds: number;
  /** Seconds of a one-row transaction of SQLite as the live metadata makes it: WAL, not synced. */
  transactionSeconds: number;
  copyBytesPerSecond: number;
  /** BLAKE3 of 4 MiB chunks. */
  hashBytesPerSecond: number;
  /** Synced writes to three files at once. */
  disksBytesPerSecond: number;
}

const COPY_BYTES: number = 1024 * MIB;
const HASH_BYTES: number = 4 * MIB;
const HASH_ROUNDS = 128;
const TRANSACTIONS = 5000;
const WRITES = 50_000;
const SYNCS = 200;
const ATTEMPTS = 5;

/** Measures the limits; the mount and the native folder must be idle. */
export async function measureLimits(bench: Bench): Promise<Limits> {
  const { native } = bench.volume;
  const { commitBytes, randomCount } = bench.sizes;
  const file = join(native, 'limits');
  const lookup = async (attempt: number): Promise<number> => {
    // A folder for each: the kernel remembers names that do not exist.
    const folder = join(bench.folder('dfs'), `limits-${attempt}`);
    await bench.time('mkdir', folder);
    return rateOf(await bench.load('lookup', folder, String(randomCount)), 'lookup');
  };
  const write = async (count: number, synced: string): Promise<number> => {
    const args = [file, String(count), bench.seed(), synced];
    return rateOf(await bench.load('random-write', ...args), 'random-write');
  };
  const upcalls = await best(lookup);
  await bench.load('write', file, String(64 * MIB), bench.seed(), '1');
  const writes = await best(() => write(WRITES, '0'));
  const syncs = await best(() => write(SYNCS, '1'));
  const copies = await best(async () =>
    bytesRateOf(await bench.load('copy', String(COPY_BYTES)), 'copy'),
  );
  const parts = [1, 2, 3].map((part) => `${file}${part}`);
  const disks = await bench.load('parallel', String(commitBytes), ...parts);
  await bench.time('rm', file, ...parts);
  return {
    upcallSeconds: 1 / upcalls,
    pageWriteSeconds: 1 / writes,
    syncedWriteSeconds: 1 / syncs,
    logsSeconds: await logsSeconds(join(native, 'limits-log')),
    transactionSeconds: transactionSeconds(join(bench.volume.folder, 'limits.sqlite')),
    copyBytesPerSecond: copies,
    hashBytesPerSecond: hashRate(),
    disksBytesPerSecond: bytesRateOf(disks, 'parallel'),
  };
}

/** A limit is the best of some attempts: whatever else runs can only make them worse. */
async function best(attempt: (index: number) => Promise<number>): Promise<number> {
  let highest = 0;
  for (let index = 0; index < ATTEMPTS; index++) highest = Math.max(highest, await attempt(index));
  return highest;
}

/** As a commit in strong mode syncs the logs of three disks; the median. */
async function logsSeconds(path: string): Promise<number> {
  const paths = [1, 2, 3].map((part) => `${path}${part}`);
  for (const part of paths) {
    await writeFile(part, Buffer.alloc(SYNCS * BLOCK_BYTES), { flush: true });
  }
  const files = await Promise.all(
    paths.map((part) => open(part, constants.O_WRONLY | constants.O_DSYNC)),
  );
  const block = Buffer.alloc(BLOCK_BYTES, 1);
  const taken: number[] = [];
  for (let count = 0; count < SYNCS; count++) {
    const start = performance.now();
    await Promise.all(files.map((file) => file.write(block, 0, BLOCK_BYTES, count * BLOCK_BYTES)));
    taken.push((performance.now() - start) / 1000);
  }
  await Promise.all(files.map((file) => file.close()));
  await Promise.all(paths.map((part) => rm(part)));
  return median(taken);
}

function hashRate(): number {
  const chunk = randomFillSync(Buffer.allocUnsafe(HASH_BYTES));
  const start = performance.now();
  for (let round = 0; round < HASH_ROUNDS; round++) blake3(chunk);
  return (HASH_BYTES * HASH_ROUNDS) / ((performance.now() - start) / 1000);
}

/** Each transaction changes a row and appends one, the least a metadata operation does. */
function transactionSeconds(path: string): number {
  const db = new Database(path);
  try {
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = NORMAL');
    db.exec('create table inode (id integer primary key, value); insert into inode values (1, 0)');
    db.exec('create table journal (seq integer primary key, op blob)');
    const begin = db.prepare('begin immediate');
    const change = db.prepare('update inode set value = ? where id = 1');
    const append = db.prepare('insert into journal (op) values (?)');
    const commit = db.prepare('commit');
    const op = Buffer.alloc(100);
    const start = performance.now();
    for (let count = 0; count < TRANSACTIONS; count++) {
      begin.run();
      change.run(count);
      append.run(op);
      commit.run();
    }
    return (performance.now() - start) / 1000 / TRANSACTIONS;
  } finally {
    db.close();
  }
}
