/** Checks a database of sqlite-write-main: integrity, rows and sum. Arguments: FILE COUNT. */
import Database from 'better-sqlite3';
import { say } from './programs.ts';

const [file = '', countText = '1000'] = process.argv.slice(2);
const count = Number(countText);

const database = new Database(file, { fileMustExist: true });
const integrity = database.pragma('integrity_check', { simple: true });
if (integrity !== 'ok') throw new Error(`integrity_check says: ${String(integrity)}`);
const { rows, sum, last } = database
  .prepare('SELECT count(*) AS rows, sum(amount) AS sum, max(id) AS last FROM ledger')
  .get() as { rows: number; sum: number; last: number };
database.close();
if (rows !== 2 * count || sum !== 0 || last !== 2 * count) {
  throw new Error(`the ledger has ${rows} rows up to ${last} with a sum of ${sum}`);
}
say({ result: { rows } });
