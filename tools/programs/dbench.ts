import { DfsError } from '../../src/base/errors.ts';
import { withKills } from './kills.ts';
import type { Program } from './program.ts';

/** dbench: the file server load of its own trace, by several clients; every answer is checked. */
export const DBENCH: Program = {
  name: 'dbench',
  packages: { dbench: 'dbench' },
  async run(ground) {
    const { folder, quick } = ground;
    const seconds = quick ? 8 : 60;
    const clients = quick ? 4 : 8;
    const flags = ['-t', String(seconds), '-D', folder, '--stat-check'];
    const work = ground.run('dbench', [...flags, String(clients)]);
    const kills = await withKills(ground, work, { everyMs: 3000, most: 3 });
    const { output } = await work;
    const wrong = output.split('\n').filter((line) => /failed|error|expected/i.test(line));
    const rate = /Throughput ([\d.]+) MB\/sec/.exec(output)?.[1];
    if (rate === undefined || wrong.length > 0) {
      const said = wrong.slice(0, 5).join('\n  ') || output.slice(-500);
      throw new DfsError('IO', `dbench did not end well: ${said}`);
    }
    const how = `${rate} MB/s; ${kills} daemons killed`;
    return `${clients} clients, ${seconds} s: no answer but the expected; ${how}`;
  },
};
