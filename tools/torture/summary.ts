import type { KillReport } from './kill-run.ts';
import type { PointReport } from './run-seed.ts';

/** A point that showed a problem, or a seed that could not be played. */
export interface Violation {
  seed: number;
  /** Undefined when the load itself failed. */
  index: number | undefined;
  problems: string[];
}

/** What a whole run did; counts of points. */
export class Summary {
  readonly #seeds = new Set<number>();
  readonly #counts = new Map<string, Map<string, number>>();
  readonly violations: Violation[] = [];
  points = 0;
  /** Of all processes of a volume, or of its daemon. */
  kills = 0;
  operations = 0;

  played(seed: number): void {
    this.#seeds.add(seed);
  }

  add(report: PointReport): void {
    const { seed, index, plan, point, policies, known, problems } = report;
    this.points++;
    this.operations += known.done;
    const { home, disk } = point.loss;
    this.#count('lost', home ? (disk === undefined ? 'HOME' : 'HOME and a disk') : 'power only');
    this.#count('names', point.cut.names);
    this.#count('mode', plan.mode);
    this.#count('scheme', plan.scheme);
    const kinds = new Set(Object.values(policies));
    this.#count('unsynced', kinds.size === 1 ? ([...kinds][0] ?? '') : 'mixed');
    if (problems.length > 0) this.violations.push({ seed, index, problems });
  }

  addKill(report: KillReport): void {
    const { seed, plan, problems, known } = report;
    this.kills += 1 + plan.daemons;
    this.operations += known.done;
    this.#count('killed during', plan.moment);
    if (problems.length > 0) this.violations.push({ seed, index: undefined, problems });
  }

  #count(what: string, value: string): void {
    const counts = this.#counts.get(what) ?? new Map<string, number>();
    counts.set(value, (counts.get(value) ?? 0) + 1);
    this.#counts.set(what, counts);
  }

  get seeds(): number {
    return this.#seeds.size;
  }

  toJSON(): object {
    const counts: Record<string, unknown> = {};
    for (const [what, values] of this.#counts) counts[what] = Object.fromEntries(values);
    const { points, seeds, kills, operations, violations } = this;
    return { points, seeds, kills, operations, ...counts, violations };
  }
}
