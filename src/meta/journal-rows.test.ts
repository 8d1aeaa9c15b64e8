import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { ByteWriter } from '../base/bytes.ts';
import type { Ino } from '../base/ids.ts';
import { JournalRows, journalBytes } from './journal-rows.ts';
import type { MetaOp } from './ops.ts';
import { encodeOp } from './ops-codec.ts';
import { LIVE_SCHEMA } from './schema.ts';

function opened(): { db: Database.Database; rows: JournalRows } {
  const db = new Database(':memory:');
  onTestFinished(() => {
    db.close();
  });
  db.exec(LIVE_SCHEMA);
  return { db, rows: new JournalRows(db) };
}

/** Operation `seq` removes inode `seq`. */
function bytesOf(first: number, count: number): Buffer {
  const out = new ByteWriter();
  for (let ino = first; ino < first + count; ino++)
    encodeOp(out, { kind: 'reap', ino: ino as Ino });
  return out.finish();
}

function numbers(rows: JournalRows, afterSeq = 0): number[] {
  return [...rows.read(afterSeq)].map(({ seq, op }) => {
    expect((op as MetaOp & { kind: 'reap' }).ino).toBe(seq);
    return seq;
  });
}

test('changes that follow each other share a row, and are read from any of them on', () => {
  const { db, rows } = opened();
  rows.add(1, 3, bytesOf(1, 3));
  rows.add(4, 2, bytesOf(4, 2));
  rows.write();
  rows.add(6, 1, bytesOf(6, 1));
  expect(numbers(rows)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(numbers(rows, 2)).toEqual([3, 4, 5, 6]);
  expect(db.prepare('select seq, count from batch').raw().all()).toEqual([
    [1, 5],
    [6, 1],
  ]);
  expect([rows.oldest(), rows.newest()]).toEqual([1, 6]);
});

test('dropping up to the middle of a row leaves the rest of it', () => {
  for (let seq = 0; seq <= 7; seq++) {
    const { rows } = opened();
    rows.add(1, 4, bytesOf(1, 4));
    rows.write();
    rows.add(5, 2, bytesOf(5, 2));
    rows.drop(seq);
    expect(numbers(rows)).toEqual([1, 2, 3, 4, 5, 6].filter((left) => left > seq));
  }
});

test('what is forgotten was never there', () => {
  const { rows } = opened();
  rows.add(1, 1, bytesOf(1, 1));
  rows.write();
  rows.add(2, 1, bytesOf(2, 1));
  rows.forget();
  rows.add(2, 2, bytesOf(2, 2));
  expect(numbers(rows)).toEqual([1, 2, 3]);
});

test('an epoch gets exactly its operations, also from rows that go beyond it, or none', () => {
  const { db, rows } = opened();
  for (const first of [1, 4]) {
    rows.add(first, 3, bytesOf(first, 3));
    rows.write();
  }
  for (let after = 0; after < 6; after++) {
    for (let seq = after; seq <= 6; seq++) {
      const found = Buffer.concat([...journalBytes(db, after, seq)]);
      expect(found).toEqual(bytesOf(after + 1, seq - after));
    }
  }
  expect(() => [...journalBytes(db, 3, 7)]).toThrow('ends with operation 6 instead of 7');
  rows.drop(3);
  expect(() => [...journalBytes(db, 2, 6)]).toThrow('ends with operation 2 instead of 6');
});
