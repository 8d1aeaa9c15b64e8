import { DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { formatScheme } from '../chunk/mod.ts';
import { piecesOn, type Remains, type Volume } from '../commit/mod.ts';
import { homePaths } from '../home/mod.ts';
import {
  Foreground,
  type WalkFacts,
  Work,
  type WorkFacts,
  type WorkVolume,
} from '../repair/mod.ts';

/** What may be asked of background work. */
export type WorkOrder =
  | { kind: 'pause' }
  | { kind: 'resume' }
  | { kind: 'limit'; bytesPerSecond: number | undefined }
  | { kind: 'scrub' };

/** The background work of a volume that is served, and what it gives way to. */
export class Background {
  readonly foreground: Foreground = new Foreground();
  #work: Work | undefined;

  /** Undefined for a volume that is opened read-only: nothing may be done then. */
  get facts(): WorkFacts | undefined {
    return this.#work?.facts;
  }

  async start(volume: Volume, options: { home: string; log: Log }): Promise<void> {
    const { home, log } = options;
    volume.hardware.useProof((id) => remainsOn(volume, { id, walk: this.facts?.lastWalk }));
    volume.chunks.onTroubled(({ chunk }) => this.#work?.suspect(chunk.id));
    this.#work = await Work.start({
      volume: workVolumeOf(volume),
      path: homePaths(home).work,
      foreground: this.foreground,
      log,
      onInvariant: (error) => {
        // It must end the process, and nobody waits for this call.
        setImmediate(() => {
          throw error;
        });
      },
    });
  }

  async do(order: WorkOrder): Promise<WorkFacts> {
    const work = this.#require();
    switch (order.kind) {
      case 'pause':
        await work.pause();
        break;
      case 'resume':
        await work.resume();
        break;
      case 'limit':
        await work.limit(order.bytesPerSecond);
        break;
      case 'scrub':
        await work.scrubNow();
        break;
    }
    return work.facts;
  }

  /** Resolves when nothing is left that can be done now. */
  wait(): Promise<WorkFacts> {
    return this.#require().wait();
  }

  /** Looks at all chunks again, whatever is known of them, and resolves when all is done. */
  lookAgain(): Promise<WorkFacts> {
    const work = this.#require();
    work.lookAgain();
    return work.wait();
  }

  /** Throws unless work runs that could repair something: BUSY, BAD_ARGUMENT. */
  checkRuns(): void {
    this.#require().checkRuns('repair');
  }

  async close(): Promise<void> {
    await this.#work?.close();
  }

  #require(): Work {
    if (this.#work !== undefined) return this.#work;
    const state = 'there is none on a volume that is mounted read-only';
    throw new DfsError('BAD_ARGUMENT', `Cannot use background work: ${state}`);
  }
}

/** The volume as background work sees it. */
function workVolumeOf(volume: Volume): WorkVolume {
  const { chunks } = volume;
  return {
    get map() {
      return volume.map;
    },
    get committed() {
      return volume.committed;
    },
    get head() {
      return volume.head;
    },
    get settings() {
      return volume.settings;
    },
    chunks,
    protects: (chunk) => volume.protects(chunk),
    maintain: (changes) => volume.maintain(changes),
    storeAll: async (toStore) => {
      const session = chunks.session();
      await session.putMany(toStore);
      const lost = await session.sync();
      if (lost.length === 0) return;
      const state = `disk ${lost.join(', ')} failed while it was synced`;
      throw new DfsError('UNAVAILABLE', `Cannot store ${toStore.length} chunks: ${state}`);
    },
    removeSurplus: (pieces) => chunks.removeUnneeded(pieces, () => false),
    removeUnneeded: (pieces) =>
      chunks.removeUnneeded(
        pieces,
        ({ chunkId, scheme }) => volume.committed.chunk(chunkId)?.scheme === formatScheme(scheme),
      ),
  };
}

/**
 * What is left on a disk that is to be removed, by a walk over all chunks with the map and the disks
 * of now: undefined until there is one. Of a disk that cannot be asked the others must have all.
 */
async function remainsOn(
  volume: Volume,
  about: { id: DiskId; walk: WalkFacts | undefined },
): Promise<Remains | undefined> {
  const { id, walk } = about;
  if (walk?.isCurrent !== true) return undefined;
  const onlyCopies = walk.lost + walk.degraded + walk.misplaced + walk.waiting;
  const found = await piecesOn(volume.chunks, id);
  return found === undefined ? { pieces: 0, onlyCopies } : { pieces: found.pieces, onlyCopies: 0 };
}
