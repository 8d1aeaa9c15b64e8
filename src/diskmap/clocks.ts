/**
 * The draw. For every key each disk has a clock that rings after an exponential time with the
 * disk's weight as its rate; who rings first wins. That is the weighted straw of CRUSH (straw2,
 * Weil et al.: max of ln(u)/weight is min of -ln(u)/weight) over all disks at once. Rates of
 * independent clocks add up, so a machine, a rack or a room rings with the weights below it summed,
 * and a new disk takes its share from all others evenly and moves nothing else.
 *
 * To ask 10,000 clocks would be slow. Instead disks are points of a plane, disk id by weight, cut
 * into blocks whose borders are the same for all maps. Each block has one Poisson process over its
 * area; an arrival is a point, and rings the disk whose id and weight cover it, or nobody. So
 *  1. the time of a disk's first ring depends on the key, its id and its weight, on nothing else;
 *  2. the cost depends on how many rings are needed, not on how many disks there are.
 * Borders are powers of four: at least a quarter of the ids times a quarter of the heights.
 */
import type { DiskEntry } from './diskmap.ts';
import { leastMinusLn, lnUnit } from './logarithm.ts';
import { mix32 } from './mix.ts';

const TWO_POW_MINUS_32 = 1 / 0x1_0000_0000;

/** Below what a logarithm of ours may be wrong by, so that a bound stays one after rounding. */
const BOUND_KEPT = 1 - 1e-9;

/**
 * The clocks of a map's disks, one key at a time. Times are kept in typed arrays, because a number
 * with a fraction that goes through a field or a call costs an allocation.
 */
export class Clocks {
  /** Sum of the areas: rings and misses in one unit of time. */
  readonly rate: number;
  /** [0]: when the last ring was. */
  readonly time: Float64Array = new Float64Array(1);
  readonly #weights: Float64Array;
  readonly #firstIndex: Int32Array;
  readonly #indexCount: Float64Array;
  readonly #firstHeight: Float64Array;
  readonly #heightCount: Float64Array;
  readonly #meanGap: Float64Array;
  readonly #salt: Int32Array;
  /** By block: when its last arrival was, and the ordinal and the bits of the one to come. */
  readonly #last: Float64Array;
  readonly #ordinal: Int32Array;
  readonly #bits: Int32Array;
  #cursor = 0;
  #k0 = 0;
  #k1 = 0;
  #k2 = 0;
  #k3 = 0;

  constructor(disks: readonly DiskEntry[]) {
    this.#weights = new Float64Array((disks.at(-1)?.id ?? 0) + 1);
    for (const disk of disks) this.#weights[disk.id] = disk.weight;
    const blocks = blocksOf(disks);
    this.#firstIndex = Int32Array.from(blocks, (block) => block.firstIndex);
    this.#indexCount = Float64Array.from(blocks, (block) => block.indexCount);
    this.#firstHeight = Float64Array.from(blocks, (block) => block.firstHeight);
    this.#heightCount = Float64Array.from(blocks, (block) => block.heightCount);
    this.#meanGap = Float64Array.from(blocks, (block) => 1 / areaOf(block));
    this.#salt = Int32Array.from(blocks, (block) => block.salt);
    this.#last = new Float64Array(blocks.length);
    this.#ordinal = new Int32Array(blocks.length);
    this.#bits = new Int32Array(blocks.length);
    this.rate = blocks.reduce((sum, block) => sum + areaOf(block), 0);
  }

  /** Winds all clocks up for a key of at least 32 bytes. */
  start(key: Buffer): void {
    this.#k0 = key.readInt32LE(0) ^ key.readInt32LE(16);
    this.#k1 = key.readInt32LE(4) ^ key.readInt32LE(20);
    this.#k2 = key.readInt32LE(8) ^ key.readInt32LE(24);
    this.#k3 = key.readInt32LE(12) ^ key.readInt32LE(28);
    this.#cursor = 0;
    for (let block = 0; block < this.#last.length; block++) {
      this.#last[block] = 0;
      this.#ordinal[block] = 1;
      this.#bits[block] = this.#draw(block, 1);
    }
  }

