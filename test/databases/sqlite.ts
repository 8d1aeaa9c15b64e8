import { join } from 'node:path';
import Database from 'better-sqlite3';
import { bytesFor, judgeLast, type Known, type Load, numberFor, type Running } from './load.ts';

const ACCOUNTS = 10;
const OPENING_BALANCE = 1000;
const NOTE_BYTES_MAX = 6000;
/** Pages of the write-ahead log before they are copied: often, so that cuts meet it. */
const CHECKPOINT_PAGES = 40;

interface Transfer {
  from: number;
  to: number;
  amount: number;
  noteBytes: number;
}

function transferOf(number: number): Transfer {
  return {
    from: numberFor(number, 1, ACCOUNTS),
    to: numberFor(number, 2, ACCOUNTS),
    amount: numberFor(number, 3, 100),
    noteBytes: numberFor(number, 4, NOTE_BYTES_MAX),
  };
}

class Bank implements Running {
  readonly #database: Database.Database;
  readonly #transfer: (number: number) => void;

  constructor(path: string, settings: { journal: string; synchronous: string }) {
    const database = new Database(path);
    this.#database = database;
    database.pragma(`journal_mode = ${settings.journal}`);
    database.pragma(`synchronous = ${settings.synchronous}`);
    database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    database.exec(`create table account (id integer primary key, balance integer);
      create table ledger (id integer primary key, note blob);`);
    const open = database.prepare('insert into account values (?, ?)');
    for (let id = 0; id < ACCOUNTS; id++) open.run(id, OPENING_BALANCE);
    const pay = database.prepare('update account set balance = balance + ? where id = ?');
    const note = database.prepare('insert into ledger values (?, ?)');
    this.#transfer = database.transaction((number: number) => {
      const { from, to, amount, noteBytes } = transferOf(number);
      pay.run(-amount, from);
      pay.run(amount, to);
      note.run(number, bytesFor(number, noteBytes));
    });
  }

  step(number: number): void {
    this.#transfer(number);
  }

  close(): void {
    this.#database.close();
  }
}

function check(path: string, known: Known): string[] {
  const database = new Database(path, { fileMustExist: true });
  try {
    const integrity = database.pragma('integrity_check', { simple: true });
    if (integrity !== 'ok') return [`integrity_check says ${String(integrity)}`];
    const rows = database.prepare('select id, note from ledger order by id').raw().all();
    const balances = Array.from({ length: ACCOUNTS }, () => OPENING_BALANCE);
    for (const [index, [id, note]] of (rows as [number, Buffer][]).entries()) {
      if (id !== index + 1) return [`transaction ${index + 1} is missing before ${id}`];
      const { from, to, amount, noteBytes } = transferOf(id);
      balances[from] = (balances[from] ?? 0) - amount;
      balances[to] = (balances[to] ?? 0) + amount;
      if (!note.equals(bytesFor(id, noteBytes))) return [`transaction ${id} has other bytes`];
    }
    const found = database.prepare('select balance from account order by id').pluck().all();
    const problems = judgeLast(rows.length, known);
    if (String(found) !== String(balances)) {
      problems.push(`after ${rows.length} transactions the accounts have ${String(found)}`);
    }
    return problems;
  } finally {
    database.close();
  }
}

function bankLoad(name: string, settings: { journal: string; synchronous: string }): Load {
  return {
    name,
    isSynced: true,
    begin: (folder) => Promise.resolve(new Bank(join(folder, 'bank'), settings)),
    check: (folder, known) => Promise.resolve().then(() => check(join(folder, 'bank'), known)),
  };
}

export const SQLITE_WAL: Load = bankLoad('sqlite-wal', { journal: 'wal', synchronous: 'full' });

/** The removal of the journal ends a transaction: FULL does not sync it, EXTRA does. */
export const SQLITE_DELETE: Load = bankLoad('sqlite-delete', {
  journal: 'delete',
  synchronous: 'extra',
});
