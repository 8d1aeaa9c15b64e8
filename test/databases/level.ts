import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { bytesFor, judgeLast, type Known, type Load, numberFor, type Running } from './load.ts';

/** Small, so that there are many tables, manifests and new logs. */
const WRITE_BUFFER_BYTES = 64 * 1024;
const VALUE_BYTES_MAX = 4000;
/** Older keys are deleted. */
const KEPT = 150;
const LAST = 'last';

const keyOf = (number: number): string => `key-${String(number).padStart(8, '0')}`;
const valueOf = (number: number): Buffer => bytesFor(number, numberFor(number, 5, VALUE_BYTES_MAX));

type Level = ClassicLevel<string, Buffer>;

class Keys implements Running {
  readonly #level: Level;

  constructor(level: Level) {
    this.#level = level;
  }

  async step(number: number): Promise<void> {
    const batch = this.#level.batch();
    batch.put(keyOf(number), valueOf(number));
    batch.put(LAST, Buffer.from(String(number)));
    if (number > KEPT) batch.del(keyOf(number - KEPT));
    await batch.write({ sync: true });
  }

  async close(): Promise<void> {
    await this.#level.close();
  }
}

async function check(folder: string, known: Known): Promise<string[]> {
  const level: Level = new ClassicLevel(folder, { valueEncoding: 'buffer' });
  try {
    await level.open({ createIfMissing: false });
    let last = 0;
    const keys = new Map<string, Buffer>();
    for await (const [key, value] of level.iterator()) {
      if (key === LAST) last = Number(value);
      else keys.set(key, value);
    }
    const problems = judgeLast(last, known);
    for (let number = Math.max(1, last - KEPT + 1); number <= last; number++) {
      const value = keys.get(keyOf(number));
      keys.delete(keyOf(number));
      if (value === undefined) problems.push(`key ${number} of ${last} is not there`);
      else if (!value.equals(valueOf(number))) problems.push(`key ${number} has another value`);
    }
    for (const key of keys.keys()) problems.push(`${key} is there, and ${last} is the last`);
    return problems.slice(0, 5);
  } finally {
    await level.close();
  }
}

/** LevelDB: batches that are synced. */
export const LEVEL: Load = {
  name: 'leveldb',
  isSynced: true,
  begin: async (folder) => {
    const level: Level = new ClassicLevel(join(folder, 'level'), { valueEncoding: 'buffer' });
    await level.open({ writeBufferSize: WRITE_BUFFER_BYTES });
    return new Keys(level);
  },
  check: (folder, known) => check(join(folder, 'level'), known),
};
