import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../src/base/log.ts';
import { Dice } from '../../test/harness/seed.ts';
import { checkPoint, type PointResult } from './check-point.ts';
import { type Point, PointChooser } from './choose-points.ts';
import { Generator } from './generator.ts';
import { historyOf } from './history.ts';
import { type Knowledge, knowledgeAt } from './knowledge.ts';
import { playLoad } from './load.ts';
import { Model } from './model.ts';
import type { Rig } from './rig.ts';
import { StateFolder } from './state-folder.ts';
import { VfsExecutor } from './vfs-executor.ts';

/** How the volume of a seed is used; follows from the seed. */
export interface Plan {
  scheme: string;
  mode: 'weak' | 'strong';
  operations: number;
}

export interface SeedRun {
  seed: number;
  points: number;
  /** The only point that is checked; all without. */
  only?: number;
  rig: Rig;
  /** Where states are written, on plain storage. */
  folder: string;
  log: Log;
}

/** One point, checked. */
export interface PointReport extends PointResult {
  seed: number;
  index: number;
  plan: Plan;
  point: Point;
  /** What the cut left of each device. */
  policies: Record<string, string>;
  known: Knowledge;
  /** Operations that led to problems; empty without. */
  history: string[];
  ms: number;
}

/** A point that was checked, with the state as the check has left it. */
export interface CheckedPoint {
  report: PointReport;
  path: string;
  model: Model;
}

const OPERATIONS_MIN = 150;
const OPERATIONS_MORE = 400;

/** What a seed means. */
function planOf(dice: Dice): Plan {
  return {
    scheme: dice.below(4) === 0 ? 'ec:2+1' : 'replica:2',
    mode: dice.below(4) === 0 ? 'strong' : 'weak',
    operations: OPERATIONS_MIN + dice.below(OPERATIONS_MORE),
  };
}

/** Plays the load of a seed once, and ends it at many points. */
export async function* runSeed(run: SeedRun): AsyncGenerator<CheckedPoint, void, void> {
  const { seed, points, only, rig, folder, log } = run;
  const dice = new Dice(seed);
  const plan = planOf(dice);
  await rig.renew(plan.scheme);
  const model = new Model();
  const volume = await new StateFolder(rig.path, log).open(plan.mode);
  await playLoad({
    model,
    generator: new Generator(dice, model),
    executor: new VfsExecutor(volume),
    mark: rig.mark,
    operations: plan.operations,
  });
  const range = await rig.range();
  const marks = await rig.marks();
  await volume.close({ commit: false });
  const operations = (await rig.operations()).filter(({ sequence }) => sequence <= range.to);
  const chooser = new PointChooser({ dice: new Dice(seed + 1), marks, operations, range });
  const all = Array.from({ length: points }, (_, index) => ({ index, point: chooser.next() }));
  const wanted = all.filter(({ index }) => only === undefined || index === only);
  const write = (at: number): Written | undefined => {
    const next = wanted[at];
    const path = join(folder, `state-${at % 2}`);
    return next && { ...next, path, policies: rig.write(next.point.cut, path) };
  };
  let written = write(0);
  for (let at = 1; written !== undefined; at++) {
    const { index, point, path } = written;
    const start = performance.now();
    const policies = await written.policies;
    // The rig writes the next state while this one is checked.
    written = write(at);
    const known = knowledgeAt(marks, point.cut.sequence);
    const result = await checkState(new StateFolder(path, log), { model, known, plan, point });
    const ms = performance.now() - start;
    const { problems } = result;
    const history = problems.length === 0 ? [] : historyOf(model, known, problems);
    const report = { seed, index, plan, point, policies, known, history, ms, ...result };
    yield { report, path, model };
    rmSync(path, { recursive: true, force: true });
  }
}

/** A state that is being written. */
interface Written {
  index: number;
  point: Point;
  path: string;
  policies: Promise<Record<string, string>>;
}

/** Checks what a power cut has left of a load. */
export function checkState(
  state: StateFolder,
  given: { model: Model; known: Knowledge; plan: Plan; point: Point },
): Promise<PointResult> {
  const { model, known, plan, point } = given;
  return checkPoint(state, {
    model,
    known,
    mode: plan.mode,
    loss: point.loss,
    isPowerCut: true,
    goesOn: point.goesOn,
    canCommitDegraded: plan.scheme.startsWith('replica'),
  });
}
