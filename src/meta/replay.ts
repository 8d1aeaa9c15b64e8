import type { JournalRows } from './journal-rows.ts';
import { readLiveRecord } from './live-records.ts';
import { type LiveSql, noteCommitted } from './live-sql.ts';
import type { Marks } from './marks.ts';
import type { ReplyRing } from './reply-ring.ts';
import type { MetaState } from './state.ts';

/** What the records of the write-ahead log change: rows, nothing in memory. */
export interface ReplayTarget {
  rows: MetaState;
  marks: Marks;
  replies: ReplyRing;
  journal: JournalRows;
  sql: LiveSql;
}

/** Carries out the change a record's payload describes. Throws CORRUPT when it cannot be read. */
export function replayRecord(payload: Buffer, target: ReplayTarget): void {
  const { rows, marks, replies, journal, sql } = target;
  const record = readLiveRecord(payload);
  if (record.kind === 'dirty') return marks.putDirty(record.ino, record.epoch);
  if (record.kind === 'synced') return marks.putSynced(record.ino, record.epoch);
  if (record.kind === 'published') {
    // An epoch between was not in the log, and the power went: the disks have it, and this one.
    const [epoch] = (sql.local.get('committedEpoch') as [number] | undefined) ?? [0];
    if (epoch !== record.behind) return;
    for (const { ino, ranges } of record.files) rows.extents.replace(ino, ranges);
    noteCommitted(sql, record);
    return marks.dropSynced(record.epoch);
  }
  for (const op of record.ops) rows.apply(op);
  journal.add(record.firstSeq, record.ops.length, record.bytes);
  if (record.reply !== undefined) replies.put(record.reply.unique, record.reply.result);
}
