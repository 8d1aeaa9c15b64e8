/**
 * A database at work: `season-sqlite-main.js PATH` makes one transaction after the other in WAL mode
 * with full syncs, and times each. A line of input is the name of the phase that begins; the answer
 * tells of the one that ends: {"phase", "count", "p50Ms", "p99Ms", "maxMs"}. The end of the input ends
 * it, after a check of the whole database. An error ends it with {"failed": what}.
 */
import { writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn } from 'node:timers/promises';
import Database from 'better-sqlite3';

const ACCOUNTS = 1000;
const NOTE_BYTES = 2000;

const database = new Database(process.argv[2] ?? '');
let phase = 'start';
let times: number[] = [];
let count = 0;
let isOver = false;

function say(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function prepare(): () => void {
  database.pragma('journal_mode = wal');
  database.pragma('synchronous = full');
  database.exec(`create table account (id integer primary key, balance integer not null);
    create table ledger (id integer primary key, note blob not null);`);
  const open = database.prepare('insert into account values (?, 100)');
  database.transaction(() => {
    for (let id = 0; id < ACCOUNTS; id++) open.run(id);
  })();
  const pay = database.prepare('update account set balance = balance + ? where id = ?');
  const note = database.prepare('insert into ledger values (?, ?)');
  return database.transaction(() => {
    count++;
    pay.run(-1, (count * 7919) % ACCOUNTS);
    pay.run(1, (count * 104_729 + 1) % ACCOUNTS);
    note.run(count, Buffer.alloc(NOTE_BYTES, count % 251));
  });
}

function summary(): object {
  const sorted = times.sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.floor(sorted.length * part)] ?? 0;
  const [p50Ms, p99Ms, maxMs] = [at(0.5), at(0.99), sorted.at(-1) ?? 0];
  return { phase, count: sorted.length, p50Ms, p99Ms, maxMs };
}

/** What must hold of everything that was committed. */
function check(): void {
  const integrity = database.pragma('integrity_check', { simple: true });
  const sum = database.prepare('select sum(balance) from account').pluck().get();
  const rows = database.prepare('select count(*), max(id) from ledger').raw().get();
  const isRight = integrity === 'ok' && sum === ACCOUNTS * 100;
  if (!isRight || String(rows) !== `${count},${count}`) {
    throw new Error(`the database has ${String(integrity)}, ${String(sum)}, ${String(rows)}`);
  }
}

createInterface({ input: process.stdin })
  .on('line', (name) => {
    say(summary());
    [phase, times] = [name, []];
  })
  .on('close', () => {
    isOver = true;
  });
try {
  const step = prepare();
  say({ ready: true });
  while (!isOver) {
    const start = performance.now();
    step();
    times.push(performance.now() - start);
    await nextTurn();
  }
  check();
  say({ checked: count });
  database.close();
} catch (error) {
  say({ failed: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
}
