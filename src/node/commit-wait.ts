import type { CommitProgress } from '../commit/mod.ts';
import type { LiveVolume } from './live-volume.ts';

/**
 * How far one is who asked for a commit. A commit that was running then is not his, but he waits
 * for it: the two count as one.
 */
export class CommitWait {
  readonly #volume: Pick<LiveVolume, 'cache' | 'committer'>;
  readonly #first: CommitProgress | undefined;

  constructor(volume: Pick<LiveVolume, 'cache' | 'committer'>) {
    this.#volume = volume;
    this.#first = volume.committer.status.running;
  }

  /** Undefined while nothing can be told. */
  get progress(): CommitProgress | undefined {
    const running = this.#volume.committer.status.running;
    const first = this.#first;
    if (running === undefined || first === undefined) return running;
    if (running.epoch === first.epoch) {
      return { ...running, bytesTotal: running.bytesTotal + this.#volume.cache.dirtyBytes };
    }
    return {
      ...running,
      bytesDone: first.bytesTotal + running.bytesDone,
      bytesTotal: first.bytesTotal + running.bytesTotal,
      filesDone: first.filesTotal + running.filesDone,
      filesTotal: first.filesTotal + running.filesTotal,
    };
  }
}