  /** 32 bits of the key for another purpose, told apart by `salt`. */
  bits(salt: number): number {
    return mix32(this.#k3 ^ mix32(this.#k2 + mix32(this.#k1 ^ mix32(this.#k0 + salt))));
  }

  /**
   * The id of a disk that rings before `limit[0]`, its time in `time[0]`; 0 when none is left. The
   * order is by blocks, not by time. The limit may fall between two calls; after a 0 it may rise.
   */
  next(limit: Float64Array): number {
    while (this.#cursor < this.#last.length) {
      const block = this.#cursor;
      while (this.#arrives(block, limit)) {
        const diskId = this.#diskAt(block);
        if (diskId !== 0) return diskId;
      }
      this.#cursor++;
    }
    this.#cursor = 0;
    return 0;
  }

  /** Lets the block's next arrival come, at `time[0]`, if that is before the limit. */
  #arrives(block: number, limit: Float64Array): boolean {
    const bits = this.#bits[block] as number;
    const last = this.#last[block] as number;
    const gap = this.#meanGap[block] as number;
    // Most blocks are done after one draw, and most of these without the logarithm.
    if (last + leastMinusLn(bits) * BOUND_KEPT * gap >= (limit[0] as number)) return false;
    const arrival = last - lnUnit(bits) * gap;
    if (arrival >= (limit[0] as number)) return false;
    this.#last[block] = arrival;
    this.time[0] = arrival;
    return true;
  }

  #draw(block: number, ordinal: number): number {
    const salt = this.#salt[block] as number;
    return mix32(this.#k0 ^ mix32(this.#k1 + salt + Math.imul(ordinal, 0x9e3779b9)));
  }

  /** The disk that the block's arrival falls upon, 0 for none; draws the one after it. */
  #diskAt(block: number): number {
    const bits = mix32(this.#k2 + (this.#bits[block] as number));
    const ordinal = (this.#ordinal[block] as number) + 1;
    this.#ordinal[block] = ordinal;
    this.#bits[block] = this.#draw(block, ordinal);
    const across = (bits >>> 0) * TWO_POW_MINUS_32 * (this.#indexCount[block] as number);
    const diskId = (this.#firstIndex[block] as number) + Math.floor(across) + 1;
    if (diskId >= this.#weights.length) return 0;
    const weight = this.#weights[diskId] as number;
    const firstHeight = this.#firstHeight[block] as number;
    if (weight <= firstHeight) return 0;
    const up = (mix32(bits ^ this.#k3) >>> 0) * TWO_POW_MINUS_32;
    return firstHeight + up * (this.#heightCount[block] as number) < weight ? diskId : 0;
  }
}

interface Block {
  readonly firstIndex: number;
  readonly indexCount: number;
  readonly firstHeight: number;
  readonly heightCount: number;
  readonly salt: number;
}

function areaOf(block: Block): number {
  return block.indexCount * block.heightCount;
}

/** Steps of powers of four: 0-3, 4-15, 16-63 and so on. */
function stepOf(value: number): number {
  let step = 0;
  for (let end = 4; value >= end; end *= 4) step++;
  return step;
}

function blocksOf(disks: readonly DiskEntry[]): Block[] {
  const tallest: number[] = [];
  for (const disk of disks) {
    const step = stepOf(disk.id - 1);
    tallest[step] = Math.max(tallest[step] ?? 0, stepOf(disk.weight - 1));
  }
  const blocks: Block[] = [];
  tallest.forEach((top, indexStep) => {
    for (let heightStep = 0; heightStep <= top; heightStep++) {
      const firstIndex = indexStep === 0 ? 0 : 4 ** indexStep;
      const indexCount = 4 ** (indexStep + 1) - firstIndex;
      const firstHeight = heightStep === 0 ? 0 : 4 ** heightStep;
      const heightCount = 4 ** (heightStep + 1) - firstHeight;
      const salt = mix32(0x626c6f63 + indexStep * 16 + heightStep);
      blocks.push({ firstIndex, indexCount, firstHeight, heightCount, salt });
    }
  });
  // The largest first: they find the winners, and the others are then done after one draw.
  return blocks.sort((a, b) => areaOf(b) - areaOf(a));
}
