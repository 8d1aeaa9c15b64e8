import type { ChildProcess } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PostgresServer, type ServerGround } from '../../tools/programs/postgres-server.ts';
import { Processes } from '../../tools/programs/processes.ts';
import { judgeLast, type Known, type Load, numberFor, type Running } from './load.ts';

const ACCOUNTS = 10;
const OPENING_BALANCE = 1000;
const NOTE_CHARACTERS_MAX = 4000;

const amountOf = (number: number): number => numberFor(number, 7, 100);
const noteOf = (number: number): string =>
  `note ${number} `.repeat(1 + numberFor(number, 8, NOTE_CHARACTERS_MAX / 10));

class Server implements Running {
  readonly #processes: Processes;
  readonly #server: PostgresServer;
  readonly #client: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  #said = '';

  private constructor(processes: Processes, server: PostgresServer) {
    this.#processes = processes;
    this.#server = server;
    this.#client = server.talk('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1']);
    const { stdout, stderr } = this.#client;
    stderr?.on('data', (text: Buffer) => (this.#said += text.toString()));
    if (stdout === null) throw new Error('Cannot talk to psql: it has no output');
    this.#answers = createInterface(stdout)[Symbol.asyncIterator]();
  }

  static async begin(folder: string): Promise<Server> {
    const processes = new Processes();
    const server = await PostgresServer.create(groundOf(processes), join(folder, 'pg'));
    await server.start();
    await server.ask(`create table account (id int primary key, balance int);
      create table ledger (id int primary key, note text);
      insert into account
        select id, ${OPENING_BALANCE} from generate_series(0, ${ACCOUNTS - 1}) id`);
    return new Server(processes, server);
  }

  async step(number: number): Promise<void> {
    const [from, to] = [numberFor(number, 9, ACCOUNTS), numberFor(number, 10, ACCOUNTS)];
    const amount = amountOf(number);
    this.#client.stdin?.write(`begin;
      update account set balance = balance - ${amount} where id = ${from};
      update account set balance = balance + ${amount} where id = ${to};
      insert into ledger values (${number}, '${noteOf(number)}');
      commit;
      \\echo ${number}\n`);
    const answer = await this.#answers.next();
    if (answer.value !== String(number)) throw new Error(`Cannot go on: psql says ${this.#said}`);
  }

  async close(): Promise<void> {
    this.#client.stdin?.end();
    await this.#server.stop();
    this.#processes.killAll();
  }
}

function groundOf(processes: Processes): ServerGround {
  return { run: (command, args, options) => processes.run(command, args, options), processes };
}

async function check(folder: string, known: Known): Promise<string[]> {
  const processes = new Processes();
  const place = join(folder, 'pg');
  try {
    chmodSync(folder, 0o755);
    const server = await PostgresServer.at(groundOf(processes), place);
    await server.start();
    const count = Number(await server.ask('select count(*) from ledger'));
    const last = Number(await server.ask('select coalesce(max(id), 0) from ledger'));
    const sum = Number(await server.ask('select sum(balance) from account'));
    const bad = await server.ask(`select count(*) from ledger
      where note <> repeat('note ' || id || ' ', length(note) / length('note ' || id || ' '))`);
    await server.run('pg_amcheck', ['--install-missing', '--heapallindexed', '--parent-check']);
    await server.stop();
    await server.checkPages();
    const problems = judgeLast(last, known);
    if (count !== last) problems.push(`${count} of ${last} transactions are there`);
    if (sum !== ACCOUNTS * OPENING_BALANCE) problems.push(`the accounts have ${sum}`);
    if (bad !== '0') problems.push(`${bad} notes are wrong`);
    return problems;
  } finally {
    processes.killAll();
  }
}

/** Whether there is a PostgreSQL server to run. */
export const hasPostgres: boolean = existsSync('/usr/lib/postgresql');

/** PostgreSQL, one client. */
export const POSTGRES: Load = {
  name: 'postgres',
  isSynced: true,
  begin: (folder) => Server.begin(folder),
  check,
};
