import type { Epoch, Ino } from '../base/ids.ts';
import { BLOCK_BYTES } from '../base/limits.ts';
import type { FrozenFile } from './cut-source.ts';
import type { Segment } from './segments.ts';

/** How far the running commit is; bytes count the cut's dirty blocks, files those that have some. */
export interface CommitProgress {
  epoch: Epoch;
  /** Chunks are stored, then the epoch is published: written to all disks and synced. */
  stage: 'storing' | 'publishing';
  bytesDone: number;
  bytesTotal: number;
  filesDone: number;
  filesTotal: number;
}

/** Counts what of a cut is stored. */
export class ProgressCount {
  readonly progress: CommitProgress;
  /** Bytes of each file that are not stored yet. */
  readonly #left = new Map<Ino, number>();

  constructor(epoch: Epoch) {
    const nothing = { bytesDone: 0, bytesTotal: 0, filesDone: 0, filesTotal: 0 };
    this.progress = { epoch, stage: 'storing', ...nothing };
  }

  /** A file of the cut. */
  found({ ino, ranges }: FrozenFile): void {
    let bytes = 0;
    for (const { start, end } of ranges) bytes += end - start;
    this.#left.set(ino, bytes);
    this.progress.bytesTotal += bytes;
    this.progress.filesTotal++;
  }

  /** These segments are stored. */
  stored(batch: readonly Segment[]): void {
    for (const { ino, lengthBytes } of batch) {
      this.progress.bytesDone += lengthBytes;
      const left = (this.#left.get(ino) ?? 0) - lengthBytes;
      // The last block of a file counts whole, and is stored up to its end.
      if (left >= BLOCK_BYTES) this.#left.set(ino, left);
      else if (this.#left.delete(ino)) this.progress.filesDone++;
    }
  }

  /** All of it is stored. */
  published(): void {
    const { progress } = this;
    Object.assign(progress, {
      stage: 'publishing',
      bytesDone: progress.bytesTotal,
      filesDone: progress.filesTotal,
    });
  }
}
