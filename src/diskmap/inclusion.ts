/**
 * How large a clock's rate must be so that the disk (or domain) is among the first `count` to ring
 * in proportion to its weight. With count > 1 the weights themselves do not do it: once the large
 * one has rung, the small ones compete for the second place among themselves and get too much.
 */
import { expOfNegative, ln } from './logarithm.ts';

/** Larger problems take the first estimate, whose error falls with the number of competitors. */
const EXACT_WORK_MAX = 8192;
const ROUNDS = 16;
const NODES = 96;
/** Shares are met up to this part of them; every further correction would move more later. */
const TOLERANCE = 0.005;
/** What must always win rings this much faster than all others together; 0.4% still miss it. */
const ALWAYS = 16;

/**
 * Shares of `count` pieces in proportion to the weights, none above 1: what is over is spread
 * over the rest. Needs at least `count` weights above 0.
 */
export function sharesOf(weights: readonly number[], count: number): number[] {
  const order = weights.map((_, index) => index);
  order.sort((a, b) => (weights[b] as number) - (weights[a] as number));
  const shares = weights.map(() => 0);
  let rest = weights.reduce((sum, weight) => sum + weight, 0);
  let left = count;
  for (const index of order) {
    const weight = weights[index] as number;
    const share = left <= 0 ? 0 : Math.min(1, (left * weight) / rest);
    shares[index] = share;
    // Once one stays below 1, all that follow keep the same ratio of pieces to weight.
    if (share === 1) left -= 1;
    else left = (left * (rest - weight)) / rest;
    rest -= weight;
  }
  return shares;
}

/** Rates with which each is among the first `count` to ring as often as {@link sharesOf} says. */
export function ratesFor(weights: readonly number[], count: number): number[] {
  if (count >= weights.length || count === 1) return [...weights];
  const first = weights[0] as number;
  if (weights.every((weight) => weight === first)) return [...weights];
  const shares = sharesOf(weights, count);
  const open = shares.flatMap((share, index) => (share < 1 ? [index] : []));
  const openCount = count - (shares.length - open.length);
  const targets = open.map((index) => shares[index] as number);
  const openRates = openCount === 1 ? targets : fitRates(targets, openCount);
  const sum = openRates.reduce((total, rate) => total + rate, 0);
  const rates = weights.map(() => ALWAYS * sum);
  open.forEach((index, at) => {
    rates[index] = openRates[at] as number;
  });
  return rates;
}

function fitRates(targets: readonly number[], count: number): number[] {
  // Exponential order sampling (Rosen, 1997): exact when the time of the last winner is fixed.
  const wanted = targets.map((target) => -ln(1 - Math.min(target, 0.9999)));
  let rates = wanted;
  if (targets.length * count > EXACT_WORK_MAX) return rates;
  for (let round = 0; round < ROUNDS; round++) {
    const reached = inclusionOf(rates, count);
    rates = rates.map((rate, index) => {
      const got = Math.min(reached[index] as number, 0.9999);
      return (rate * (wanted[index] as number)) / -ln(1 - got);
    });
  }
  return leastCorrection({ targets, fitted: rates, count });
}

/**
 * The rates nearest to the plain weights (the targets are those, but for a factor) that still meet
 * the tolerance. Continuous in the weights, so that a small change of the map stays small.
 */
function leastCorrection(task: {
  targets: readonly number[];
  fitted: readonly number[];
  count: number;
}): number[] {
  const { targets, fitted, count } = task;
  const scale = count / fitted.reduce((sum, rate) => sum + rate, 0);
  const blend = (part: number): number[] => {
    return targets.map((target, index) => {
      return target * (1 - part) + scale * (fitted[index] as number) * part;
    });
  };
  const isGood = (part: number): boolean => {
    const reached = inclusionOf(blend(part), count);
    return targets.every((target, index) => {
      return Math.abs((reached[index] as number) - target) <= TOLERANCE * target;
    });
  };
  let bad = 0;
  let good = 1;
  if (isGood(bad)) return blend(bad);
  for (let round = 0; round < 12; round++) {
    const middle = (bad + good) / 2;
    if (isGood(middle)) good = middle;
    else bad = middle;
  }
  return blend(good);
}

/**
 * How probably each clock is among the first `count`: the integral, over the time t of its ring, of
 * the chance that fewer than `count` others have rung by then.
 */
export function inclusionOf(rates: readonly number[], count: number): number[] {
  const total = rates.reduce((sum, rate) => sum + rate, 0);
  const scale = (2 * count) / total;
  const sums = rates.map(() => 0);
  for (let node = 0; node < NODES; node++) {
    // Midpoints of s in (0, 1), bent so that both ends are dense: t = scale * x / (1 - x).
    const s = (node + 0.5) / NODES;
    const x = s * s * (3 - 2 * s);
    const time = (scale * x) / (1 - x);
    const step = (scale * 6 * s * (1 - s)) / ((1 - x) * (1 - x)) / NODES;
    const alive = rates.map((rate) => expOfNegative(-rate * time));
    const fewer = fewerThan(alive, count);
    rates.forEach((rate, index) => {
      const density = rate * (alive[index] as number) * (fewer[index] as number);
      sums[index] = (sums[index] as number) + density * step;
    });
  }
  // The probabilities add up to count; what the rule of midpoints misses is spread.
  const sum = sums.reduce((all, value) => all + value, 0);
  return sums.map((value) => Math.min(1, (value * count) / sum));
}

/** For each: the chance that fewer than `count` of the others have rung (1 - alive each). */
function fewerThan(alive: readonly number[], count: number): number[] {
  const size = alive.length;
  const before = new Float64Array((size + 1) * count);
  before[0] = 1;
  for (let index = 0; index < size; index++) {
    const stays = alive[index] as number;
    for (let rung = 0; rung < count; rung++) {
      const from = before[index * count + rung] as number;
      const less = rung === 0 ? 0 : (before[index * count + rung - 1] as number);
      before[(index + 1) * count + rung] = from * stays + less * (1 - stays);
    }
  }
  const results = alive.map(() => 0);
  // after[r]: the chance that at most r of those behind the index have rung.
  let after: number[] = Array.from({ length: count }, () => 1);
  for (let index = size - 1; index >= 0; index--) {
    let sum = 0;
    for (let rung = 0; rung < count; rung++) {
      sum += (before[index * count + rung] as number) * (after[count - 1 - rung] as number);
    }
    results[index] = sum;
    const stays = alive[index] as number;
    after = after.map((chance, rung) => {
      return chance * stays + (rung === 0 ? 0 : (after[rung - 1] as number)) * (1 - stays);
    });
  }
  return results;
}
