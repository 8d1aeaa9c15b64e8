import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { ScrubRounds } from './scrub-rounds.ts';
import { newWorkState, type WorkState } from './work-file-format.ts';
import { readWorkState } from './work-file-reader.ts';
import { writeWorkState } from './work-file-writer.ts';

/** What background work knows beyond the life of the daemon: HOME/work. */
export class WorkMemory {
  isPaused: boolean;
  bytesPerSecond: number | undefined;
  readonly scrub: ScrubRounds;
  savedMs: number = performance.now();
  readonly #path: string;
  readonly #log: Log;

  private constructor(options: MemoryOptions, state: WorkState) {
    this.#path = options.path;
    this.#log = options.log;
    this.isPaused = state.isPaused;
    this.bytesPerSecond = state.bytesPerSecond ?? undefined;
    this.scrub = new ScrubRounds(state.scrub, options.scrubDays, () => Date.now());
  }

  /** Takes up what HOME says. A damaged HOME/work is replaced: it has only hints. */
  static async open(options: MemoryOptions): Promise<WorkMemory> {
    const { path, log } = options;
    try {
      const state = (await readWorkState(path)) ?? newWorkState(Date.now());
      return new WorkMemory(options, state);
    } catch (error) {
      if (!(error instanceof DfsError) || error.code !== 'CORRUPT') throw error;
      log('warn', 'work.state.lost', { message: error.message });
      return new WorkMemory(options, newWorkState(Date.now()));
    }
  }

  /** Writes it down, as far as HOME lets it: a hint that is lost costs time, nothing else. */
  async save(): Promise<void> {
    this.savedMs = performance.now();
    const { isPaused, bytesPerSecond = null } = this;
    try {
      await writeWorkState(this.#path, { isPaused, bytesPerSecond, scrub: this.scrub.state });
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#log('warn', 'work.state.unsaved', { message: messageOf(error) });
    }
  }
}

interface MemoryOptions {
  readonly path: string;
  readonly log: Log;
  readonly scrubDays: () => number;
}
