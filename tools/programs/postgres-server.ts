import type { ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DfsError } from '../../src/base/errors.ts';
import { processesIn, signalNow } from './processes.ts';
import type { Ground } from './program.ts';

const SERVERS = '/usr/lib/postgresql';
const START_MS = 60_000;
const POLL_MS = 50;
/** What a server answers before it is ready, to those who ask whether it is. */
const STARTING = /the database system is (starting up|not yet accepting|in recovery)/;
const DATABASE = 'postgres';
/** Everything that costs durability is on; checkpoints are frequent, so that crashes meet them. */
const SETTINGS = {
  listen_addresses: '',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '32MB',
  checkpoint_timeout: '30s',
  max_wal_size: '96MB',
  min_wal_size: '32MB',
  log_min_messages: 'warning',
  autovacuum_naptime: '10s',
};

/** What of a {@link Ground} a server needs. */
export type ServerGround = Pick<Ground, 'run' | 'processes'>;

/** A PostgreSQL server in a folder, on a unix socket in the same folder, as user postgres. */
export class PostgresServer {
  readonly folder: string;
  readonly #ground: ServerGround;
  readonly #user: { uid: number; gid: number };
  readonly #programs: string;
  #log = '';

  private constructor(ground: ServerGround, folder: string, user: { uid: number; gid: number }) {
    this.#ground = ground;
    this.folder = folder;
    this.#user = user;
    const newest =
      readdirSync(SERVERS)
        .sort((a, b) => Number(a) - Number(b))
        .at(-1) ?? '';
    this.#programs = join(SERVERS, newest, 'bin');
  }

  /** The server of a folder that has one. */
  static async at(ground: ServerGround, folder: string): Promise<PostgresServer> {
    const number = async (flag: string): Promise<number> =>
      Number((await ground.run('id', [flag, 'postgres'])).output);
    const user = { uid: await number('-u'), gid: await number('-g') };
    return new PostgresServer(ground, folder, user);
  }

  /** initdb in a new folder. */
  static async create(ground: ServerGround, folder: string): Promise<PostgresServer> {
    const server = await PostgresServer.at(ground, folder);
    await ground.run('install', ['-d', '-o', 'postgres', '-g', 'postgres', '-m', '700', folder]);
    const flags = ['--auth=trust', '--no-locale', '--encoding=UTF8', '--data-checksums'];
    await server.run('initdb', ['-D', server.#data, ...flags]);
    return server;
  }

  get #data(): string {
    return join(this.folder, 'data');
  }

  get #asClient(): {
    user: { uid: number; gid: number };
    env: Record<string, string>;
    cwd: string;
  } {
    const env = { PGHOST: this.folder, PGDATABASE: DATABASE, PGUSER: 'postgres' };
    return { user: this.#user, env, cwd: '/' };
  }

  /** Runs one of the server's programs as its user: what it printed. */
  async run(program: string, args: readonly string[], anyStatus = false): Promise<string> {
    const options = { ...this.#asClient, anyStatus };
    const ended = await this.#ground.run(join(this.#programs, program), args, options);
    return `${ended.output}${ended.errors}`;
  }

  /** Starts the server and waits until it answers, after a recovery if it needs one. */
  async start(): Promise<void> {
    const settings = Object.entries(SETTINGS).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
    const args = ['-D', this.#data, '-k', this.folder, ...settings];
    this.#log = '';
    const server = this.#ground.processes.start(join(this.#programs, 'postgres'), args, {
      user: this.#user,
      cwd: '/',
    });
    server.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    server.stdout?.resume();
    const end = Date.now() + START_MS;
    while (!(await this.run('pg_isready', [], true)).includes('accepting connections')) {
      if (server.exitCode !== null || Date.now() > end) {
        throw new DfsError('IO', `Cannot start PostgreSQL: ${this.#log.slice(-900)}`);
      }
      await delay(POLL_MS);
    }
  }

  /** Begins to run a program that reads its input, as {@link run} does. */
  talk(program: string, args: readonly string[]): ChildProcess {
    const path = join(this.#programs, program);
    return this.#ground.processes.start(path, args, { ...this.#asClient, hasInput: true });
  }

  /** The answer to a query that has one value. */
  async ask(sql: string): Promise<string> {
    return (await this.run('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', sql])).trim();
  }

  /** IO with the lines of the server's log that tell of errors. */
  expectNoErrors(): void {
    const bad = this.#log
      .split('\n')
      .filter((line) => /ERROR|FATAL|PANIC|WARNING/.test(line) && !STARTING.test(line));
    if (bad.length === 0) return;
    throw new DfsError('IO', `PostgreSQL saw errors: ${bad.slice(0, 5).join('\n  ')}`);
  }

  /** An orderly end. */
  async stop(): Promise<void> {
    await this.run('pg_ctl', ['stop', '-D', this.#data, '-m', 'fast', '-w']);
  }

  /** kill -9 of every process of the server at once. */
  async kill(): Promise<void> {
    for (;;) {
      // Other programs have the folder in their environment only.
      const left = processesIn(this.#data).filter(({ line }) => line.includes('postgres'));
      if (left.length === 0) return;
      for (const { pid } of left) signalNow(pid, 'SIGKILL');
      await delay(POLL_MS);
    }
  }

  /** Checks every page's checksum; the server must have stopped. */
  async checkPages(): Promise<void> {
    await this.run('pg_checksums', ['--check', '-D', this.#data]);
  }
}
