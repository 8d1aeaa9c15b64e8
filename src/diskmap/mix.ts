/**
 * Scrambles 32 bits one to one, every input bit reaching every output bit: the finalizer of
 * MurmurHash3 (Appleby), cheap enough to be called for every draw.
 */
export function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

const TWO_POW_MINUS_32 = 1 / 0x1_0000_0000;

/** 32 random bits as a number inside (0, 1), never one of the ends. */
export function unit(bits: number): number {
  return ((bits >>> 0) + 0.5) * TWO_POW_MINUS_32;
}
