/** The seed of a random test: DFS_SEED, or a new one. Prints the command that replays it. */
export function seedOf(file: string): number {
  const seed = Number(process.env.DFS_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`DFS_SEED=${seed} npx vitest run ${file}`);
  return seed;
}

/** Random numbers that a seed repeats (mulberry32, a mixer with a counter for its state). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)];
    if (picked === undefined) throw new Error('Cannot pick from nothing');
    return picked;
  }
}
