import { PAGE_BYTES, SECTOR_BYTES } from './page-history.ts';

/**
 * What a power cut leaves of what was not synced: nothing, everything, what came before some
 * instant, any of the operations, or any parts of the writes. 'any' lets the seed pick one.
 */
export type CutPolicy = 'lose' | 'keep' | 'prefix' | 'subset' | 'torn' | 'any';

/**
 * strict: a file's sync says nothing of its names, and names come to the device in any order.
 * ext4: a journal in order, which each sync commits; sizes come behind their bytes.
 */
export type NameModel = 'strict' | 'ext4';

const POLICIES = ['lose', 'keep', 'prefix', 'subset', 'torn'] as const;
/** So many operations before the cut may be under way. */
const UNDER_WAY = 16;
const ODDS = [0.1, 0.5, 0.9];

/** The dice of one power cut on one device: the same seed answers the same questions the same. */
export class Cut {
  readonly policy: Exclude<CutPolicy, 'any'>;
  readonly #seed: number;
  readonly #odds: number;
  /** For 'prefix': what came after it is lost. */
  readonly #upTo: number;
  readonly #unitBytes: number;
  readonly #at: number;

  /** `from` is about when the oldest operation was that may still be lost. */
  constructor(options: {
    seed: number;
    device: string;
    policy: CutPolicy;
    from: number;
    at: number;
  }) {
    const { seed, device, policy, from, at } = options;
    this.#at = at;
    this.#seed = mix(
      seed,
      Buffer.from(device).reduce((sum, byte) => (sum * 31 + byte) | 0, 7),
    );
    const dice = (index: number): number => fraction(mix(this.#seed, index));
    this.policy = policy === 'any' ? pick(POLICIES, dice(1)) : policy;
    this.#odds = pick(ODDS, dice(2));
    // Mostly shortly before the cut: what is older is often synced anyway.
    this.#upTo = at + 1 - Math.floor((at - from + 1) ** dice(3));
    this.#unitBytes = dice(4) < 0.5 ? SECTOR_BYTES : PAGE_BYTES;
  }

  get isTorn(): boolean {
    return this.policy === 'torn' && this.#unitBytes === SECTOR_BYTES;
  }

  /** Whether an operation that was not synced is there. */
  keeps(sequence: number): boolean {
    switch (this.policy) {
      case 'lose':
        return false;
      case 'keep':
        return true;
      case 'prefix':
        return sequence <= this.#upTo;
      case 'subset':
      case 'torn':
        return fraction(mix(this.#seed, sequence)) < this.#odds;
    }
  }

  /** Whether a write that was not synced is there in one sector of a page. */
  keepsSector(sequence: number, page: number, sector: number): boolean {
    if (this.policy !== 'torn') return this.keeps(sequence);
    const dice = mix(this.#seed, sequence);
    // What is under way as the power goes is mostly torn, of the rest a third.
    const isUnderWay = sequence > this.#at - UNDER_WAY;
    if (fraction(mix(dice, 5)) >= (isUnderWay ? 0.9 : 1 / 3)) return this.keeps(sequence);
    return fraction(mix(mix(dice, page), this.isTorn ? sector + 1 : 0)) < 0.5;
  }

  /** How many of `count` changes of an inode, which are in order, are there. */
  pickMeta(ino: number, count: number, sequenceOf: (index: number) => number): number {
    switch (this.policy) {
      case 'lose':
        return 0;
      case 'keep':
        return count;
      case 'prefix': {
        let kept = 0;
        while (kept < count && sequenceOf(kept + 1) <= this.#upTo) kept++;
        return kept;
      }
      case 'subset':
      case 'torn': {
        const dice = mix(mix(this.#seed, ino), count);
        // None and all are as likely as anything between.
        if (fraction(dice) < 1 / 3) return 0;
        if (fraction(dice) < 2 / 3) return count;
        return Math.floor(fraction(mix(dice, 1)) * (count + 1));
      }
    }
  }

  /** Where a journal ends that has at least what was before `from`. */
  journalEnd(from: number, at: number): number {
    const random = at + 1 - Math.floor((at - from + 1) ** fraction(mix(this.#seed, 6)));
    const ends = { lose: from, keep: at, prefix: Math.max(from, this.#upTo) };
    return this.policy === 'subset' || this.policy === 'torn' ? random : ends[this.policy];
  }
}

/** A mixer of two whole numbers (murmur3's finalizer): 32 random bits. */
export function mix(a: number, b: number): number {
  let mixed = (Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) + Math.imul(b + 0x7f4a7c15, 0xc2b2ae35)) | 0;
  mixed ^= Math.floor(b / 2 ** 32);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** 32 bits as a number from 0 to below 1. */
export function fraction(bits: number): number {
  return bits / 2 ** 32;
}

function pick<T>(from: readonly T[], dice: number): T {
  return from[Math.floor(dice * from.length)] as T;
}
