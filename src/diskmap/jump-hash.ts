import { mix32, unit } from './mix.ts';

/**
 * A slot from 0 to count-1 for a key; count+1 moves 1/(count+1) of the keys, all into the new slot.
 * Jump consistent hash (Lamping and Veach, 2014), with a hash of (key, slot) as its random source,
 * which needs no 64-bit integers.
 */
export function jumpHash(key: number, count: number): number {
  let slot = 0;
  for (let next = 0; next < count; ) {
    slot = Math.trunc(next);
    const salt = slot < SALTS.length ? (SALTS[slot] as number) : saltOf(slot);
    next = (slot + 1) / unit(mix32(key ^ salt));
  }
  return slot;
}

function saltOf(slot: number): number {
  return mix32(slot + 0x6a756d70);
}

/** The first ones ready-made, since one waits for the other. */
const SALTS: Int32Array = Int32Array.from({ length: 1024 }, (_, slot) => saltOf(slot));
