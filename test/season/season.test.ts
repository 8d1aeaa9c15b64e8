import { describe, expect, it } from 'vitest';
import { seedOf } from '../harness/seed.ts';
import { canMount } from '../harness/volume.ts';
import { runSeason } from './season.ts';

const FILE = 'test/season/season.test.ts';
/** A short season that has most kinds of events; `npm run season` takes others. */
const SEED = 34_919_156;
const seed = process.env.DFS_SEED === undefined ? SEED : seedOf(FILE);
const EVENTS = Number(process.env.DFS_SEASON_EVENTS ?? '12');

describe.skipIf(!canMount)('a season in the life of a volume', () => {
  it('ends with every byte right, and status had told the truth', {
    timeout: 1_200_000,
  }, async () => {
    const events: string[] = [];
    const { untruths, wrong, files } = await runSeason({
      events: EVENTS,
      seed,
      onEvent: ({ event, what }) => events.push(`${event} ${what}`),
    });
    console.log(events.join('\n'));
    expect(untruths).toEqual([]);
    expect(wrong).toEqual([]);
    expect(files).toBeGreaterThan(0);
  });
});
