import type { KillReport } from './kill-run.ts';
import type { Order } from './messages.ts';
import type { PointReport } from './run-seed.ts';
import { Summary } from './summary.ts';
import { Worker } from './worker.ts';

export interface TortureOptions {
  /** Where to work. */
  folder: string;
  /** The first one; the others follow. */
  seed: number;
  seconds: number;
  /** How many points at most. */
  points: number;
  pointsPerSeed: number;
  only?: number;
  /** Seeds divisible by it kill processes instead; 0 for none. */
  killsEvery: number;
  workers: number;
  keep?: string;
  /** Whether to end soon. */
  isOver: () => boolean;
}

/** A process that has played so many seeds makes room for a new one. */
const SEEDS_A_WORKER = 40;
const SHOWN_MAX = 1500;
/** How often a log hears how far it is. */
const SEEDS_A_LINE = 50;

/** Plays seeds, one after the other on each worker, until the time is over. */
export async function torture(options: TortureOptions): Promise<Summary> {
  const summary = new Summary();
  const end = performance.now() + 1000 * options.seconds;
  let nextSeed = options.seed;
  let asked = 0;
  const isOver = (): boolean =>
    options.isOver() ||
    asked >= options.points ||
    performance.now() >= end ||
    (options.only !== undefined && nextSeed > options.seed);
  const work = async (): Promise<void> => {
    let worker: Worker | undefined;
    while (!isOver()) {
      const seed = nextSeed++;
      const points = Math.min(options.pointsPerSeed, options.points - asked);
      // A seed of kills has no points, and counts as one where there are no others.
      if (!isOfKills(seed, options) || options.killsEvery === 1) asked += points;
      if (worker === undefined || worker.isDead || worker.seeds >= SEEDS_A_WORKER) {
        await worker?.end();
        worker = newWorker(options);
      }
      await playSeed(worker, { seed, points, options, summary });
      showProgress(summary, end);
    }
    await worker?.end();
  };
  await Promise.all(Array.from({ length: options.workers }, work));
  if (process.stderr.isTTY) process.stderr.write('\n');
  return summary;
}

function newWorker({ folder, keep }: TortureOptions): Worker {
  return new Worker(keep === undefined ? { folder } : { folder, keep });
}

async function playSeed(
  worker: Worker,
  given: { seed: number; points: number; options: TortureOptions; summary: Summary },
): Promise<void> {
  const { seed, points, options, summary } = given;
  const { failure, log } = await worker.play(orderOf(seed, points, options), (answer) => {
    if (answer.kind === 'point') {
      summary.add(answer.report);
      if (answer.report.problems.length > 0) tell(answer.report, answer.log);
    } else if (answer.kind === 'kill') {
      summary.addKill(answer.report);
      if (answer.report.problems.length > 0) tellKill(answer.report, answer.log);
    }
  });
  summary.played(seed);
  if (failure === undefined) return;
  summary.violations.push({ seed, index: undefined, problems: [failure] });
  console.error([`seed ${seed} could not be played: ${failure}`, ...log].join('\n  '));
}

function isOfKills(seed: number, { killsEvery, only }: TortureOptions): boolean {
  return only === undefined && killsEvery > 0 && seed % killsEvery === 0;
}

function orderOf(seed: number, points: number, options: TortureOptions): Order {
  const { only } = options;
  if (only !== undefined) return { seed, points: only + 1, only };
  if (isOfKills(seed, options)) return { seed, points: 1, kills: true };
  return { seed, points };
}

function tellKill(report: KillReport, log: string[]): void {
  const { seed, plan, known, problems, history } = report;
  const lines = [
    `violation at the kill of seed ${seed}: ${JSON.stringify(plan)}, ${known.done} operations done`,
    ...problems.map((text) => `! ${text}`),
    ...log.map((line) => `log: ${line}`),
    ...history.map((line) => `operation ${line}`),
    `again: npm run torture -- --seed ${seed} --kills-every 1 --points 1`,
  ];
  console.error(lines.join('\n  '));
}

/** Prints a violation, what led to it, and how to see it again. */
function tell(report: PointReport, log: string[]): void {
  const { seed, index, plan, point, policies, known, problems, history } = report;
  const lines = [
    `violation at point ${index} of seed ${seed}: ${JSON.stringify({ ...plan, ...point, policies })}`,
    `${known.done} operations done, ${known.committed} known to be committed`,
    ...problems.map((text) => `! ${text}`),
    ...log.map((line) => `log: ${line}`),
    ...history.map((line) => `operation ${line}`),
    `again: npm run torture -- --seed ${seed} --only ${index}; with --keep FOLDER the state stays`,
  ];
  console.error(lines.map((line) => line.slice(0, SHOWN_MAX)).join('\n  '));
}

function showProgress({ points, seeds, violations }: Summary, end: number): void {
  if (!process.stderr.isTTY) {
    if (seeds % SEEDS_A_LINE !== 0) return;
    console.error(`${points} points of ${seeds} seeds, ${violations.length} violations`);
    return;
  }
  const left = Math.max(0, Math.round((end - performance.now()) / 1000));
  const text = `${points} points of ${seeds} seeds, ${violations.length} violations, ${left} s left`;
  process.stderr.write(`\r${text}   `);
}
