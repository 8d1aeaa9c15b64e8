/** Waits of requests that can be called off by the number of the request. */
export class Cancels {
  readonly #waiting = new Map<number, () => void>();

  /** Resolves when `wait` does, to false, or to true as soon as `unique` is cancelled. */
  during(unique: number | undefined, wait: Promise<void>): Promise<boolean> {
    if (unique === undefined) return wait.then(() => false);
    return new Promise((resolve, reject) => {
      this.#waiting.set(unique, () => resolve(true));
      const end = (): void => void this.#waiting.delete(unique);
      wait.then(() => resolve(false), reject).then(end, end);
    });
  }

  /** Ends a wait, if there is one. */
  cancel(unique: number): void {
    this.#waiting.get(unique)?.();
  }
}
