import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IntervalSet } from './interval-set.ts';

const SIZE = 64;
const operation = fc.record({
  add: fc.boolean(),
  start: fc.nat(SIZE - 1),
  length: fc.nat(16),
});

test('a random mix of add() and remove() holds the same numbers as a plain set', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const intervals = new IntervalSet();
      const plain = new Set<number>();
      for (const { add, start, length } of operations) {
        const end = Math.min(start + length, SIZE);
        const before = plain.size;
        for (let n = start; n < end; n++) {
          if (add) plain.add(n);
          else plain.delete(n);
        }
        const changed = add ? intervals.add(start, end) : intervals.remove(start, end);
        expect(changed).toBe(Math.abs(plain.size - before));
        expect(intervals.total).toBe(plain.size);
      }
      const listed = [...intervals].flatMap(({ start, end }) => range(start, end));
      expect(listed).toEqual([...plain].sort((a, b) => a - b));
      for (let at = 0; at <= SIZE; at++) {
        const next = listed.find((n) => n >= at);
        const end = next === undefined ? undefined : endOf(plain, next);
        expect(intervals.next(at)).toEqual(next === undefined ? undefined : { start: next, end });
      }
      for (let start = 0; start < SIZE; start += 7) {
        for (let end = start + 1; end <= SIZE; end += 5) {
          const inside = range(start, end).filter((n) => plain.has(n));
          expect(intervals.covers(start, end)).toBe(inside.length === end - start);
          expect(intervals.intersects(start, end)).toBe(inside.length > 0);
          expect(intervals.inside(start, end).flatMap((i) => range(i.start, i.end))).toEqual(
            inside,
          );
          expect(intervals.gaps(start, end).flatMap((i) => range(i.start, i.end))).toEqual(
            range(start, end).filter((n) => !plain.has(n)),
          );
        }
      }
    }),
  );
});

test('neighbours that touch become one interval', () => {
  const intervals = new IntervalSet();
  intervals.add(0, 4);
  intervals.add(8, 12);
  intervals.add(4, 8);
  expect([...intervals]).toEqual([{ start: 0, end: 12 }]);
});

/** The first number behind `at` that is not in the set. */
function endOf(plain: Set<number>, at: number): number {
  return plain.has(at) ? endOf(plain, at + 1) : at;
}

function range(start: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - start) }, (_, index) => start + index);
}
