import type { FileHandle } from 'node:fs/promises';
import { DfsError } from '../base/errors.ts';
import { CHUNK_BYTES_MAX } from '../base/limits.ts';
import { formatScheme, type Scheme, schemesEqual } from '../chunk/mod.ts';
import { RECORD_HEADER_BYTES, recordBytes } from './bucket-format.ts';
import type { IndexedPiece } from './bucket-index.ts';
import { decodeRecordHeader, isZero, verifyRecordBody } from './bucket-reader.ts';
import { readAt } from './file-io.ts';

/** A piece as it was read. */
export interface StoredPiece {
  readonly payload: Buffer;
  readonly chunkBytes: number;
  readonly scheme: Scheme;
}

/** Which record to read, and how to name it in errors. */
export interface RecordRequest {
  readonly handle: FileHandle;
  readonly piece: IndexedPiece;
  readonly volumeTag: Buffer;
  readonly diskId: number;
  readonly folder: string;
}

/** The piece, verified against its record and the request; undefined where a hole is. */
export async function readRecord(request: RecordRequest): Promise<StoredPiece | undefined> {
  const { handle, piece, volumeTag, diskId, folder } = request;
  const { bucket, offset, bytes, chunkId, scheme, pieceIndex } = piece;
  const id = chunkId.toString('hex');
  const where = `offset ${offset} of bucket ${bucket} on disk ${diskId} (${folder})`;
  const what = `piece ${pieceIndex} of chunk ${id.slice(0, 16)} at ${where}`;
  try {
    if (bytes < RECORD_HEADER_BYTES || bytes > recordBytes(CHUNK_BYTES_MAX)) {
      throw new DfsError('CORRUPT', `Cannot read ${what}: the index says it has ${bytes} bytes`);
    }
    const record = await readAt(handle, offset, bytes);
    const head = record.subarray(0, RECORD_HEADER_BYTES);
    if (isZero(head)) return undefined;
    const header = decodeRecordHeader(record, { volumeTag, bucket, offset }, what);
    const isIt = header.chunkId.equals(chunkId) && header.pieceIndex === pieceIndex;
    if (!isIt || !schemesEqual(header.scheme, scheme)) {
      const of = `${formatScheme(header.scheme)} of chunk ${header.chunkId.toString('hex')}`;
      const found = `piece ${header.pieceIndex} by ${of}`;
      throw new DfsError('CORRUPT', `Cannot read ${what}: ${found} is there`);
    }
    if (recordBytes(header.payloadBytes) !== record.length) {
      const state = `${record.length} bytes are there, it has ${recordBytes(header.payloadBytes)}`;
      throw new DfsError('CORRUPT', `Cannot read ${what}: ${state}`);
    }
    const payload = verifyRecordBody(record.subarray(RECORD_HEADER_BYTES), header, what);
    return { payload, chunkBytes: header.chunkBytes, scheme: header.scheme };
  } catch (error) {
    if (!(error instanceof DfsError)) throw error;
    const details = { diskId, folder, bucket, offset, chunkId: id, pieceIndex, ...error.details };
    throw new DfsError(error.code, error.message, { cause: error, details });
  }
}
