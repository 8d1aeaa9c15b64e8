/** Runs a few things at once, as many as may be at the moment, and remembers the first failure. */
export class Lanes {
  readonly #countMax: () => number;
  readonly #running = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  constructor(countMax: () => number) {
    this.#countMax = countMax;
  }

  /** Starts `work` when there is a lane for it; throws what something before it threw. */
  async start(work: () => Promise<void>): Promise<void> {
    while (this.#running.size >= Math.max(1, this.#countMax())) await Promise.race(this.#running);
    this.#check();
    const run: Promise<void> = work()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** Returns when all that was started has ended; throws what any of it threw. */
  async end(): Promise<void> {
    await Promise.all(this.#running);
    this.#check();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
