/**
 * What durability on the disks costs: strong mode, and a commit beside other work.
 *
 * Napkin. A transaction in strong mode is what it is natively, with one parallel round of synced
 * writes to three logs in the place of its fdatasync, four requests, and a message to the store's
 * thread and back, some 50 us. On three folders of one device that round takes twice as long as one
 * sync; on three devices as long as the slowest. A commit beside other writes takes processor time,
 * some 0.2 s for 200 MB, of two processors that are not idle.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { DfsError } from '../../src/base/errors.ts';
import { MIB } from '../../src/base/limits.ts';
import { setXattr } from '../../src/base/os/mod.ts';
import { type Bench, BOTH, bytesRateOf, rateOf, type Work } from './work.ts';

const MESSAGES_SECONDS = 50e-6;
/** Of the random writes of other works, so that they end before the commit beside them. */
const BESIDE_SHARE = 0.6;

async function makeStrong(folder: string): Promise<void> {
  await setXattr(folder, 'user.dfs.mode', 'strong');
}

const sqliteStrong: Work = {
  name: 'sqlite-strong',
  sides: BOTH,
  measures: [
    {
      name: 'sqlite-strong',
      title: 'SQLite 1-row transactions, WAL, FULL, strong mode',
      unit: '/s',
      napkin: (limits, native) =>
        1 /
        (1 / native -
          limits.syncedWriteSeconds +
          limits.logsSeconds +
          4 * limits.upcallSeconds +
          MESSAGES_SECONDS),
    },
  ],
  async prepare(_bench, { side, folder }) {
    if (side === 'dfs') await makeStrong(folder);
  },
  async run(bench, { folder }) {
    const args = ['sqlite', folder, 'wal', String(bench.sizes.transactions)];
    return { 'sqlite-strong': rateOf(await bench.database(...args), 'transactions') };
  },
};

const strongWrite: Work = {
  name: 'strong-write',
  sides: BOTH,
  measures: [
    {
      name: 'strong-write',
      title: '4 KiB random write and fdatasync, strong mode',
      unit: '/s',
      napkin: (limits) => 1 / (limits.logsSeconds + 2 * limits.upcallSeconds + MESSAGES_SECONDS),
    },
  ],
  async prepare(bench, { side, folder }) {
    const size = String(bench.sizes.randomBytes);
    await bench.load('write', `${folder}/pages`, size, bench.seed(), '1');
    if (side === 'dfs') await makeStrong(folder);
  },
  async run(bench, { folder }) {
    const args = [`${folder}/pages`, String(bench.sizes.syncCount), bench.seed(), '1'];
    return { 'strong-write': rateOf(await bench.load('random-write', ...args), 'random-write') };
  },
};

/** More than this much dirty data starts a commit that nobody waits for. */
const DIRTY_BYTES: number = 264 * MIB;
const POLL_MS = 5;
const POLLS_MAX = 2000;

/** Does `load` on the mount, on side dfs while a commit runs that nobody waits for. */
async function beside<T>(
  bench: Bench,
  run: { side: string; folder: string },
  load: (folder: string) => Promise<T>,
): Promise<T> {
  const { volume } = bench;
  const folder = `${bench.folder('dfs')}/beside`;
  await bench.time('mkdir', '-p', folder);
  await bench.load('write', `${folder}/pages`, String(bench.sizes.randomBytes), bench.seed(), '0');
  await volume.commit();
  if (run.side === 'native') return await load(folder);
  await bench.load('write', `${run.folder}/dirty`, String(DIRTY_BYTES), bench.seed(), '0');
  for (let polls = 0; !(await volume.isCommitting()); polls++) {
    if (polls > POLLS_MAX) throw new DfsError('TIMEOUT', 'Cannot bench: no commit begins');
    await delay(POLL_MS);
  }
  const result = await load(folder);
  if (!(await volume.isCommitting())) {
    process.stderr.write('bench: the commit ended before the load beside it\n');
  }
  await volume.commit();
  return result;
}

const writeBeside: Work = {
  name: 'beside-commit',
  sides: BOTH,
  measures: [
    {
      name: 'random-beside',
      title: '4 KiB random write while a commit runs (native: the mount without it)',
      unit: '/s',
      napkin: (_limits, native) => native,
    },
    {
      name: 'sequential-beside',
      title: 'sequential write while a commit runs (native: the mount without it)',
      unit: 'bytes/s',
      napkin: (_limits, native) => native,
    },
  ],
  async run(bench, run) {
    const count = String(Math.floor(bench.sizes.randomCount * BESIDE_SHARE));
    const random = await beside(bench, run, (folder) =>
      bench.load('random-write', `${folder}/pages`, count, bench.seed(), '0'),
    );
    const size = String(Math.floor(bench.sizes.commitBytes / 4));
    const sequential = await beside(bench, run, (folder) =>
      bench.load('write', `${folder}/stream`, size, bench.seed(), '0'),
    );
    return {
      'random-beside': rateOf(random, 'random-write'),
      'sequential-beside': bytesRateOf(sequential, 'write'),
    };
  },
};

/** Works of strong mode and beside commits. */
export const COMMIT_WORKS: readonly Work[] = [sqliteStrong, strongWrite, writeBeside];
