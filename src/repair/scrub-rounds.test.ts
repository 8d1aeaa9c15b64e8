import { expect, test } from 'vitest';
import type { ChunkId } from '../base/ids.ts';
import { ScrubRounds } from './scrub-rounds.ts';

const DAY_MS = 86_400_000;
const FRESH = {
  startedMs: 0,
  cursor: null,
  bad: 0,
  bytes: 0,
  isAsked: false,
  lastFullMs: null,
  lastBad: null,
};
/** The id at half of all ids. */
const MIDDLE = Buffer.concat([Buffer.from([0x80]), Buffer.alloc(31)]) as ChunkId;

function roundsOf(): { rounds: ScrubRounds; clock: { ms: number } } {
  const clock = { ms: 1000 };
  return {
    rounds: new ScrubRounds(
      FRESH,
      () => 30,
      () => clock.ms,
    ),
    clock,
  };
}

test('a round is done evenly over its days', () => {
  const { rounds, clock } = roundsOf();
  expect(rounds.isDue).toBe(true);
  expect(rounds.advance({ cursor: MIDDLE, bytes: 100, badPieces: 1 })).toBe(false);
  expect(rounds.isDue).toBe(false);
  clock.ms = 16 * DAY_MS;
  expect(rounds.isDue).toBe(true);
  expect(rounds.facts).toMatchObject({ cursorShare: 0.5, bad: 1, bytes: 100 });
});

test('a round that ends early is followed by the next one only when its days are over', () => {
  const { rounds, clock } = roundsOf();
  expect(rounds.advance({ cursor: undefined, bytes: 100, badPieces: 0 })).toBe(true);
  clock.ms = 29 * DAY_MS;
  expect(rounds.isDue).toBe(false);
  clock.ms = 30 * DAY_MS + 1;
  expect(rounds.isDue).toBe(true);
  expect(rounds.facts.endsMs).toBe(60 * DAY_MS);
});

test('a round over an empty volume does not put off the first one that finds pieces', () => {
  const { rounds, clock } = roundsOf();
  expect(rounds.advance({ cursor: undefined, bytes: 0, badPieces: 0 })).toBe(true);
  expect(rounds.isDue).toBe(false);
  clock.ms = DAY_MS;
  expect(rounds.isDue).toBe(true);
  expect(rounds.facts.endsMs).toBeLessThan(31 * DAY_MS);
});

test('a round that was asked for is due at once, and the next one keeps to the pace', () => {
  const { rounds } = roundsOf();
  rounds.advance({ cursor: MIDDLE, bytes: 100, badPieces: 0 });
  rounds.ask();
  expect(rounds.cursor).toBeUndefined();
  rounds.advance({ cursor: MIDDLE, bytes: 100, badPieces: 0 });
  expect(rounds.isDue).toBe(true);
  expect(rounds.advance({ cursor: undefined, bytes: 100, badPieces: 0 })).toBe(true);
  expect(rounds.facts).toMatchObject({ isAsked: false, lastFullMs: 1000, lastBad: 0 });
  expect(rounds.isDue).toBe(false);
});
