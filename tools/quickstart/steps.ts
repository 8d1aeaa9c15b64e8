import { formatDuration, formatTable, type Style, styleFor } from '../dfsctl/format.ts';

interface Step {
  what: string;
  result: string;
  ms: number;
  isGood: boolean;
}

/** What was done, in order, with what came of it and how long it took. */
export class Steps {
  readonly #steps: Step[] = [];
  readonly #style: Style = styleFor(process.stdout, process.env);

  /** Says what begins, does it, and notes its result: a text for the table. */
  async run(what: string, work: () => Promise<string>): Promise<void> {
    const startedMs = performance.now();
    const elapsed = (): number => performance.now() - startedMs;
    process.stdout.write(`${this.#style.bold(what)}\n`);
    try {
      const result = await work();
      const ms = elapsed();
      this.#steps.push({ what, result, ms, isGood: true });
      process.stdout.write(`  ${result} ${this.#style.dim(`(${formatDuration(ms)})`)}\n`);
    } catch (error) {
      this.#steps.push({ what, result: 'FAILED', ms: elapsed(), isGood: false });
      throw error;
    }
  }

  /** Prints a line of a step that is running. */
  say(line: string): void {
    process.stdout.write(`  ${line}\n`);
  }

  /** The whole run as a short table. */
  table(): string[] {
    const ms = this.#steps.reduce((sum, step) => sum + step.ms, 0);
    const isGood = this.#steps.length > 0 && this.#steps.every((step) => step.isGood);
    const rows = this.#steps.map(({ what, result, ms: stepMs }) => [
      what,
      result,
      formatDuration(stepMs),
    ]);
    const columns = [
      { heading: 'STEP' },
      { heading: 'RESULT' },
      { heading: 'TIME', align: 'right' as const },
    ];
    const verdict = isGood
      ? this.#style.good('Nothing is missing.')
      : this.#style.bad('Something went wrong.');
    return [
      '',
      ...formatTable(columns, rows, this.#style),
      '',
      `${verdict} ${formatDuration(ms)} in all.`,
    ];
  }
}
