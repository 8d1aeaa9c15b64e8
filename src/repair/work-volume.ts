import { DfsError } from '../base/errors.ts';
import type { ChunkId, DiskId, Epoch } from '../base/ids.ts';
import type { Settings } from '../base/settings.ts';
import { parseScheme, type Scheme } from '../chunk/mod.ts';
import { createPlacer, type DiskMap, type Placer } from '../diskmap/mod.ts';
import { type ChunkRow, type CommittedMeta, type DeadChunk, INLINE_SCHEME } from '../meta/mod.ts';
import type { ChunkStore, ChunkToStore, DiskStatus, ListedPiece } from '../store/mod.ts';
import type { AuditSources, FoundPiece, KnownChunk } from './audit.ts';
import { hardwareOf } from './hardware.ts';
import type { Hardware } from './plan.ts';

/** A change of the metadata of chunks, which an epoch then has. */
export interface Maintenance {
  readonly forget: readonly ChunkId[];
  readonly stored: readonly { id: ChunkId; lengthBytes: number; scheme: string }[];
}

/** What background work needs of the committed side of a volume. */
export interface WorkVolume {
  /** The newest map; another object after every change. */
  readonly map: DiskMap;
  readonly chunks: ChunkStore;
  readonly committed: Pick<CommittedMeta, 'chunk' | 'allChunksAfter' | 'deadChunks'>;
  readonly head: { readonly epoch: Epoch };
  readonly settings: Pick<Settings, 'workShare' | 'scrubDays'>;
  /** Whether a chunk that nothing names has to stay for now. */
  protects(chunk: Pick<DeadChunk, 'born' | 'died'>): boolean;
  /** Puts the changes into an epoch; resolves when it is published. */
  maintain(changes: Maintenance): Promise<Epoch>;
  /** Stores and syncs chunks; throws when a disk that took some of their pieces failed. */
  storeAll(chunks: readonly ChunkToStore[]): Promise<void>;
  /** Deletes pieces of chunks that have all they need on other disks; how many there were. */
  removeSurplus(pieces: readonly FoundPiece[]): Promise<number>;
  /**
   * Deletes those of the pieces whose chunk is in no epoch, or not in pieces of that scheme, while
   * nothing is being stored; how many there were.
   */
  removeUnneeded(pieces: readonly FoundPiece[]): Promise<number>;
}

/** The scheme of a row; undefined for content that is kept with the metadata. */
export function schemeOf({ scheme }: Pick<ChunkRow, 'scheme'>): Scheme | undefined {
  return scheme === INLINE_SCHEME ? undefined : parseScheme(scheme);
}

/** A volume as an audit and its plans see it, at one moment. */
export class WorkView {
  readonly volume: WorkVolume;
  readonly target: Scheme;
  readonly hardware: Hardware;
  readonly #placer: Placer;
  readonly #epoch: Epoch;

  constructor(volume: WorkVolume) {
    this.volume = volume;
    this.target = parseScheme(volume.map.scheme);
    this.#placer = createPlacer(volume.map);
    this.#epoch = volume.head.epoch;
    const statusOf = (diskId: DiskId): DiskStatus => volume.chunks.statusOf(diskId);
    this.hardware = hardwareOf(volume.map, this.#placer, statusOf);
  }

  /** An epoch was published since. */
  get hasNews(): boolean {
    return this.volume.head.epoch !== this.#epoch;
  }

  /** A row as an audit shows it. */
  known(row: ChunkRow): KnownChunk {
    const { id, lengthBytes, died } = row;
    const isDoomed = died !== null && !this.volume.protects({ ...row, died });
    return { id, lengthBytes, scheme: schemeOf(row), isDoomed };
  }

  /** The metadata, and every disk that can be asked. */
  get sources(): AuditSources {
    const { chunks } = this.volume;
    const ids = chunks.diskIds.filter((id) => this.hardware.isReachable(id));
    const list = async (
      id: DiskId,
      after: ChunkId | undefined,
      limit: number,
    ): Promise<ListedPiece[]> => {
      const listed = await chunks.ask(id, (disk) => disk.list(after, limit));
      if (listed !== undefined) return listed;
      throw new DfsError('UNAVAILABLE', `Cannot list disk ${id}: it is out of service`);
    };
    return {
      known: async (after, limit) => {
        const { committed } = this.volume;
        const rows = committed.allChunksAfter(after ?? Buffer.alloc(0), limit);
        return rows.map((row) => this.known(row));
      },
      disks: new Map(ids.map((id) => [id, (after, limit) => list(id, after, limit)])),
    };
  }
}
