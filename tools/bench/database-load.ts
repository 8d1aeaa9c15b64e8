/**
 * The database loads of the bench, each in a process of its own:
 * sqlite FOLDER wal|delete TRANSACTIONS; leveldb FOLDER PUTS. Prints lines as load.c does.
 */
import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { ClassicLevel } from 'classic-level';

const ROW_BYTES = 100;
const READS = 20_000;

function report(name: string, operations: number, startMs: number): void {
  const seconds = (performance.now() - startMs) / 1000;
  process.stdout.write(`${name} ${operations} 0 ${seconds.toFixed(9)}\n`);
}

/** Every transaction is on the device when it returns: synchronous=FULL. */
function sqlite(folder: string, mode: string, transactions: number): void {
  const db = new Database(join(folder, 'bench.sqlite'));
  db.pragma(`journal_mode = ${mode}`);
  db.pragma('synchronous = FULL');
  db.exec('create table log (id integer primary key, value blob)');
  const insert = db.prepare('insert into log (value) values (?)');
  const row = Buffer.alloc(ROW_BYTES);
  const start = performance.now();
  for (let count = 0; count < transactions; count++) insert.run(randomFillSync(row));
  report('transactions', transactions, start);
  db.close();
}

/** Puts of random keys, not synced one by one, as LevelDB's own fillrandom; then random gets. */
async function leveldb(folder: string, puts: number): Promise<void> {
  const db = new ClassicLevel<string, Buffer>(join(folder, 'level'), { valueEncoding: 'buffer' });
  await db.open();
  const value = Buffer.alloc(ROW_BYTES);
  const key = (): string =>
    Math.floor(Math.random() * puts)
      .toString()
      .padStart(16, '0');
  let start = performance.now();
  // Some are under way at a time, or the bench would measure the way to the thread and back.
  const BATCH = 100;
  for (let count = 0; count < puts; count += BATCH) {
    const running: Promise<void>[] = [];
    for (let index = 0; index < BATCH; index++) {
      running.push(db.put(key(), Buffer.from(randomFillSync(value))));
    }
    await Promise.all(running);
  }
  report('puts', puts, start);
  const reads = Math.min(puts, READS);
  start = performance.now();
  for (let count = 0; count < reads; count++) await db.get(key());
  report('gets', reads, start);
  await db.close();
}

const [command, folder = '', ...rest] = process.argv.slice(2);
if (command === 'sqlite') sqlite(folder, rest[0] ?? '', Number(rest[1]));
else if (command === 'leveldb') await leveldb(folder, Number(rest[0]));
else {
  process.stderr.write(`Cannot run the load: there is no command "${String(command)}"\n`);
  process.exitCode = 2;
}
