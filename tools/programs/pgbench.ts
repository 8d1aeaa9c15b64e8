import { join } from 'node:path';
import { DfsError } from '../../src/base/errors.ts';
import { PostgresServer } from './postgres-server.ts';
import type { Program } from './program.ts';

const ROUNDS = 3;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** pgbench on the volume and on the file system under it, in turns: transactions a second. */
export const PGBENCH: Program = {
  name: 'pgbench',
  packages: { '/usr/lib/postgresql/*/bin/postgres': 'postgresql' },
  async run(ground) {
    const { folder, scratch, quick } = ground;
    const rates: Record<'volume' | 'native', number[]> = { volume: [], native: [] };
    const sides = { volume: join(folder, 'pg'), native: join(scratch, 'pg') } as const;
    const servers = new Map<'volume' | 'native', PostgresServer>();
    for (const side of ['volume', 'native'] as const) {
      const server = await PostgresServer.create(ground, sides[side]);
      await server.start();
      await server.run('pgbench', ['-i', '-q', '-s', '10']);
      await server.stop();
      servers.set(side, server);
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const [side, server] of servers) {
        await server.start();
        await server.ask('CHECKPOINT');
        const time = quick ? '5' : '20';
        const said = await server.run('pgbench', ['-n', '-c', '4', '-j', '2', '-T', time]);
        const rate = /tps = ([\d.]+)/.exec(said)?.[1];
        if (rate === undefined) throw new DfsError('IO', `pgbench failed: ${said.slice(-500)}`);
        rates[side].push(Math.round(Number(rate)));
        await server.stop();
      }
    }
    const ratio = (median(rates.volume) / median(rates.native)).toFixed(2);
    const both = `${rates.volume.join(', ')} on the volume, ${rates.native.join(', ')} natively`;
    return `scale 10, 4 clients, transactions a second: ${both}; ratio ${ratio}`;
  },
};
