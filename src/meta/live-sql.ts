import type Database from 'better-sqlite3';
import type { Epoch } from '../base/ids.ts';

export type LiveSql = Record<'local' | 'setLocal', Database.Statement>;

/** Notes in table `local` which epoch is committed, and the last journal number in it. */
export function noteCommitted(sql: LiveSql, committed: { epoch: Epoch; seq: number }): void {
  sql.setLocal.run('committedEpoch', committed.epoch);
  sql.setLocal.run('committedSeq', committed.seq);
}

/** The statements of the live metadata that are not the state machine's. */
export function prepareLive(db: Database.Database): LiveSql {
  return {
    local: db.prepare('select value from local where key = ?').raw(),
    setLocal: db.prepare('insert or replace into local (key, value) values (?, ?)'),
  };
}
