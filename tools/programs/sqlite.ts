import { join } from 'node:path';
import { DfsError } from '../../src/base/errors.ts';
import { withKills } from './kills.ts';
import type { Ground, Program } from './program.ts';

const MODES = ['WAL', 'DELETE'];
const KILLS = { everyMs: 1500, most: 3 };

async function checkCold(ground: Ground, mode: string): Promise<void> {
  const database = join(ground.folder, `${mode}.db`);
  const ask = async (sql: string): Promise<string> =>
    (await ground.run('sqlite3', [database, sql])).output.trim();
  const [sound, sum] = [
    await ask('PRAGMA integrity_check'),
    await ask('SELECT sum(balance) FROM account'),
  ];
  if (sound === 'ok' && sum === '100000') return;
  throw new DfsError('CORRUPT', `${mode}: after a mount without cache: ${sound}, sum ${sum}`);
}

/** SQLite in both kinds of journal: several processes, a kill of one, kills of the daemon. */
export const SQLITE: Program = {
  name: 'sqlite3',
  packages: { sqlite3: 'sqlite3' },
  async run(ground) {
    const transactions = ground.quick ? 60 : 1000;
    let kills = 0;
    for (const mode of MODES) {
      const work = ground.script('sqlite.sh', [ground.folder, mode, String(transactions)]);
      kills += await withKills(ground, work, KILLS);
    }
    await ground.remount({ cold: true });
    for (const mode of MODES) await checkCold(ground, mode);
    const each = `3 writers x ${transactions} transactions`;
    return `WAL and DELETE: ${each}, sums, kill -9, VACUUM, integrity; ${kills} daemons killed`;
  },
};
