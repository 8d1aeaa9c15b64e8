import { chmodSync } from 'node:fs';
import { Dice } from '../harness/seed.ts';
import { LARGE_LOADS, LOADS } from './loads.ts';
import { checkPoint, choosePoint } from './point.ts';
import { type Plan, record } from './rig.ts';

/** One run: databases work for a while, and the power is cut at many points of that while. */
export interface SeedRun {
  seed: number;
  /** Where states are written, on plain storage. */
  folder: string;
  points: number;
  /** One in so many points is looked at on a mount. */
  mountedOneIn: number;
  /** Of the plan that follows from the seed. */
  loadMs?: number;
  mode?: Plan['mode'] | 'marked';
  /** With the databases that take long. */
  isLarge?: boolean;
  onProblem?: (text: string) => void;
}

export interface SeedReport {
  points: number;
  problems: string[];
  summary: string;
}

/** Runs the databases of a seed once, and checks them after power cuts at random points. */
export async function runSeed(run: SeedRun): Promise<SeedReport> {
  const { seed, folder, points, mountedOneIn } = run;
  const dice = new Dice(seed);
  const how = run.mode ?? dice.pick(['weak', 'strong', 'marked'] as const);
  const plan: Plan = {
    scheme: dice.below(4) === 0 ? 'ec:2+1' : 'replica:2',
    mode: how === 'strong' ? 'strong' : 'weak',
    marked: how === 'marked' ? LOADS.map(({ name }) => name).filter(() => dice.below(2) === 0) : [],
    kills: dice.below(3) === 0 ? 1 + dice.below(2) : 0,
    loads: run.isLarge === true ? [...LOADS, ...LARGE_LOADS] : LOADS,
    loadMs: run.loadMs ?? 1000 + dice.below(4000),
  };
  // Servers run as users of their own.
  chmodSync(folder, 0o755);
  const recording = await record(plan, dice, folder);
  const problems: string[] = [];
  const start = performance.now();
  try {
    for (let index = 0; index < points; index++) {
      const point = choosePoint(dice, recording, mountedOneIn);
      for (const problem of await checkPoint(recording, plan, point, folder)) {
        const where = JSON.stringify({ ...plan, loads: undefined, ...point });
        const text = `seed ${seed} point ${index} ${where}: ${problem}`;
        problems.push(text);
        run.onProblem?.(text);
      }
    }
  } finally {
    await recording.devices.stop();
  }
  const { from, to, marks } = recording;
  const msAPoint = Math.round((performance.now() - start) / points);
  const counts = plan.loads.map(({ name }) => {
    const count = marks.filter(({ text }) => text.startsWith(`${name} `)).length;
    return `${count} ${name}`;
  });
  const marked = plan.marked.length > 0 ? ` but ${plan.marked.join(' and ')}` : '';
  const use = `${plan.mode}${marked}, ${plan.scheme}, ${plan.kills} kills`;
  const what = `${use}, ${plan.loadMs} ms, ${to - from} operations`;
  const end = `${points} points of ${msAPoint} ms, ${problems.length} problems`;
  const summary = `${what}, ${counts.join(', ')}; ${end}`;
  return { points, problems, summary };
}
