import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Epoch, type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { LOG_FILE_BYTES } from '../../src/meta/log-file.ts';
import { LiveMeta } from '../../src/meta/mod.ts';

const TIME = { sec: 9, nsec: 0 };
const DATABASE = ['', '-wal'];
const LOG = ['-ops0', '-ops1'];

/** A database in a folder of its own, with copies as crashes leave them. */
class Bench {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'dfs-wal-'));
  readonly live: LiveMeta;
  #copies = 0;

  constructor() {
    this.live = new LiveMeta(this.path);
    this.live.state.format({ uid: 0, gid: 0, time: TIME });
    // The log begins with the first change; what follows flush() is in the log alone.
    this.live.markDirty(ROOT_INO, 1 as Epoch);
    this.live.flush();
    onTestFinished(async () => {
      await this.live.close({ dying: true });
      rmSync(this.folder, { recursive: true });
    });
  }

  get path(): string {
    return join(this.folder, 'live');
  }

  make(name: string, value = Buffer.alloc(0)): Ino {
    const ino = this.live.allocateIno();
    const owner = { mode: 0o100644, uid: 0, gid: 0, rdev: 0, target: Buffer.alloc(0), time: TIME };
    this.live.run([{ kind: 'create', parent: ROOT_INO, name: Buffer.from(name), ino, ...owner }]);
    const xattr = { name: Buffer.from('user.x'), value, time: TIME };
    if (value.length > 0) this.live.run([{ kind: 'setxattr', ino, ...xattr }]);
    return ino;
  }

  /** Copies files of the database or the log to `to`. */
  copy(to: string, suffixes: string[]): void {
    for (const suffix of suffixes) {
      if (existsSync(this.path + suffix)) copyFileSync(this.path + suffix, to + suffix);
    }
  }

  /** A path for a copy. */
  place(): string {
    return join(this.folder, `copy-${++this.#copies}`);
  }

  /** What a process finds that opens the copy at `path`. */
  async namesAt(path: string): Promise<string[]> {
    const live = new LiveMeta(path);
    try {
      expect(live.state.totals().inodes).toBe(namesOf(live).length + 1);
      expect([...live.journal()]).toHaveLength(live.pendingOps);
      return namesOf(live);
    } finally {
      await live.close();
    }
  }
}

function namesOf(live: LiveMeta): string[] {
  return live.state
    .entries(ROOT_INO, -1, 10_000)
    .map(([, name]) => name.toString())
    .sort();
}

const numbered = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => String(index).padStart(6, '0'));

describe('what was changed', () => {
  test('is there after the death of the process, flushed or not', async () => {
    const bench = new Bench();
    const all = numbered(450);
    for (const [index, name] of all.entries()) {
      bench.make(name);
      if (index % 50 !== 7) continue;
      const copy = bench.place();
      bench.copy(copy, [...DATABASE, ...LOG]);
      expect(await bench.namesAt(copy)).toEqual(all.slice(0, index + 1));
      // The copy was opened and closed: it stands by itself now.
      expect(await bench.namesAt(copy)).toEqual(all.slice(0, index + 1));
    }
  });

  test('is there after a power cut that took all the database had not synced', async () => {
    const bench = new Bench();
    for (const name of numbered(10)) bench.make(name);
    bench.live.flush();
    const copy = bench.place();
    bench.copy(copy, DATABASE);
    for (const name of numbered(900).slice(10)) bench.make(name);
    await bench.live.wal.syncAll();
    bench.copy(copy, LOG);
    expect(await bench.namesAt(copy)).toEqual(numbered(900));
  });

  test('is there however often the log began anew', async () => {
    const bench = new Bench();
    const wide = Buffer.alloc(60_000, 5);
    const turns = Math.ceil((5 * LOG_FILE_BYTES) / wide.length);
    for (const [index, name] of numbered(turns).entries()) {
      bench.make(name, wide);
      // The log needs the event loop to see that its other file is free.
      if (index % 8 === 0) await new Promise(setImmediate);
      if (index % 25 !== 3) continue;
      const copy = bench.place();
      bench.copy(copy, [...DATABASE, ...LOG]);
      expect(await bench.namesAt(copy)).toEqual(numbered(index + 1));
    }
  });

  test('marks of dirty files and answers to requests among it', async () => {
    const bench = new Bench();
    const ino = bench.make('file');
    bench.live.markDirty(ino, 7 as Epoch);
    const time = { sec: 1, nsec: 1 };
    const request = { unique: 12, resent: false };
    bench.live.run([{ kind: 'truncate', ino, sizeBytes: 5, time }], request, 33);
    const copy = bench.place();
    bench.copy(copy, [...DATABASE, ...LOG]);
    const live = new LiveMeta(copy);
    expect(live.dirtyInodes()).toContainEqual({ ino, epoch: 7 });
    expect(live.earlierReply({ unique: 12, resent: true })).toBe(33);
    expect(live.inode(ino)?.sizeBytes).toBe(5);
    await live.close();
  });
});

