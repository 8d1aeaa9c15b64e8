import { expect, test } from 'vitest';
import { silentLog } from '../base/log.ts';
import { untimed } from '../base/pauses.ts';
import { Checkpoints } from './checkpoints.ts';

function rig(pages: number): { meta: { transactions: number }; done: string[]; all: Checkpoints } {
  const done: string[] = [];
  const note = (what: string): Promise<void> => {
    done.push(what);
    return Promise.resolve();
  };
  const meta = {
    transactions: 0,
    wal: { syncAll: () => note('sync') } as never,
    checkpoint: () => void done.push('loop'),
  };
  const copy = (): Promise<number> => note('copy').then(() => pages);
  return { meta, done, all: new Checkpoints({ meta, copy, timed: untimed, log: silentLog }) };
}

test('a log is copied by the other thread after enough transactions, one copy at a time', async () => {
  const { meta, done, all } = rig(100);
  meta.transactions = 999;
  all.check();
  await all.close();
  expect(done).toEqual([]);
  meta.transactions = 1000;
  all.check();
  meta.transactions = 2500;
  all.check();
  await all.close();
  expect(done).toEqual(['copy']);
  all.check();
  await all.close();
  expect(done).toEqual(['copy', 'copy']);
});

test('the event loop copies only the rest of a long log', async () => {
  const { meta, done, all } = rig(20_000);
  meta.transactions = 1000;
  all.check();
  await all.close();
  expect(done).toEqual(['copy', 'copy', 'sync', 'loop']);
});
