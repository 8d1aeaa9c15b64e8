import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';
import Database from 'better-sqlite3';
import { MIB } from '../../src/base/limits.ts';
import { type Bench, bytesRateOf, rateOf } from './work.ts';

/** What the machine can do, measured in the same run: the ground of every napkin estimate. */
export interface Limits {
  /** Seconds of a request through /dev/fuse and back: a lookup that fails. */
  upcallSeconds: number;
  /** Seconds of a 4 KiB pwrite into the page cache of the device. */
  pageWriteSeconds: number;
  /** Seconds of a 4 KiB pwrite and its fdatasync. */
  syncedWriteSeconds: number;
  /** Seconds of a one-row transaction of SQLite as the live metadata makes it: WAL, not synced. */
  transactionSeconds: number;
  copyBytesPerSecond: number;
  /** BLAKE3 of 4 MiB chunks. */
  hashBytesPerSecond: number;
  /** Synced writes to three files at once. */
  disksBytesPerSecond: number;
}

const COPY_BYTES: number = 4096 * MIB;
const HASH_BYTES: number = 4 * MIB;
const HASH_ROUNDS = 128;
const TRANSACTIONS = 5000;
const WRITES = 50_000;
const SYNCS = 200;

/** Measures the limits; the mount and the native folder must be idle. */
export async function measureLimits(bench: Bench): Promise<Limits> {
  const { native } = bench.volume;
  const { commitBytes, randomCount } = bench.sizes;
  const file = join(native, 'limits');
  const lookups = String(randomCount);
  const upcalls = rateOf(await bench.load('lookup', bench.folder('dfs'), lookups), 'lookup');
  await bench.load('write', file, String(64 * MIB), bench.seed(), '1');
  const writes = await bench.load('random-write', file, String(WRITES), bench.seed(), '0');
  const syncs = await bench.load('random-write', file, String(SYNCS), bench.seed(), '1');
  const copies = await bench.load('copy', String(COPY_BYTES));
  const parts = [1, 2, 3].map((part) => `${file}${part}`);
  const disks = await bench.load('parallel', String(commitBytes), ...parts);
  await bench.time('rm', file, ...parts);
  return {
    upcallSeconds: 1 / upcalls,
    pageWriteSeconds: 1 / rateOf(writes, 'random-write'),
    syncedWriteSeconds: 1 / rateOf(syncs, 'random-write'),
    transactionSeconds: transactionSeconds(join(bench.volume.folder, 'limits.sqlite')),
    copyBytesPerSecond: bytesRateOf(copies, 'copy'),
    hashBytesPerSecond: hashRate(),
    disksBytesPerSecond: bytesRateOf(disks, 'parallel'),
  };
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
