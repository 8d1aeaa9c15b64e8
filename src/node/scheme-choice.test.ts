import { expect, test } from 'vitest';
import { formatScheme } from '../chunk/mod.ts';
import { chooseScheme } from './scheme-choice.ts';

function chosen(wanted: string, weights: number[]): [string, string] {
  const { scheme, reason } = chooseScheme(wanted, weights);
  return [formatScheme(scheme), reason];
}

test.each([
  [[5], 'replica:1', 'because there is only one disk'],
  [[5, 5], 'replica:2', 'because losing disk 1 would lose 50% of the buckets'],
  [[1, 2, 3], 'replica:2', 'because losing disk 3 would lose 50% of the buckets'],
  [
    new Array<number>(20).fill(7),
    'replica:2',
    'because losing disk 1 would lose 5% of the buckets',
  ],
  [new Array<number>(21).fill(7), 'ec:4+2', 'because no disk holds 5% of the buckets'],
  [
    [9, ...new Array<number>(30).fill(1)],
    'replica:2',
    'because losing disk 1 would lose 23% of the buckets',
  ],
])('auto chooses for disks of %j', (weights, scheme, reason) => {
  expect(chosen('auto', weights)).toEqual([scheme, reason]);
});

test('a scheme that was asked for is used as far as there are disks for it', () => {
  expect(chosen('ec:2+1', [1, 1, 1])).toEqual(['ec:2+1', 'as asked for']);
  expect(chosen('replica:3', [1, 9, 1])).toEqual(['replica:3', 'as asked for']);
  for (const wanted of ['replica:4', 'ec:3+1', 'nonsense', 'replica:0', '']) {
    expect(() => chooseScheme(wanted, [1, 1, 1])).toThrow(
      expect.objectContaining({ code: 'BAD_ARGUMENT' }),
    );
  }
  expect(() => chooseScheme('ec:3+1', [1, 1, 1])).toThrow('it needs 4 disks, 3 were given');
});
