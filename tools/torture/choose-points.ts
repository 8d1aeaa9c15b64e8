import type { LoggedOperation } from '../../test/faultfs/mod.ts';
import type { Dice } from '../../test/harness/seed.ts';
import type { Loss } from './check-point.ts';
import type { Mark } from './knowledge.ts';
import type { PowerCut } from './rig.ts';

/** Where and how one run of a load ends, of many possible ends. */
export interface Point {
  cut: PowerCut;
  loss: Loss;
  goesOn: boolean;
}

const POLICIES = ['lose', 'keep', 'prefix', 'subset', 'torn', 'any', 'any'] as const;
/** What is done once, and matters: a cut comes just before or behind it. */
const SHARP = /sync|rename|unlink|link|truncate|create|punch/;
const LOSSES = ['nothing', 'nothing', 'nothing', 'home', 'home and disk'] as const;

/** Chooses ends of a run by dice: anywhere, at what was acknowledged, at syncs and names. */
export class PointChooser {
  readonly #dice: Dice;
  readonly #marks: readonly Mark[];
  readonly #sharp: readonly number[];
  readonly #range: { from: number; to: number };

  constructor(options: {
    dice: Dice;
    marks: readonly Mark[];
    operations: readonly LoggedOperation[];
    range: { from: number; to: number };
  }) {
    const { dice, marks, operations, range } = options;
    this.#dice = dice;
    this.#range = range;
    this.#marks = marks.filter(({ text }) => /^(synced|committed)/.test(text));
    this.#sharp = operations.filter(({ kind }) => SHARP.test(kind)).map(({ sequence }) => sequence);
  }

  next(): Point {
    const dice = this.#dice;
    const lost = dice.pick(LOSSES);
    return {
      cut: {
        sequence: this.#sequence(),
        seed: dice.below(2 ** 31),
        policy: dice.pick(POLICIES),
        names: dice.pick(['strict', 'ext4']),
      },
      loss: {
        home: lost !== 'nothing',
        disk: lost === 'home and disk' ? dice.below(3) : undefined,
      },
      goesOn: dice.below(4) === 0,
    };
  }

  #sequence(): number {
    const dice = this.#dice;
    const { from, to } = this.#range;
    const near = (sequence: number, spread: number): number =>
      Math.min(to, Math.max(from + 1, sequence + dice.below(2 * spread + 1) - spread));
    const way = dice.below(10);
    const mark = this.#marks[dice.below(this.#marks.length)];
    if (way < 3 && mark !== undefined)
      return dice.below(2) === 0 ? mark.sequence : near(mark.sequence, 3);
    const sharp = this.#sharp[dice.below(this.#sharp.length)];
    if (way < 7 && sharp !== undefined) return near(sharp, 1);
    return from + 1 + dice.below(to - from);
  }
}
