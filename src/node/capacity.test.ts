import { expect, test } from 'vitest';
import { parseScheme } from '../chunk/mod.ts';
import { placeableBytes } from './capacity.ts';

test.each<[string, number[], number]>([
  ['replica:2', [100, 100, 100], 150],
  ['replica:2', [1000, 100, 100], 200],
  ['replica:2', [100, 0, 100], 100],
  ['replica:2', [100, 0, 0], 0],
  ['replica:2', [100], 0],
  ['replica:2', [], 0],
  ['replica:1', [10, 20, 30], 60],
  ['replica:3', [500, 400, 10], 10],
  ['ec:2+1', [100, 100, 100], 200],
  ['ec:2+1', [1000, 100, 100], 200],
  ['ec:2+1', [100, 100], 0],
  ['ec:4+2', [60, 60, 60, 60, 60, 60], 240],
  ['ec:4+2', [60, 60, 60, 60, 60, 60, 60], 280],
])('%s on disks with %j free takes %d', (scheme, free, bytes) => {
  expect(placeableBytes(parseScheme(scheme), free)).toBe(bytes);
});
