import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DeadChunk } from '../meta/mod.ts';

/** Chunks that nothing names. Bytes of content. */
export interface GarbageFigures {
  /** Kept, because a retained epoch names them, or for the time of grace. */
  retainedChunks: number;
  retainedBytes: number;
  /** Not protected: they go with the next collection. */
  garbageChunks: number;
  garbageBytes: number;
}

/** Rows that are looked at in one turn: some milliseconds. */
const PAGE_ROWS = 1024;
/** So long after a count the next one begins, if somebody asks. */
const EVERY_MS = 3000;

export interface GarbageCountOptions {
  /** As {@link CommittedMeta.deadChunks}, at any time. */
  dead: (limit: number, after?: DeadChunk) => DeadChunk[];
  protects: (chunk: DeadChunk) => boolean;
}

/** Counts dead chunks, some in each turn of the event loop, for who wants to show them. */
export class GarbageCount {
  readonly #options: GarbageCountOptions;
  #figures: GarbageFigures | undefined;
  #countedMs = Number.NEGATIVE_INFINITY;
  #counting: Promise<void> | undefined;

  constructor(options: GarbageCountOptions) {
    this.#options = options;
  }

  /** What was counted last; only the first to ask waits for it. */
  async figures(): Promise<GarbageFigures> {
    if (performance.now() - this.#countedMs >= EVERY_MS) {
      this.#counting ??= this.#count().finally(() => {
        this.#counting = undefined;
        this.#countedMs = performance.now();
      });
    }
    if (this.#figures === undefined) await this.#counting;
    // What goes wrong is told to who waits; the others have the figures of before.
    else this.#counting?.catch(() => undefined);
    return this.#figures ?? NONE;
  }

  async #count(): Promise<void> {
    const { dead, protects } = this.#options;
    const figures = { ...NONE };
    let after: DeadChunk | undefined;
    for (;;) {
      const page = dead(PAGE_ROWS, after);
      for (const chunk of page) {
        if (protects(chunk)) {
          figures.retainedChunks++;
          figures.retainedBytes += chunk.lengthBytes;
        } else {
          figures.garbageChunks++;
          figures.garbageBytes += chunk.lengthBytes;
        }
      }
      after = page.at(-1);
      if (page.length < PAGE_ROWS || after === undefined) break;
      await nextTurn();
    }
    this.#figures = figures;
  }
}

const NONE: GarbageFigures = {
  retainedChunks: 0,
  retainedBytes: 0,
  garbageChunks: 0,
  garbageBytes: 0,
};
