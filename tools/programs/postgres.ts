import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DfsError } from '../../src/base/errors.ts';
import { withKills } from './kills.ts';
import { PostgresServer } from './postgres-server.ts';
import type { Program } from './program.ts';

const CLIENTS = 4;
const PGBENCH = ['-n', '-c', String(CLIENTS), '-j', '2'];
const KILLS = { everyMs: 2000, most: 3 };

/** The transactions that were answered, by what pgbench says at its end. */
function processed(said: string): number {
  const count = /transactions actually processed: (\d+)/.exec(said)?.[1];
  if (count === undefined) throw new DfsError('IO', `pgbench did not count: ${said.slice(-600)}`);
  return Number(count);
}

/** Money is neither made nor lost, each answered transaction is there, and indexes fit tables. */
async function check(server: PostgresServer, at: { least: number; most: number }): Promise<number> {
  const sums = await server.ask(`SELECT (SELECT sum(abalance) FROM pgbench_accounts),
    (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(bbalance) FROM pgbench_branches),
    (SELECT coalesce(sum(delta), 0) FROM pgbench_history)`);
  if (new Set(sums.split('|')).size !== 1) {
    throw new DfsError('CORRUPT', `the sums of PostgreSQL differ: ${sums}`);
  }
  const count = Number(await server.ask('SELECT count(*) FROM pgbench_history'));
  if (count < at.least || count > at.most) {
    const state = `${count} transactions, ${at.least} to ${at.most} were answered`;
    throw new DfsError('CORRUPT', `PostgreSQL has ${state}`);
  }
  await server.run('pg_amcheck', ['--install-missing', '--heapallindexed', '--parent-check']);
  return count;
}

/** PostgreSQL: pgbench while daemons are killed, then the server's own crash and its recovery. */
export const POSTGRES: Program = {
  name: 'postgres',
  packages: { '/usr/lib/postgresql/*/bin/postgres': 'postgresql' },
  async run(ground) {
    const seconds = ground.quick ? 4 : 15;
    const server = await PostgresServer.create(ground, join(ground.folder, 'pg'));
    await server.start();
    await server.run('pgbench', ['-i', '-q', '-s', ground.quick ? '1' : '5']);
    let done = 0;
    // Under kills of the daemon: a pause, and no error.
    const bench = server.run('pgbench', [...PGBENCH, '-T', String(seconds)]);
    const kills = await withKills(ground, bench, KILLS);
    done += processed(await bench);
    server.expectNoErrors();
    await check(server, { least: done, most: done });

    // The server dies; once more together with the daemon.
    for (const withDaemon of [false, true]) {
      const broken = server.run('pgbench', [...PGBENCH, '-T', '600'], true);
      await delay((seconds * 1000) / 3);
      await Promise.all([server.kill(), withDaemon ? ground.killDaemon() : undefined]);
      done += processed(await broken);
      if (withDaemon) await ground.remount({ cold: true });
      await server.start();
      done = await check(server, { least: done, most: done + CLIENTS });
    }
    server.expectNoErrors();
    await server.ask('VACUUM FULL');
    await server.stop();
    await server.checkPages();
    await ground.remount({ cold: true });
    await server.start();
    await check(server, { least: done, most: done });
    await server.stop();
    const crashes = `${kills} daemons killed under it without an error, 2 crashes recovered`;
    return `${done} transactions, ${crashes}; sums, amcheck, page checksums`;
  },
};
