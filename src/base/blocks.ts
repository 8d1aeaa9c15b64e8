import { BLOCK_BYTES } from './limits.ts';

/** The start of the block that holds byte `offset`. */
export function blockFloor(offset: number): number {
  return offset - (offset % BLOCK_BYTES);
}

/** The first start of a block at or behind `offset`. */
export function blockCeil(offset: number): number {
  return Math.ceil(offset / BLOCK_BYTES) * BLOCK_BYTES;
}
