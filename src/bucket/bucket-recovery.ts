import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import {
  ALIGN_BYTES,
  alignUp,
  bucketFileName,
  bucketOfFileName,
  FILE_HEADER_BYTES,
  HEADER_BYTES_MAX,
  recordBytes,
} from './bucket-format.ts';
import type { BucketIndex, IndexedPiece } from './bucket-index.ts';
import { verifyFileHeader } from './bucket-reader.ts';
import { scanBucket } from './bucket-scan.ts';
import { encodeFileHeader } from './bucket-writer.ts';
import { type BucketIo, readAt } from './file-io.ts';

// What opening a disk does with its files. Nothing is changed before every file header is seen, so
// that a disk of another volume, or of a later version, stays as it is.
//
// What may not be synced is synced and dropped from memory before it is read. After a write-back that
// failed, the kernel keeps the pages, clean and readable, without their being on the device: a scan of
// those would vouch for pieces that the next power cut takes.
//
// A file is scanned from where the index knows it to be synced. What does not verify there and has
// nothing valid behind it was torn by a crash and is cut off. A fresh index cannot tell a torn tail
// from damage, so then nothing is cut and the next record goes behind it.

const INDEX_BATCH = 4096;
const PAGE_BYTES = 4096;

/** Whose disk, and where its bucket files are. */
export interface DiskFiles {
  readonly bucketsFolder: string;
  readonly volumeTag: Buffer;
  readonly diskId: DiskId;
}

/** Something in a bucket that is not as it was written. */
export interface BucketDamage {
  readonly bucket: number;
  readonly offset: number;
  readonly bytes: number;
  readonly kind: 'file header' | 'records' | 'torn tail' | 'lost tail' | 'file missing';
}

/** A bucket file as it is before recovery. */
export interface InspectedFile {
  readonly bucket: number;
  readonly path: string;
  readonly fileBytes: number;
  readonly headerGood: boolean;
}

/** How far a bucket file reaches. */
export interface RecoveredBucket {
  readonly bucket: number;
  /** Where the next record goes; 0 when even the file header is to be written. */
  readonly end: number;
  /** The file may hold bytes that were never synced. */
  readonly dirty: boolean;
}

/** Reads every file header; FOREIGN or NEWER_FORMAT when the disk must not be touched. */
export async function inspectFiles(files: DiskFiles): Promise<InspectedFile[]> {
  const inspected: InspectedFile[] = [];
  for (const name of (await readdir(files.bucketsFolder)).toSorted()) {
    const bucket = bucketOfFileName(name);
    if (bucket === undefined) continue;
    const path = join(files.bucketsFolder, name);
    const handle = await open(path, 'r');
    try {
      const { size: fileBytes } = await handle.stat();
      const headerGood = hasGoodHeader(await readAt(handle, 0, HEADER_BYTES_MAX), files, bucket);
      inspected.push({ bucket, path, fileBytes, headerGood });
    } finally {
      await handle.close();
    }
  }
  return inspected;
}

function hasGoodHeader(bytes: Buffer, files: DiskFiles, bucket: number): boolean {
  const { volumeTag, diskId, bucketsFolder } = files;
  try {
    verifyFileHeader(
      bytes,
      { volumeTag, diskId, bucket },
      join(bucketsFolder, bucketFileName(bucket)),
    );
    return true;
  } catch (error) {
    if (error instanceof DfsError && error.code === 'CORRUPT') return false;
    throw error;
  }
}

/** What recovery works on. */
export interface Recovery extends DiskFiles {
  readonly index: BucketIndex;
  readonly readOnly: boolean;
  readonly io: BucketIo;
}

/** Makes index and files agree; reports what it found, in `damage`. */
export async function recoverBuckets(
  recovery: Recovery,
  files: readonly InspectedFile[],
  damage: BucketDamage[],
): Promise<RecoveredBucket[]> {
  const { index, readOnly } = recovery;
  const synced = index.synced();
  const fileBytes = new Map(files.map((file) => [file.bucket, file.fileBytes]));
  for (const [bucket, offset] of synced) {
    const bytes = fileBytes.get(bucket);
    if (bytes === undefined) {
      index.forget(bucket);
      damage.push({ bucket, offset: 0, bytes: offset, kind: 'file missing' });
    } else if (bytes < offset) {
      const left = bytes - (bytes % ALIGN_BYTES);
      index.setSynced(new Map([[bucket, left]]));
      synced.set(bucket, left);
      damage.push({ bucket, offset: bytes, bytes: offset - bytes, kind: 'lost tail' });
    }
  }
  index.dropUnsynced();
  const recovered: RecoveredBucket[] = [];
  for (const file of files) {
    const handle = await open(file.path, readOnly ? 'r' : 'r+');
    try {
      const from = synced.get(file.bucket) ?? 0;
      recovered.push(await recoverFile({ ...recovery, file, handle, from, damage }));
    } finally {
      await handle.close();
    }
  }
  if (index.fresh) index.complete();
  return recovered;
}

interface FileRecovery extends Recovery {
  readonly file: InspectedFile;
  readonly handle: FileHandle;
  /** Up to here the index knows it all. */
  readonly from: number;
  readonly damage: BucketDamage[];
}

async function recoverFile(task: FileRecovery): Promise<RecoveredBucket> {
  const { file, handle, from, damage, readOnly, index } = task;
  const { bucket, fileBytes } = file;
  if (fileBytes < FILE_HEADER_BYTES) {
    // A crash before the first record was whole.
    if (fileBytes > 0 && !readOnly) await handle.truncate(0);
    return { bucket, end: 0, dirty: true };
  }
  if (!file.headerGood) {
    damage.push({ bucket, offset: 0, bytes: FILE_HEADER_BYTES, kind: 'file header' });
    if (!readOnly) {
      const header = encodeFileHeader({ volumeTag: task.volumeTag, diskId: task.diskId, bucket });
      await handle.write(header, 0, header.length, 0);
    }
  }
  if (!readOnly && from < fileBytes) await leaveMemory(task);
  const { end, damaged } = await indexRecords(task);
  for (const range of damaged) damage.push({ bucket, ...range, kind: 'records' });
  const dirty = !file.headerGood || end !== from || fileBytes !== end;
  if (fileBytes === end) return { bucket, end, dirty };
  damage.push({ bucket, offset: end, bytes: fileBytes - end, kind: 'torn tail' });
  if (index.fresh) return { bucket, end: alignUp(fileBytes), dirty };
  if (!readOnly) await handle.truncate(end);
  return { bucket, end, dirty };
}

/** What is read from then on behind `from` comes from the device. */
async function leaveMemory({ handle, from, file, io }: FileRecovery): Promise<void> {
  const start = from - (from % PAGE_BYTES);
  await io.sync(handle);
  await io.dontNeed?.(handle, start, file.fileBytes - start);
}

async function indexRecords(task: FileRecovery): ReturnType<typeof scanBucket> {
  const { file, handle, index, volumeTag } = task;
  const { bucket, fileBytes } = file;
  let batch: IndexedPiece[] = [];
  const result = await scanBucket({
    handle,
    fileBytes,
    from: task.from,
    volumeTag,
    bucket,
    what: file.path,
    pieces: !index.fresh,
    onRecord: ({ chunkId, scheme, pieceIndex, payloadBytes }, offset) => {
      const bytes = recordBytes(payloadBytes);
      batch.push({ chunkId, scheme, pieceIndex, bucket, offset, bytes });
      if (batch.length < INDEX_BATCH) return;
      index.put(batch);
      batch = [];
    },
  });
  index.put(batch);
  return result;
}
