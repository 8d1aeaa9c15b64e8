import { expect, test } from 'vitest';
import { parseScheme } from '../chunk/mod.ts';
import { roomOf } from './room.ts';

const disksOf = (...states: ('ok' | 'nearly' | 'full')[]): Parameters<typeof roomOf>[1] =>
  states.map((state, at) => ({
    name: `disk ${at + 1}`,
    takesPieces: state !== 'full',
    isNearlyFull: state !== 'ok',
    percent: 93,
  }));

test('roomOf() says that data finds no room with redundancy, before and when it is so', () => {
  const scheme = parseScheme('replica:2');
  expect(roomOf(scheme, disksOf('ok', 'ok'))).toEqual({ isNearlyFull: false, problems: [] });
  expect(roomOf(scheme, disksOf('ok', 'ok', 'nearly'))).toEqual({
    isNearlyFull: false,
    problems: ['disk 3 is nearly full: 93% of what it takes'],
  });
  const soon = roomOf(scheme, disksOf('ok', 'nearly', 'full'));
  expect(soon.isNearlyFull).toBe(true);
  expect(soon.problems).toEqual([
    'soon new data cannot be stored with redundancy: replica:2 takes 2 disks, 1 of the 2 that ' +
      'take pieces are not nearly full; add a disk, or remove files',
    'disk 2 is nearly full: 93% of what it takes',
  ]);
  const now = roomOf(scheme, disksOf('ok', 'full', 'full'));
  expect(now.isNearlyFull).toBe(true);
  expect(now.problems).toEqual([
    'new data cannot be stored with redundancy: replica:2 takes 2 disks, 1 take pieces; ' +
      'add a disk, or remove files',
  ]);
});
