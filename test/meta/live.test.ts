import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ByteWriter } from '../../src/base/bytes.ts';
import { type ChunkId, type Epoch, type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { NO_RECORD_ID } from '../../src/meta/epoch-record-format.ts';
import {
  CommittedMeta,
  decodeEpochRecordHeader,
  encodeEpochRecord,
  encodeOp,
  LiveMeta,
  type MetaOp,
} from '../../src/meta/mod.ts';

const TIME = { sec: 9, nsec: 0 };
const CHUNK = Buffer.alloc(32, 7) as ChunkId;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'dfs-live-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

/** Copies a database as a crash leaves it: what is in SQLite's log counts. */
function crashCopy(from: string, to: string): void {
  for (const suffix of ['', '-wal', '-ops0', '-ops1']) {
    if (existsSync(from + suffix)) copyFileSync(from + suffix, to + suffix);
  }
}

function opened(path: string): LiveMeta {
  const live = new LiveMeta(path);
  onTestFinished(() => live.close());
  return live;
}

/** A volume of two databases at epoch 0, and what a committer does to them. */
class Pair {
  readonly folder: string = folder();
  live: LiveMeta;
  readonly committed: CommittedMeta;
  #path: string = join(this.folder, 'live');
  #lives = 1;
  #recordId: Buffer = NO_RECORD_ID;

  constructor() {
    this.committed = new CommittedMeta(this.committedPath);
    this.committed.format({ uid: 0, gid: 0, timeMs: 1000 });
    onTestFinished(() => this.committed.close());
    this.live = opened(this.#path);
    this.live.rebase(this.committedPath, { epoch: 0 as Epoch, seq: 0 });
  }

  get committedPath(): string {
    return join(this.folder, 'committed');
  }

  /** Goes on with a copy of the live database as it is in this instant. */
  crash(): void {
    const path = join(this.folder, `live-${++this.#lives}`);
    crashCopy(this.#path, path);
    this.live = opened(path);
    this.#path = path;
  }

  /** What the disks do: the journal up to `seq` becomes an epoch. */
  publish(epoch: number, seq: number, more: MetaOp[] = []): void {
    const after = this.committed.head()?.seq ?? 0;
    const out = new ByteWriter();
    for (const entry of this.live.journal(after)) if (entry.seq <= seq) encodeOp(out, entry.op);
    for (const op of more) encodeOp(out, op);
    const body = out.finish();
    const record = encodeEpochRecord({
      volumeTag: Buffer.alloc(8, 1),
      epoch: epoch as Epoch,
      incarnation: 1,
      cutTimeMs: 7,
      lastSeq: seq,
      previous: this.#recordId,
      body,
    });
    const header = decodeEpochRecordHeader(record);
    this.#recordId = header.id;
    this.committed.apply(header, body);
  }

  rebase(): void {
    const head = this.committed.head();
    if (head !== undefined) this.live.rebase(this.committedPath, head);
  }
}

function create(live: LiveMeta, name: string): MetaOp & { kind: 'create' } {
  return {
    kind: 'create',
    parent: ROOT_INO,
    name: Buffer.from(name),
    ino: live.allocateIno(),
    mode: 0o100644,
    uid: 0,
    gid: 0,
    rdev: 0,
    target: Buffer.alloc(0),
    time: TIME,
  };
}

function made(live: LiveMeta, name: string): Ino {
  const op = create(live, name);
  live.run([op]);
  return op.ino;
}

function names(live: LiveMeta): string[] {
  return live.state
    .entries(ROOT_INO, -1, 1000)
    .map(([, name]) => name.toString('latin1'))
    .sort();
}

/** Lets the database take no page more; the answer lets it again. */
function fill(live: LiveMeta): () => void {
  const { db } = live.state;
  const before = db.pragma('max_page_count', { simple: true }) as number;
  db.pragma(`max_page_count = ${db.pragma('page_count', { simple: true }) as number}`);
  return () => db.pragma(`max_page_count = ${before}`);
}

const WIDE = Buffer.alloc(60_000, 1);

function widely(ino: Ino): MetaOp {
  return { kind: 'setxattr', ino, name: Buffer.from('user.wide'), value: WIDE, time: TIME };
}

describe('after a crash', () => {
  test('the journal, the answers, what is dirty and the numbers are there', () => {
    const pair = new Pair();
    const op = create(pair.live, 'a');
    pair.live.run([op], { unique: 40, resent: false }, op.ino);
    pair.live.markDirty(op.ino, 1 as Epoch);
    const { lastSeq } = pair.live;
    pair.crash();
    expect(pair.live.lastSeq).toBe(lastSeq);
    expect(pair.live.pendingOps).toBe(1);
    expect([...pair.live.journal()].map((entry) => entry.op)).toEqual([op]);
    expect(pair.live.isPending(op.ino) && pair.live.isPending(ROOT_INO)).toBe(true);
    expect(pair.live.dirtyInodes()).toEqual([{ ino: op.ino, epoch: 1 }]);
    expect(pair.live.earlierReply({ unique: 40, resent: true })).toBe(op.ino);
    expect(pair.live.wal.sync(op.ino)).toBeInstanceOf(Promise);
  });

  test('only a request sent again has an earlier answer, until the next mount', () => {
    const pair = new Pair();
    pair.live.run([create(pair.live, 'a')], { unique: 4, resent: false }, 77);
    pair.crash();
    expect(pair.live.earlierReply({ unique: 4, resent: false })).toBeUndefined();
    expect(pair.live.earlierReply({ unique: 5, resent: true })).toBeUndefined();
    expect(pair.live.earlierReply({ unique: 4, resent: true })).toBe(77);
    pair.live.forgetReplies();
    expect(pair.live.earlierReply({ unique: 4, resent: true })).toBeUndefined();
    pair.crash();
    expect(pair.live.earlierReply({ unique: 4, resent: true })).toBeUndefined();
  });

  test('the newest 128 answers are kept', () => {
    const pair = new Pair();
    for (let unique = 1; unique <= 200; unique++) {
      pair.live.run([create(pair.live, `f${unique}`)], { unique, resent: false }, unique);
    }
    pair.crash();
    const known = Array.from({ length: 200 }, (_, at) =>
      pair.live.earlierReply({ unique: at + 1, resent: true }),
    );
    expect(known.filter((reply) => reply !== undefined)).toHaveLength(128);
    expect(known.at(-1)).toBe(200);
  });

  test('a number of an inode is never given out again', () => {
    const pair = new Pair();
    const given = new Set<Ino>();
    for (let life = 0; life < 5; life++) {
      for (let count = 0; count < 3000; count++) {
        const ino = pair.live.allocateIno();
        expect(given.has(ino)).toBe(false);
        given.add(ino);
      }
      if (life % 2 === 0) pair.crash();
      else pair.rebase();
    }
  });
});

describe('run() that fails', () => {
  test('leaves rows, numbers, journal and memory as they were, and can be tried again', () => {
    const { live } = new Pair();
    const ino = made(live, 'a');
    const inode = live.inode(ino);
    if (inode === undefined) throw new Error('the inode is there');
    live.pin(inode);
    Object.assign(inode, { sizeBytes: 5000, mtimeSec: 123, blocks: 10 });
    const before = { ...inode };
    const { lastSeq } = live;
    const root = { ...live.inode(ROOT_INO) };
    const relax = fill(live);
    const ops: MetaOp[] = [
      { kind: 'truncate', ino, sizeBytes: 3, time: { sec: 50, nsec: 0 } },
      { kind: 'link', parent: ROOT_INO, name: Buffer.from('b'), ino, time: { sec: 50, nsec: 0 } },
      widely(ino),
    ];
    expect(() => live.run(ops, { unique: 9, resent: false })).toThrow(
      expect.objectContaining({ code: 'NO_SPACE' }),
    );
    expect(live.inode(ino)).toEqual(before);
    expect(live.inode(ROOT_INO)).toEqual(root);
    expect(names(live)).toEqual(['a']);
    expect([...live.journal()]).toHaveLength(1);
    expect(live.lastSeq).toBe(lastSeq);
    relax();
    live.run(ops);
    expect(live.lastSeq).toBe(lastSeq + 3);
    expect(live.inode(ino)).toMatchObject({ sizeBytes: 3, nlink: 2 });
  });

  test('a number that cannot be reserved is not given out', () => {
    const pair = new Pair();
    const { live } = pair;
    const first = live.allocateIno();
    for (let ino = first; ino < first + 4096 - 2; ino++) live.allocateIno();
    let last = live.allocateIno();
    live.flush();
    live.state.db.pragma('query_only = 1');
    expect(() => {
      for (let count = 0; count < 3; count++) last = live.allocateIno();
    }).toThrow(expect.objectContaining({ code: 'IO' }));
    expect(() => live.allocateIno()).toThrow('Cannot use');
    live.state.db.pragma('query_only = 0');
    expect(live.allocateIno()).toBe(last + 1);
    pair.crash();
    expect(pair.live.allocateIno()).toBeGreaterThan(last + 1);
  });
});

describe('a publish', () => {
  test('ends the journal and what was dirty before its cut', () => {
    const { live } = new Pair();
    const [early, late] = [made(live, 'early'), made(live, 'late')];
    live.markDirty(early, 1 as Epoch);
    const { seq } = live.cut([]);
    live.markDirty(late, 2 as Epoch);
    live.run([widely(late)]);
    live.publishes.done(1 as Epoch, seq);
    expect(live.isPending(early)).toBe(false);
    while (live.publishes.trim(100));
    expect(live.committedEpoch).toBe(1);
    expect([...live.journal()].map((entry) => entry.seq)).toEqual([seq + 1]);
    expect(live.dirtyInodes()).toEqual([{ ino: late, epoch: 2 }]);
    expect([live.isPending(early), live.isPending(late)]).toEqual([false, true]);
    expect(live.pendingOps).toBe(1);
  });

  test('removes what is no longer needed in pieces, the rest of it after a crash', () => {
    const pair = new Pair();
    const { live } = pair;
    const inos = Array.from({ length: 25 }, (_, index) => {
      // Each transaction makes a row, which goes as a whole.
      if (index % 5 === 0) live.flush();
      return made(live, `file-${index}`);
    });
    for (const ino of inos) live.markDirty(ino, 1 as Epoch);
    const { seq } = live.cut([]);
    const late = made(live, 'late');
    live.markDirty(late, 2 as Epoch);
    live.markDirty(inos[7] as Ino, 2 as Epoch);
    live.publishes.done(1 as Epoch, seq);
    let rows = [...live.journal()].length;
    for (let turn = 0; turn < 2; turn++) {
      expect(live.publishes.trim(10)).toBe(true);
      const left = [...live.journal()].length;
      expect(rows - left).toBe(10);
      rows = left;
    }
    expect(live.dirtyInodes()).toHaveLength(26 - 20 + 1);
    pair.crash();
    const after = pair.live;
    expect([...after.journal()].map((entry) => entry.seq)).toEqual([seq + 1]);
    expect(after.dirtyInodes().map(({ ino }) => ino)).toEqual([inos[7], late]);
    expect(inos.some((ino) => after.isPending(ino))).toBe(false);
    expect(after.isPending(late)).toBe(true);
    expect(after.publishes.trim(10)).toBe(false);
  });

  test('brings no byte back that a truncation behind its cut took', () => {
    const { live } = new Pair();
    const ino = made(live, 'a');
    const { erased } = live.cut([]);
    live.run([
      { kind: 'truncate', ino, sizeBytes: 100, time: TIME },
      { kind: 'truncate', ino, sizeBytes: 9000, time: TIME },
    ]);
    const range = { offset: 0, lengthBytes: 8192, chunk: CHUNK, chunkOffset: 0 };
    const behind = { offset: 8192, lengthBytes: 500, chunk: CHUNK, chunkOffset: 0 };
    live.publishes.extents([{ ino, ranges: [range, behind] }], erased);
    const stored = live.state.extents.overlapping(ino, 0, 10_000);
    expect(stored).toEqual([{ ...range, lengthBytes: 100 }]);
  });

  test('brings no byte back that was punched or written over behind its cut', () => {
    const { live } = new Pair();
    const ino = made(live, 'a');
    const { erased } = live.cut([]);
    live.run([
      { kind: 'punch', ino, offset: 4096, lengthBytes: 4096, time: TIME },
      {
        kind: 'clone',
        ino,
        offset: 12_288,
        source: ino,
        sourceOffset: 0,
        lengthBytes: 10,
        time: TIME,
      },
    ]);
    const range = { offset: 0, lengthBytes: 20_001, chunk: CHUNK, chunkOffset: 7 };
    live.publishes.extents([{ ino, ranges: [range] }], erased);
    const stored = live.state.extents.overlapping(ino, 0, 30_000);
    expect(stored).toEqual([
      { ...range, lengthBytes: 4096 },
      { ...range, offset: 8192, lengthBytes: 4096, chunkOffset: 8199 },
      { ...range, offset: 12_298, lengthBytes: 20_001 - 12_298, chunkOffset: 12_305 },
    ]);
  });

  test('passes over a file that is gone', () => {
    const { live } = new Pair();
    const ino = made(live, 'a');
    const { erased } = live.cut([]);
    live.run([{ kind: 'unlink', parent: ROOT_INO, name: Buffer.from('a'), time: TIME }]);
    live.run([{ kind: 'reap', ino }]);
    const range = { offset: 0, lengthBytes: 10, chunk: CHUNK, chunkOffset: 0 };
    live.publishes.extents([{ ino, ranges: [range] }], erased);
    expect(live.state.extents.overlapping(ino, 0, 100)).toEqual([]);
  });

  test('writes size and times down with the cut', () => {
    const { live } = new Pair();
    const inode = live.inode(made(live, 'a'));
    if (inode === undefined) throw new Error('the inode is there');
    Object.assign(inode, { sizeBytes: 77, mtimeSec: 5, mtimeNsec: 6, ctimeSec: 7, ctimeNsec: 8 });
    const { seq } = live.cut([inode]);
    expect([...live.journal()].at(-1)).toEqual({
      seq,
      op: {
        kind: 'grow',
        ino: inode.ino,
        sizeBytes: 77,
        mtime: { sec: 5, nsec: 6 },
        ctime: { sec: 7, nsec: 8 },
      },
    });
  });
});

describe('rebase()', () => {
  test('keeps what was done behind an epoch that the disks have and the live side had not ended', () => {
    const pair = new Pair();
    const ino = made(pair.live, 'in the epoch');
    pair.live.markDirty(ino, 1 as Epoch);
    const { seq, erased } = pair.live.cut([]);
    const later = made(pair.live, 'later');
    pair.live.markDirty(later, 2 as Epoch);
    pair.live.run([{ kind: 'truncate', ino, sizeBytes: 10, time: TIME }]);
    const range = { offset: 0, lengthBytes: 50, chunk: CHUNK, chunkOffset: 0 };
    pair.publish(1, seq, [
      { kind: 'chunk', chunk: CHUNK, lengthBytes: 50, scheme: 'replica:2' },
      { kind: 'extents', ino, ranges: [range] },
    ]);
    // Half of the live side's publish was done, too.
    pair.live.publishes.extents([{ ino, ranges: [range] }], erased);
    pair.crash();
    pair.rebase();
    expect(names(pair.live)).toEqual(['in the epoch', 'later']);
    expect(pair.live.inode(ino)?.sizeBytes).toBe(10);
    expect(pair.live.state.extents.overlapping(ino, 0, 100)).toEqual([
      { ...range, lengthBytes: 10 },
    ]);
    expect(pair.live.committedEpoch).toBe(1);
    expect(pair.live.pendingOps).toBe(2);
    expect(pair.live.dirtyInodes()).toEqual([{ ino: later, epoch: 2 }]);
    expect([...pair.live.journal()].map((entry) => entry.seq)).toEqual([seq + 1, seq + 2]);
    expect(pair.live.isPending(later)).toBe(true);
  });

  test('takes the committed state when a power cut took the newest operations here', () => {
    const pair = new Pair();
    made(pair.live, 'kept');
    const older = join(pair.folder, 'older');
    crashCopy(join(pair.folder, 'live'), older);
    const lost = made(pair.live, 'lost here');
    const { seq } = pair.live.cut([]);
    pair.publish(1, seq);
    pair.live = opened(older);
    expect(pair.live.lastSeq).toBeLessThan(seq);
    pair.rebase();
    expect(names(pair.live)).toEqual(['kept', 'lost here']);
    expect(pair.live.lastSeq).toBe(seq);
    expect(pair.live.pendingOps).toBe(0);
    const next = made(pair.live, 'next');
    expect(next).toBeGreaterThan(lost);
    expect([...pair.live.journal()].map((entry) => entry.seq)).toEqual([seq + 1]);
  });

  test('that fails changes nothing', () => {
    const pair = new Pair();
    made(pair.live, 'a');
    const { seq } = pair.live.cut([]);
    pair.publish(1, seq);
    pair.live.run([widely(made(pair.live, 'b'))]);
    pair.live.flush();
    pair.live.state.db.pragma('query_only = 1');
    expect(() => pair.rebase()).toThrow();
    pair.live.state.db.pragma('query_only = 0');
    expect(pair.live.committedEpoch).toBe(0);
    expect(names(pair.live)).toEqual(['a', 'b']);
    pair.rebase();
    expect(pair.live.committedEpoch).toBe(1);
    expect(names(pair.live)).toEqual(['a', 'b']);
  });
});

describe('the committed side', () => {
  test('an epoch with an operation that cannot be read changes nothing', () => {
    const pair = new Pair();
    made(pair.live, 'a');
    const out = new ByteWriter();
    for (const { op } of pair.live.journal()) encodeOp(out, op);
    const body = Buffer.concat([out.finish(), Buffer.from([200])]);
    const record = encodeEpochRecord({
      volumeTag: Buffer.alloc(8, 1),
      epoch: 1 as Epoch,
      incarnation: 1,
      cutTimeMs: 7,
      lastSeq: 1,
      previous: NO_RECORD_ID,
      body,
    });
    const header = decodeEpochRecordHeader(record);
    expect(() => pair.committed.apply(header, body)).toThrow(
      expect.objectContaining({ code: 'CORRUPT' }),
    );
    expect(pair.committed.head()?.epoch).toBe(0);
    expect(pair.committed.state.totals().inodes).toBe(1);
  });
});

describe('access times', () => {
  const LATER = { sec: 50, nsec: 6 };

  test('cost no operation, and the next cut writes them down with ctime as it is', () => {
    const pair = new Pair();
    const ino = made(pair.live, 'a');
    const inode = pair.live.inode(ino);
    if (inode === undefined) throw new Error('the inode is gone');
    const before = pair.live.lastSeq;
    pair.live.touch(inode, LATER);
    expect(pair.live.lastSeq).toBe(before);
    expect(pair.live.inode(ino)).toMatchObject({ atimeSec: 50, atimeNsec: 6 });
    pair.publish(1, pair.live.cut([]).seq);
    expect(pair.live.lastSeq).toBe(before + 1);
    expect(pair.committed.state.inode(ino)).toMatchObject({
      atimeSec: 50,
      atimeNsec: 6,
      ctimeSec: TIME.sec,
    });
    pair.live.cut([]);
    expect(pair.live.lastSeq).toBe(before + 1);
  });

  test('stay with inodes that nobody else keeps in memory, and go with those that are reaped', () => {
    const { live } = new Pair();
    const inos = Array.from({ length: 17_000 }, (_, index) => index + 10_000).map((number) => {
      return { ...create(live, `f${number}`), ino: number as Ino };
    });
    live.run(inos);
    for (const { ino } of inos) {
      const inode = live.inode(ino);
      if (inode !== undefined) live.touch(inode, LATER);
    }
    // The cache of inodes holds fewer; the rows of some have their time by now.
    expect(inos.every(({ ino }) => live.inode(ino)?.atimeSec === LATER.sec)).toBe(true);
    expect(live.lastSeq).toBeGreaterThan(17_000);
    const name = Buffer.from('f26999');
    const ino = 26_999 as Ino;
    live.run([
      { kind: 'unlink', parent: ROOT_INO, name, time: TIME },
      { kind: 'reap', ino },
    ]);
    expect(live.inode(ino)).toBeUndefined();
    live.writeTimes();
    live.flush();
    const rows = live.state.db.prepare('select count(*) from inode where atime = ?').pluck();
    expect(rows.get(LATER.sec)).toBe(16_999);
  });

  test('that cannot be written down are left out', () => {
    const { live } = new Pair();
    const inode = live.inode(made(live, 'a'));
    if (inode === undefined) throw new Error('the inode is gone');
    live.touch(inode, LATER);
    live.flush();
    live.state.db.pragma('query_only = 1');
    expect(() => live.writeTimes()).not.toThrow();
    live.state.db.pragma('query_only = 0');
  });
});
