/** The thread of one disk: its buckets, driven by calls of the store's thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../base/errors.ts';
import type { ChunkId } from '../base/ids.ts';
import { BucketDisk } from '../bucket/mod.ts';
import type { PieceToStore } from '../store/mod.ts';
import type { DiskThreadData, PieceName } from './disk-thread.ts';
import { Moved, Rpc } from './rpc.ts';

assert(parentPort !== null, 'the disk worker runs in a thread of its own');
const { folder, volumeTag, diskId, readOnly } = workerData as DiskThreadData;
let opened: BucketDisk | undefined;

function disk(): BucketDisk {
  assert(opened !== undefined, 'the disk is open');
  return opened;
}

/** Buffers arrive as plain bytes. */
function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

function buffersIn<T extends object>(value: T): T {
  const entries = Object.entries(value).map(([key, held]: [string, unknown]) => {
    return [key, held instanceof Uint8Array ? bufferOf(held) : held];
  });
  return Object.fromEntries(entries) as T;
}

function chunkIdOf({ chunkId }: { chunkId: Uint8Array }): ChunkId {
  return bufferOf(chunkId) as ChunkId;
}

new Rpc(parentPort, {
  open: async () => {
    opened = await BucketDisk.open({ folder, volumeTag: bufferOf(volumeTag), diskId, readOnly });
  },
  append: (pieces: PieceToStore[]) => disk().append(pieces.map(buffersIn)),
  sync: () => disk().sync(),
  read: async (name: PieceName) => {
    const piece = await disk().read(chunkIdOf(name), name.pieceIndex);
    if (piece === undefined) return undefined;
    const payload = Uint8Array.from(piece.payload);
    return new Moved({ ...piece, payload }, [payload.buffer]);
  },
  find: (name: PieceName) => disk().find(chunkIdOf(name), name.pieceIndex),
  markBad: (name: PieceName) => disk().markBad(chunkIdOf(name), name.pieceIndex),
  badCount: () => disk().badCount(),
  usage: () => disk().usage(),
  remove: (name: PieceName) => disk().remove(chunkIdOf(name), name.pieceIndex),
  close: () => opened?.close(),
});
