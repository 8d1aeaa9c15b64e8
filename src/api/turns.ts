/** Runs actions of one key one after the other, in the order they came. */
export class Turns<Key> {
  readonly #last = new Map<Key, Promise<unknown>>();

  async run<T>(key: Key, action: () => T | Promise<T>): Promise<T> {
    const result = after(this.#last.get(key), action);
    const end = result.then(ignore, ignore);
    this.#last.set(key, end);
    try {
      return await result;
    } finally {
      if (this.#last.get(key) === end) this.#last.delete(key);
    }
  }
}

async function after<T>(before: Promise<unknown> | undefined, action: () => T | Promise<T>) {
  if (before !== undefined) await before;
  return action();
}

function ignore(): void {}

/** Actions that run, and who waits for their end. */
export class Activity {
  #running = 0;
  #waiting: (() => void)[] = [];

  async run<T>(action: () => T | Promise<T>): Promise<T> {
    this.#running++;
    try {
      return await action();
    } finally {
      if (--this.#running === 0) for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    while (this.#running > 0) await new Promise<void>((wake) => this.#waiting.push(wake));
  }
}
