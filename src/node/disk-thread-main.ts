/** The thread of one disk: its buckets, driven by calls of the store's thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../base/errors.ts';
import type { ChunkId } from '../base/ids.ts';
import { BucketDisk } from '../bucket/mod.ts';
import type { PieceKey } from '../chunk/mod.ts';
import type { PieceToStore } from '../store/mod.ts';
import type { DiskThreadData, ListRequest } from './disk-thread.ts';
import { packPieces, unpackPieces } from './packed-pieces.ts';
import { Moved, Rpc } from './rpc.ts';
import { slotHandlers } from './slot-calls.ts';

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

function moved(bytes: Uint8Array, result: unknown): Moved {
  return new Moved(result, [bytes.buffer as ArrayBuffer]);
}

new Rpc(parentPort, {
  open: async () => {
    opened = await BucketDisk.open({ folder, volumeTag: bufferOf(volumeTag), diskId, readOnly });
  },
  append: (pieces: PieceToStore[]) => disk().append(pieces.map(buffersIn)),
  sync: () => disk().sync(),
  read: async (key: PieceKey) => {
    const piece = await disk().read(buffersIn(key));
    if (piece === undefined) return undefined;
    const payload = Uint8Array.from(piece.payload);
    return moved(payload, { ...piece, payload });
  },
  find: (key: PieceKey) => disk().find(buffersIn(key)),
  markBad: (key: PieceKey) => disk().markBad(buffersIn(key)),
  badCount: () => disk().badCount(),
  usage: () => disk().usage(),
  space: () => disk().space(),
  list: async ({ after, limit }: ListRequest) => {
    const packed = packPieces(await disk().list(after && (bufferOf(after) as ChunkId), limit));
    return moved(packed, packed);
  },
  verify: (keys: Uint8Array) => disk().verify(unpackPieces(keys)),
  remove: (keys: Uint8Array) => disk().remove(unpackPieces(keys)),
  ...slotHandlers(() => disk().slots),
  close: () => opened?.close(),
});
