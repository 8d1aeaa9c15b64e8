import { Worker } from 'node:worker_threads';
import { withinMs } from '../base/deadline.ts';
import { DfsError } from '../base/errors.ts';
import type { ChunkId } from '../base/ids.ts';
import { DISK_DEADLINE_MS } from '../base/limits.ts';
import type { BucketDiskOptions } from '../bucket/mod.ts';
import type { PieceKey } from '../chunk/mod.ts';
import {
  type HasSlots,
  type ListedPiece,
  type PieceDisk,
  type PieceRead,
  type PieceToStore,
  type SlotDisk,
  slotsWithDeadline,
  withDeadline,
} from '../store/mod.ts';
import { packPieces, unpackPieces } from './packed-pieces.ts';
import { Rpc } from './rpc.ts';
import { remoteSlots } from './slot-calls.ts';

/** What the thread of a disk is started with: {@link BucketDiskOptions} as another thread gets it. */
export interface DiskThreadData {
  folder: string;
  volumeTag: Uint8Array;
  diskId: BucketDiskOptions['diskId'];
  readOnly: boolean;
}

/** Memory for what lives shortly, which is nearly all there is in such a thread. */
const YOUNG_MIB = 2;

/** What of the index is wanted. */
export interface ListRequest {
  after: Uint8Array | undefined;
  limit: number;
}

/**
 * Opens the buckets of a disk on a thread of their own, and gives up on calls that take too long:
 * their index is SQLite, which waits for the disk where it is called, and a disk may hang. Errors
 * as {@link BucketDisk.open} throws them, and TIMEOUT.
 */
export async function openDiskThread(options: BucketDiskOptions): Promise<PieceDisk & HasSlots> {
  const disk = new DiskThread(options);
  const label = `disk ${options.diskId} at ${options.folder}`;
  try {
    await withinMs(DISK_DEADLINE_MS, `open ${label}`, disk.open());
  } catch (error) {
    disk.giveUp();
    throw error;
  }
  const slots = slotsWithDeadline(disk.slots, label, DISK_DEADLINE_MS);
  return Object.assign(withDeadline(disk, label, DISK_DEADLINE_MS), { slots });
}

class DiskThread implements PieceDisk, HasSlots {
  readonly slots: SlotDisk;
  readonly #worker: Worker;
  readonly #rpc: Rpc;
  readonly #diskId: number;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  constructor({ folder, volumeTag, diskId, readOnly = false }: BucketDiskOptions) {
    const workerData: DiskThreadData = { folder, volumeTag, diskId, readOnly };
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MIB };
    const program = new URL('./disk-thread-main.js', import.meta.url);
    this.#worker = new Worker(program, { workerData, resourceLimits });
    this.#rpc = new Rpc(this.#worker, {});
    this.slots = remoteSlots(this.#rpc);
    this.#diskId = diskId;
    const died = (): void => {
      if (this.#isClosed) return;
      this.#rpc.close(new DfsError('UNAVAILABLE', `Cannot use disk ${diskId}: its thread ended`));
    };
    this.#worker.on('error', died);
    this.#worker.on('exit', died);
  }

  open(): Promise<void> {
    return this.#rpc.call('open', undefined);
  }

  /** The thread may hang with its disk: nobody waits for its end. */
  giveUp(): void {
    void this.#worker.terminate();
  }

  append(pieces: readonly PieceToStore[]): Promise<void> {
    const moved: ArrayBuffer[] = [];
    const sent = pieces.map((piece) => {
      if (piece.payload.buffer instanceof SharedArrayBuffer) return piece;
      // Clones would take all the memory that the bytes are a part of.
      const payload = Uint8Array.from(piece.payload);
      moved.push(payload.buffer);
      return { ...piece, payload };
    });
    return this.#rpc.call('append', sent, moved);
  }

  sync(): Promise<void> {
    return this.#rpc.call('sync', undefined);
  }

  async read(key: PieceKey): Promise<PieceRead | undefined> {
    const piece = await this.#ask<PieceRead | undefined>('read', key);
    if (piece === undefined) return undefined;
    const { buffer, byteOffset, length } = piece.payload;
    return { ...piece, payload: Buffer.from(buffer, byteOffset, length) };
  }

  find(key: PieceKey): ReturnType<PieceDisk['find']> {
    return this.#ask('find', key);
  }

  markBad(key: PieceKey): Promise<void> {
    return this.#ask('markBad', key);
  }

  badCount(): Promise<number> {
    return this.#rpc.call('badCount', undefined);
  }

  usage(): ReturnType<PieceDisk['usage']> {
    return this.#rpc.call('usage', undefined);
  }

  space(): ReturnType<PieceDisk['space']> {
    return this.#rpc.call('space', undefined);
  }

  async list(after: ChunkId | undefined, limit: number): Promise<ListedPiece[]> {
    const request: ListRequest = { after: after && Uint8Array.from(after), limit };
    return unpackPieces(await this.#rpc.call('list', request));
  }

  verify(keys: readonly PieceKey[]): ReturnType<PieceDisk['verify']> {
    return this.#rpc.call('verify', packPieces(keys));
  }

  remove(keys: readonly PieceKey[]): Promise<number> {
    return this.#rpc.call('remove', packPieces(keys));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#rpc.call('close', undefined);
    this.#rpc.close(new DfsError('CLOSED', `Cannot use disk ${this.#diskId}: it is closed`));
    this.#isClosed = true;
    await this.#worker.terminate();
  }

  #ask<T>(method: string, { chunkId, scheme, pieceIndex }: PieceKey): Promise<T> {
    // A chunk id may be a part of something large, and a clone would take all of it.
    return this.#rpc.call(method, { chunkId: Uint8Array.from(chunkId), scheme, pieceIndex });
  }
}
