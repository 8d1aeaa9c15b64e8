/**
 * Runs transactions on a new SQLite database, synchronous=FULL. Arguments: FILE JOURNAL_MODE COUNT.
 */
import Database from 'better-sqlite3';
import { say } from './programs.ts';

const [file = '', journalMode = 'wal', countText = '1000'] = process.argv.slice(2);
const count = Number(countText);
const SAY_EVERY = 25;

const database = new Database(file);
const mode = database.pragma(`journal_mode = ${journalMode}`, { simple: true });
if (String(mode).toLowerCase() !== journalMode) {
  throw new Error(`Cannot use journal mode ${journalMode}: it is ${String(mode)}`);
}
database.pragma('synchronous = FULL');
database.exec('CREATE TABLE ledger (id INTEGER PRIMARY KEY, amount INTEGER, note TEXT)');
const insert = database.prepare('INSERT INTO ledger (id, amount, note) VALUES (?, ?, ?)');
for (let id = 1; id <= count; id++) {
  // Two rows whose amounts cancel out: half a transaction would show in the sum.
  database.transaction(() => {
    insert.run(2 * id - 1, id, `credit ${id}`);
    insert.run(2 * id, -id, `debit ${id}`);
  })();
  if (id % SAY_EVERY === 0) say({ progress: { done: id, total: count } });
}
database.close();
say({ result: { transactions: count } });
