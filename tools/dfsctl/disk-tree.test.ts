import { expect, test } from 'vitest';
import type { DiskReport } from '../../src/node/mod.ts';
import { diskTree } from './disk-tree.ts';

function disk(id: number, location: string, weight: number, label = ''): DiskReport {
  return {
    id,
    label,
    path: `/disk${id}`,
    location: `${location}.0`,
    weight,
    state: 'up',
    reason: '',
    mapState: 'in',
    downSinceMs: undefined,
    failsAtMs: undefined,
    failedByHand: false,
    pieces: 0,
    badPieces: 0,
    usedBytes: 0,
    freeBytes: 0,
    filledShare: 0,
    nearlyFull: false,
  };
}

test('diskTree() orders rooms, rows, racks, machines and disks, and sums their weights', () => {
  const lines = diskTree([
    disk(3, '2.1.1.1.1', 5),
    disk(1, '1.1.1.2.1', 1, 'old'),
    disk(2, '1.1.1.1.2', 2),
    disk(4, '1.1.1.1.10', 4),
  ]);
  expect(lines.map(({ name, weight, disk: on }) => [name, weight, on?.id])).toEqual([
    ['room 1', 7, undefined],
    ['  row 1', 7, undefined],
    ['    rack 1', 7, undefined],
    ['      machine 1', 6, undefined],
    ['        disk 2', 2, 2],
    ['        disk 10', 4, 4],
    ['      machine 2', 1, undefined],
    ['        disk 1 (old)', 1, 1],
    ['room 2', 5, undefined],
    ['  row 1', 5, undefined],
    ['    rack 1', 5, undefined],
    ['      machine 1', 5, undefined],
    ['        disk 1', 5, 3],
  ]);
});
