interface Waiter<T> {
  readonly resolve: (result: T) => void;
  readonly reject: (error: unknown) => void;
}

/** Those who wait for the same thing. */
export class Waiters<T> {
  #waiting: Waiter<T>[] = [];

  wait(): Promise<T> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** What resolves those who wait by now, and nobody who comes later. */
  known(): (result: T) => void {
    const known = new Set(this.#waiting);
    return (result) => {
      for (const { resolve } of this.#waiting.filter((waiter) => known.has(waiter)))
        resolve(result);
      this.#waiting = this.#waiting.filter((waiter) => !known.has(waiter));
    };
  }

  /** There is nothing to wait for any more. */
  fail(error: unknown): void {
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting = [];
  }
}
