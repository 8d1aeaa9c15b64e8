/** Sets one name in one folder; undefined takes it away. */
export interface NameChange {
  folder: number;
  name: string;
  ino: number | undefined;
}

/** A change of names that comes to the device whole or not at all. */
interface NameOperation {
  sequence: number;
  changes: readonly NameChange[];
  /** The operations before it on the same names, without which it cannot be. */
  previous: NameOperation[];
  /** When it was surely on the device: the sequence number of a sync of a folder. */
  durableAt: number;
}

/**
 * The names in all folders of a device, now and as a power cut at any time may leave them. Only a
 * sync of one of its folders makes an operation durable, and with it the operations before it on
 * the same names.
 */
export class NameHistory {
  #operations: NameOperation[] = [];
  readonly #latest: Map<number, Map<string, NameOperation>> = new Map();
  /** Operations that are not on the device, by folder. */
  readonly #pending: Map<number, NameOperation[]> = new Map();
  /** What was there before the operations. */
  #settled: Map<number, Map<string, number>> = new Map();

  change(sequence: number, changes: readonly NameChange[]): void {
    const operation: NameOperation = { sequence, changes, previous: [], durableAt: Infinity };
    for (const { folder, name } of changes) {
      const names = entry(this.#latest, folder, () => new Map<string, NameOperation>());
      const before = names.get(name);
      if (before !== undefined) operation.previous.push(before);
      names.set(name, operation);
      const pending = entry(this.#pending, folder, () => []);
      if (pending.at(-1) !== operation) pending.push(operation);
    }
    this.#operations.push(operation);
  }

  /** The names in `folder` are on the device. */
  sync(sequence: number, folder: number): void {
    const pending = this.#pending.get(folder) ?? [];
    this.#pending.delete(folder);
    for (const operation of pending) makeDurable(operation, sequence);
  }

  /** Forgets what was before: the names are on the device as they are now. */
  settle(): void {
    this.#settled = this.after(Infinity, () => true);
    this.#operations = [];
    this.#latest.clear();
    this.#pending.clear();
  }

  /** The names after a power cut: those of each folder, with their inodes. */
  after(at: number, keeps: (sequence: number) => boolean): Map<number, Map<string, number>> {
    const kept = new Set<NameOperation>();
    for (let index = this.#operations.length - 1; index >= 0; index--) {
      const operation = this.#operations[index] as NameOperation;
      const { sequence, durableAt } = operation;
      if (sequence > at) continue;
      if (durableAt > at && !kept.has(operation) && !keeps(sequence)) continue;
      kept.add(operation);
      for (const before of operation.previous) kept.add(before);
    }
    const folders = new Map([...this.#settled].map(([folder, names]) => [folder, new Map(names)]));
    for (const operation of this.#operations) {
      if (!kept.has(operation)) continue;
      for (const { folder, name, ino } of operation.changes) {
        const names = entry(folders, folder, () => new Map<string, number>());
        if (ino === undefined) names.delete(name);
        else names.set(name, ino);
      }
    }
    return folders;
  }
}

function makeDurable(first: NameOperation, sequence: number): void {
  const todo = [first];
  for (let operation = todo.pop(); operation !== undefined; operation = todo.pop()) {
    if (operation.durableAt <= sequence) continue;
    operation.durableAt = sequence;
    todo.push(...operation.previous);
  }
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}
