import { DfsError } from '../../src/base/errors.ts';
import type { Limits } from './limits.ts';
import type { Bench, Measure, Rates, Side, Work } from './work.ts';

/** A figure of the report: medians over the rounds. */
export interface Result {
  name: string;
  title: string;
  unit: Measure['unit'];
  native: number | undefined;
  dfs: number;
  /** dfs / native. */
  ratio: number | undefined;
  napkin: number;
  /** Every round's figure, in order. */
  rounds: { native: number[]; dfs: number[] };
}

/** The middle of an odd number of values, the mean of the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return (low + high) / 2;
}

/**
 * Does a work `rounds` times on each of its sides, in turn, the first side another one each round.
 */
export async function runWork(
  bench: Bench,
  work: Work,
  options: { rounds: number; limits: Limits },
): Promise<Result[]> {
  const taken: Record<Side, Rates[]> = { native: [], dfs: [] };
  for (let round = 0; round < options.rounds; round++) {
    const sides = round % 2 === 0 ? work.sides : [...work.sides].reverse();
    for (const side of sides) taken[side].push(await runOnce(bench, work, { side, round }));
  }
  return work.measures.map((measure) => resultOf(measure, taken, options.limits));
}

async function runOnce(
  bench: Bench,
  work: Work,
  { side, round }: { side: Side; round: number },
): Promise<Rates> {
  const folder = `${bench.folder(side)}/${work.name}-${round}`;
  await bench.time('mkdir', folder);
  await settle(bench);
  await work.prepare?.(bench, { side, folder });
  // A commit is itself a work: what it is to commit must still be there.
  if (work.name !== 'commit') await settle(bench);
  const rates = await work.run(bench, { side, folder });
  await bench.time('rm', '-rf', folder);
  return rates;
}

/** Waits until nothing is left to be written, so that no run pays for the one before it. */
async function settle(bench: Bench): Promise<void> {
  if (bench.volume.isMounted) await bench.volume.commit();
  await bench.time('sync', '-f', bench.volume.native);
}

function resultOf(measure: Measure, taken: Record<Side, Rates[]>, limits: Limits): Result {
  const { name, title, unit } = measure;
  const figures = (side: Side): number[] => taken[side].map((rates) => rates[name] ?? Number.NaN);
  const rounds = { native: figures('native'), dfs: figures('dfs') };
  const dfs = median(rounds.dfs);
  const native = rounds.native.length === 0 ? undefined : median(rounds.native);
  if (!Number.isFinite(dfs) || (native !== undefined && !Number.isFinite(native))) {
    throw new DfsError('INVARIANT', `the work of ${name} gave no figure`);
  }
  return {
    name,
    title,
    unit,
    native,
    dfs,
    ratio: native === undefined ? undefined : dfs / native,
    napkin: measure.napkin(limits, native ?? Number.NaN),
    rounds,
  };
}
