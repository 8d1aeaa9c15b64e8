import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Epoch } from '../base/ids.ts';
import { Retention } from './retention.ts';

const GRACE = 1000;

function scene(garbageGraceMs = 0): { retention: Retention; clock: { ms: number } } {
  const clock = { ms: 1_000_000 };
  const retention = new Retention({ settings: () => ({ garbageGraceMs }), now: () => clock.ms });
  return { retention, clock };
}

const kept = (...epochs: number[]) => epochs.map((epoch) => ({ epoch, cutTimeMs: epoch }));

describe('protects()', () => {
  test('what a snapshot names, and what died since the second newest one', () => {
    const { retention } = scene();
    retention.keep(kept(40, 10, 30, 20));
    retention.published(50 as Epoch);
    const of = (born: number, died: number): boolean => retention.protects({ born, died });
    expect(retention.windowStart).toBe(30);
    // Named by 20; by none, between 20 and 30; stored and dead in one epoch.
    expect([of(15, 21), of(21, 30), of(25, 25)]).toEqual([true, false, false]);
    // Dead before the first; born and dead where it could still be had.
    expect([of(1, 10), of(1, 11), of(31, 31), of(45, 50)]).toEqual([false, true, true, true]);
    retention.keep(kept(40, 30));
    expect([of(15, 21), of(1, 11), of(1, 31)]).toEqual([false, false, true]);
  });

  test('everything that died behind the only snapshot', () => {
    const { retention } = scene();
    retention.published(9 as Epoch);
    retention.keep(kept(7));
    expect(retention.windowStart).toBe(7);
    expect(retention.protects({ born: 1, died: 7 })).toBe(false);
    expect(retention.protects({ born: 1, died: 8 })).toBe(true);
  });

  test('what died lately, until its time is over, also of the newest epoch of a volume at rest', () => {
    const { retention, clock } = scene(GRACE);
    retention.published(1 as Epoch, GRACE / 2);
    clock.ms += 10;
    retention.published(2 as Epoch);
    retention.keep(kept(3, 2));
    const isYoung = (died: number): boolean => retention.protects({ born: died, died });
    expect([isYoung(1), isYoung(2)]).toEqual([true, true]);
    clock.ms += GRACE / 2;
    expect([isYoung(1), isYoung(2)]).toEqual([false, true]);
    clock.ms += GRACE / 2;
    expect([isYoung(1), isYoung(2)]).toEqual([false, false]);
  });

  test('for the time of grace and hardly longer, however many epochs there are', () => {
    const gaps = fc.array(fc.nat(300), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(gaps, (between) => {
        const { retention, clock } = scene(GRACE);
        retention.keep(kept(1e9, 1e9 - 1));
        const atMs: number[] = [];
        for (const [epoch, gap] of between.entries()) {
          clock.ms += gap;
          retention.published(epoch as Epoch);
          atMs.push(clock.ms);
        }
        for (const [died, at] of atMs.entries()) {
          const ageMs = clock.ms - at;
          const isProtected = retention.protects({ born: died, died });
          if (ageMs < GRACE) expect(isProtected).toBe(true);
          // The moments that are remembered are a sixteenth apart, or as far as epochs are.
          if (ageMs >= GRACE + GRACE / 16 + 300) expect(isProtected).toBe(false);
        }
        clock.ms += GRACE;
        expect(retention.protects({ born: 0, died: between.length - 1 })).toBe(false);
      }),
    );
  });
});
