import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ByteWriter } from '../../src/base/bytes.ts';
import { type ChunkId, type Epoch, type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { NO_RECORD_ID } from '../../src/meta/epoch-record-format.ts';
import {
  type ChunkRow,
  CommittedMeta,
  decodeEpochRecordHeader,
  type EpochRecordHeader,
  encodeEpochRecord,
  encodeOp,
  type MetaOp,
} from '../../src/meta/mod.ts';
import { Dice, seedOf } from '../harness/seed.ts';

const PAGE = 4096;
const FILES = 4;
const BLOCKS = 6;
const CHUNKS = 12;
const EPOCHS = 60;
const TIME = { sec: 1, nsec: 0 };
const SCHEMES = ['replica:2', 'ec:2+1'];

const chunkOf = (number: number): ChunkId => Buffer.alloc(32, number) as ChunkId;
const inoOf = (file: number): Ino => (10 + file) as Ino;
const all = (committed: CommittedMeta): ChunkRow[] =>
  committed.allChunksAfter(Buffer.alloc(0), 1000);

interface Recorded {
  header: EpochRecordHeader;
  body: Buffer;
}

/** The records of a row of epochs, each naming the one before. */
class Chain {
  #previous = NO_RECORD_ID;

  record(epoch: Epoch, ops: MetaOp[]): Recorded {
    const out = new ByteWriter();
    for (const op of ops) encodeOp(out, op);
    const body = out.finish();
    const record = encodeEpochRecord({
      volumeTag: Buffer.alloc(8, 1),
      epoch,
      incarnation: 1,
      cutTimeMs: 1000 * epoch,
      lastSeq: epoch,
      previous: this.#previous,
      body,
    });
    const header = decodeEpochRecordHeader(record);
    this.#previous = header.id;
    return { header, body };
  }
}

/** What the table of chunks must say, found in another way: by counting after each epoch. */
class Model {
  readonly rows = new Map<number, Omit<ChunkRow, 'id' | 'refs'>>();
  /** Chunk of each block of each file. */
  readonly files: (number | undefined)[][] = Array.from({ length: FILES }, () => []);

  refs(chunk: number): number {
    return this.files.flat().filter((at) => at === chunk).length;
  }

  forget(chunk: number): void {
    const scheme = this.rows.get(chunk)?.scheme;
    if (scheme !== 'inline' && this.refs(chunk) === 0) this.rows.delete(chunk);
  }

  stored(chunk: number, epoch: Epoch, scheme: string): void {
    const row = this.rows.get(chunk);
    if (row !== undefined && scheme === 'inline') return;
    if (row !== undefined) row.scheme = scheme;
    else this.rows.set(chunk, { lengthBytes: PAGE, scheme, born: epoch, died: null });
  }

  name(file: number, block: number, chunk: number | undefined): void {
    (this.files[file] ?? [])[block] = chunk;
    const row = chunk === undefined ? undefined : this.rows.get(chunk);
    if (row !== undefined) row.died = null;
  }

  endEpoch(epoch: Epoch): void {
    for (const [chunk, row] of this.rows) {
      if (this.refs(chunk) > 0) row.died = null;
      else if (row.scheme === 'inline') this.rows.delete(chunk);
      else row.died ??= epoch;
    }
  }

  expected(): ChunkRow[] {
    return [...this.rows]
      .map(([chunk, row]) => ({ id: chunkOf(chunk), refs: this.refs(chunk), ...row }))
      .sort((a, b) => a.id.compare(b.id));
  }
}

/** A random epoch, in the order of a body: forgets, the journal, chunks, extents. */
function randomEpoch(dice: Dice, model: Model, epoch: Epoch): MetaOp[] {
  const ops: MetaOp[] = [];
  if (epoch === 1) {
    for (let file = 0; file < FILES; file++) {
      const place = { parent: ROOT_INO, name: Buffer.from(`file ${file}`), ino: inoOf(file) };
      const owner = { mode: 0o100644, uid: 0, gid: 0, rdev: 0, target: Buffer.alloc(0) };
      ops.push({ kind: 'create', ...place, ...owner, time: TIME });
    }
  }
  for (let left = dice.below(4); left > 0; left--) {
    const chunk = dice.below(CHUNKS);
    ops.push({ kind: 'forget', chunk: chunkOf(chunk) });
    model.forget(chunk);
  }
  for (let left = dice.below(4); left > 0; left--) ops.push(journalOp(dice, model));
  for (let left = dice.below(5); left > 0; left--) {
    const chunk = dice.below(CHUNKS);
    if (dice.below(3) === 0) {
      ops.push({ kind: 'inline', chunk: chunkOf(chunk), content: Buffer.alloc(PAGE, chunk) });
      model.stored(chunk, epoch, 'inline');
    } else {
      const scheme = dice.pick(SCHEMES);
      ops.push({ kind: 'chunk', chunk: chunkOf(chunk), lengthBytes: PAGE, scheme });
      model.stored(chunk, epoch, scheme);
    }
  }
  for (let left = dice.below(5); left > 0; left--) {
    const [file, block, chunk] = [dice.below(FILES), dice.below(BLOCKS), dice.below(CHUNKS)];
    if (!model.rows.has(chunk)) continue;
    const at = { offset: block * PAGE, lengthBytes: PAGE, chunkOffset: 0 };
    ops.push({ kind: 'extents', ino: inoOf(file), ranges: [{ ...at, chunk: chunkOf(chunk) }] });
    model.name(file, block, chunk);
  }
  model.endEpoch(epoch);
  return ops;
}

function journalOp(dice: Dice, model: Model): MetaOp {
  const [file, from] = [dice.below(FILES), dice.below(FILES)];
  const blocks = model.files[file] ?? [];
  const block = dice.below(BLOCKS);
  const ino = inoOf(file);
  const range = { offset: block * PAGE, lengthBytes: PAGE, time: TIME };
  switch (dice.below(3)) {
    case 0:
      blocks.length = Math.min(blocks.length, block);
      return { kind: 'truncate', ino, sizeBytes: block * PAGE, time: TIME };
    case 1:
      blocks[block] = undefined;
      return { kind: 'punch', ino, ...range };
    default: {
      const sourceBlock = dice.below(BLOCKS);
      model.name(file, block, model.files[from]?.[sourceBlock]);
      return {
        kind: 'clone',
        ino,
        source: inoOf(from),
        sourceOffset: sourceBlock * PAGE,
        ...range,
      };
    }
  }
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dfs-chunk-life-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

let opened = 0;
function open(path = join(folder, `committed-${opened++}`)): CommittedMeta {
  return new CommittedMeta(path);
}

describe('chunks of the committed metadata', () => {
  const seed = seedOf('test/meta/chunk-life.test.ts');

  test('are named, dead, re-encoded and forgotten as a count after each epoch says', () => {
    for (let run = 0; run < 10; run++) {
      const dice = new Dice(seed + run);
      const committed = open();
      committed.format({ uid: 0, gid: 0, timeMs: 0 });
      const [model, chain] = [new Model(), new Chain()];
      for (let epoch = 1 as Epoch; epoch <= EPOCHS; epoch++) {
        const { header, body } = chain.record(epoch, randomEpoch(dice, model, epoch));
        committed.apply(header, body);
        expect(all(committed)).toEqual(model.expected());
        expect(committed.inconsistencies()).toEqual([]);
      }
      const dead = model.expected().filter(({ died }) => died !== null);
      expect(committed.deadTotals()).toEqual({ chunks: dead.length, bytes: dead.length * PAGE });
      committed.close();
    }
  });

  test('are the same from a snapshot of any epoch and the records behind it', () => {
    const dice = new Dice(seed ^ 0x5eed);
    const committed = open();
    committed.format({ uid: 0, gid: 0, timeMs: 0 });
    const [model, chain] = [new Model(), new Chain()];
    const snapshots: { path: string; epoch: number }[] = [];
    const records: Recorded[] = [];
    for (let epoch = 1 as Epoch; epoch <= EPOCHS; epoch++) {
      const recorded = chain.record(epoch, randomEpoch(dice, model, epoch));
      records.push(recorded);
      committed.apply(recorded.header, recorded.body);
      if (dice.below(5) > 0) continue;
      const path = join(folder, `snapshot-${epoch}`);
      committed.copyTo(path);
      snapshots.push({ path, epoch });
    }
    const wanted = all(committed);
    committed.close();
    expect(wanted).toEqual(model.expected());
    for (const { path, epoch } of snapshots) {
      const again = open(path);
      // Some at once, as the feed does it.
      for (let at = epoch; at < records.length; ) {
        const count = 1 + dice.below(7);
        again.applyAll(records.slice(at, at + count));
        at += count;
      }
      expect(all(again)).toEqual(wanted);
      again.close();
    }
  });

  test('a transaction that fails leaves no trace in the ones after it', () => {
    const committed = open();
    committed.format({ uid: 0, gid: 0, timeMs: 0 });
    const chain = new Chain();
    const stored: MetaOp = {
      kind: 'chunk',
      chunk: chunkOf(1),
      lengthBytes: PAGE,
      scheme: 'replica:2',
    };
    const { header, body } = chain.record(1 as Epoch, [stored]);
    const broken = Buffer.concat([body, Buffer.of(255)]);
    expect(() => committed.apply(header, broken)).toThrow(/unknown tag 255/);
    expect(all(committed)).toEqual([]);
    const second = chain.record(2 as Epoch, []);
    committed.apply(second.header, second.body);
    expect(all(committed)).toEqual([]);
    committed.close();
  });
});

describe('deadChunks()', () => {
  test('gives the longest dead first, in pages', () => {
    const committed = open();
    committed.format({ uid: 0, gid: 0, timeMs: 0 });
    const chain = new Chain();
    const stored = (number: number): MetaOp => {
      return { kind: 'chunk', chunk: chunkOf(number), lengthBytes: PAGE, scheme: 'ec:2+1' };
    };
    const epochs = [[5, 3], [9], [1, 2, 8]];
    for (const [at, chunks] of epochs.entries()) {
      const { header, body } = chain.record((at + 1) as Epoch, chunks.map(stored));
      committed.apply(header, body);
    }
    const found: [number | undefined, number][] = [];
    let last: { died: Epoch; id: ChunkId } | undefined;
    for (;;) {
      const page = committed.deadChunks(2, last);
      for (const { id, died, born } of page) {
        expect(born).toBe(died);
        found.push([id[0], died]);
      }
      last = page.at(-1);
      if (last === undefined) break;
    }
    expect(found).toEqual([
      [3, 1],
      [5, 1],
      [9, 2],
      [1, 3],
      [2, 3],
      [8, 3],
    ]);
    committed.close();
  });
});

test('a committed database of before is given the life of its chunks', () => {
  const path = join(folder, 'old');
  const now = open(path);
  now.format({ uid: 0, gid: 0, timeMs: 0 });
  const { header, body } = new Chain().record(1 as Epoch, []);
  now.apply(header, body);
  now.close();
  const old = new Database(path);
  old.exec(`
    drop table chunk;
    create table chunk (
      id blob primary key, length integer not null, scheme text not null, refs integer not null
    ) strict, without rowid;
    insert into chunk values (x'01', 10, 'replica:2', 0), (x'02', 20, 'ec:2+1', 3);
  `);
  old.close();
  const rows = [
    { lengthBytes: 10, scheme: 'replica:2', refs: 0, born: 0, died: 1 },
    { lengthBytes: 20, scheme: 'ec:2+1', refs: 3, born: 0, died: null },
  ];
  for (let times = 0; times < 2; times++) {
    const committed = open(path);
    expect(all(committed)).toMatchObject(rows);
    expect(committed.deadChunks(10)).toMatchObject(rows.slice(0, 1));
    committed.close();
  }
});
