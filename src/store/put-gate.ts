// Invariants.
// 1. Puts run beside each other; what asks to be alone runs beside nothing.
// 2. First come, first served: neither puts nor removals wait longer than for what came before them.

interface Waiting {
  readonly isAlone: boolean;
  readonly enter: () => void;
}

/**
 * Keeps pieces from being removed while others are put: a put finds a piece that is there, and takes
 * it for its own.
 */
export class PutGate {
  #puts = 0;
  #isAlone = false;
  readonly #queue: Waiting[] = [];

  put<T>(work: () => Promise<T>): Promise<T> {
    return this.#run(false, work);
  }

  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#run(true, work);
  }

  async #run<T>(isAlone: boolean, work: () => Promise<T>): Promise<T> {
    if (this.#queue.length === 0 && this.#fits(isAlone)) this.#take(isAlone);
    else await new Promise<void>((enter) => this.#queue.push({ isAlone, enter }));
    try {
      return await work();
    } finally {
      if (isAlone) this.#isAlone = false;
      else this.#puts--;
      this.#admit();
    }
  }

  #admit(): void {
    for (let [next] = this.#queue; next !== undefined; [next] = this.#queue) {
      if (!this.#fits(next.isAlone)) return;
      this.#queue.shift();
      this.#take(next.isAlone);
      next.enter();
    }
  }

  #fits(isAlone: boolean): boolean {
    return !this.#isAlone && (!isAlone || this.#puts === 0);
  }

  #take(isAlone: boolean): void {
    if (isAlone) this.#isAlone = true;
    else this.#puts++;
  }
}