test('a database that is only looked at is not written', async () => {
  const bench = new Bench();
  bench.make('a');
  const copy = bench.place();
  bench.copy(copy, DATABASE);
  await new LiveMeta(copy).close();
  expect(LOG.map((suffix) => existsSync(copy + suffix))).toEqual([false, false]);
});

describe('a damaged log', () => {
  test('gives what stands before the damage', async () => {
    const bench = new Bench();
    const base = bench.place();
    bench.copy(base, DATABASE);
    const ends: number[] = [];
    for (const name of numbered(12)) {
      bench.make(name);
      ends.push(startsOf(readFileSync(`${bench.path}-ops0`)).at(-1) ?? 0);
    }
    const log = readFileSync(`${bench.path}-ops0`);
    const end = ends.at(-1) ?? 0;
    for (let at = 0; at < end; at += 13) {
      const copy = bench.place();
      for (const suffix of DATABASE) {
        if (existsSync(base + suffix)) copyFileSync(base + suffix, copy + suffix);
      }
      const damaged = Buffer.from(log);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      writeFileSync(`${copy}-ops0`, damaged);
      const whole = ends.filter((one) => one <= at).length;
      expect(await bench.namesAt(copy)).toEqual(numbered(whole));
    }
  });

  test('is not gone on with behind a gap', async () => {
    const bench = new Bench();
    const copy = bench.place();
    bench.copy(copy, DATABASE);
    for (const name of numbered(4)) bench.make(name);
    const log = readFileSync(`${bench.path}-ops0`);
    const [, second = 0, third = 0] = startsOf(log);
    const from = (start: number): Buffer =>
      Buffer.concat([log.subarray(start), Buffer.alloc(start)]);
    // The record with the first name is lost, those with the others are in the other file.
    writeFileSync(`${copy}-ops1`, from(third));
    const whole = bench.place();
    bench.copy(whole, DATABASE);
    writeFileSync(`${whole}-ops1`, from(second));
    expect(await bench.namesAt(whole)).toEqual(numbered(4));
    expect(await bench.namesAt(copy)).toEqual([]);
  });
});

test('a record of a newer version is NEWER_FORMAT, and nothing is carried out', () => {
  const bench = new Bench();
  const copy = bench.place();
  bench.copy(copy, DATABASE);
  bench.make('a');
  const log = readFileSync(`${bench.path}-ops0`);
  const [, start = 0, end = 0] = startsOf(log);
  const record = log.subarray(start, end);
  record.writeUInt16LE(2, 12);
  record.fill(0, 24, 40);
  blake3(record).copy(record, 24, 0, 16);
  writeFileSync(`${copy}-ops0`, log);
  expect(() => new LiveMeta(copy)).toThrow(expect.objectContaining({ code: 'NEWER_FORMAT' }));
});

describe('a change that fails', () => {
  test('takes nothing of the changes before it, which are in the same transaction', async () => {
    const bench = new Bench();
    bench.live.flush();
    for (const name of numbered(20)) bench.make(name);
    const { db } = bench.live.state;
    const pages = db.pragma('page_count', { simple: true }) as number;
    db.pragma(`max_page_count = ${pages}`);
    const value = Buffer.alloc(60_000, 1);
    const wide = {
      kind: 'setxattr',
      ino: ROOT_INO,
      name: Buffer.from('user.w'),
      value,
      time: TIME,
    } as const;
    expect(() => bench.live.run([wide])).toThrow(expect.objectContaining({ code: 'NO_SPACE' }));
    expect(namesOf(bench.live)).toEqual(numbered(20));
    expect(bench.live.inode(ROOT_INO)?.nlink).toBe(2);
    db.pragma('max_page_count = 1000000');
    bench.make('after');
    const copy = bench.place();
    bench.copy(copy, [...DATABASE, ...LOG]);
    expect(await bench.namesAt(copy)).toEqual([...numbered(20), 'after']);
  });
});

/** Where the records of a log file start, and where the last one ends. */
function startsOf(log: Buffer): number[] {
  const starts = [0];
  for (let at = 0; log.readUInt32LE(at) === 0x4c53_4644; ) {
    at += 40 + log.readUInt32LE(at + 4);
    starts.push(at);
  }
  return starts;
}
