import { mix32, unit } from './mix.ts';

/**
 * A slot from 0 to count-1 for a key; count+1 moves 1/(count+1) of the keys, all into the new slot.
 * Jump consistent hash (Lamping and Veach, 2014), with a hash of (key, slot) as its random source,
 * which needs no 64-bit integers.
 */
export function jumpHash(key: number, count: number): number {
  let slot = 0;
  let next = 0;
  while (next < count) {
    slot = next;
    next = Math.floor((slot + 1) / unit(mix32(key ^ mix32(slot + 0x6a756d70))));
  }
  return slot;
}
