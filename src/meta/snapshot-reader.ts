import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { inflate } from 'node:zlib';
import { Blake3Hasher, blake3 } from '@napi-rs/blake-hash';
import { ByteReader } from '../base/bytes.ts';
import { DfsError } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import { publishWith } from '../base/publish.ts';
import {
  HEADER_BYTES_MAX,
  HEADER_PRELUDE_BYTES,
  headerBytesOf,
  openHeader,
  readReserved,
  VOLUME_TAG_BYTES,
  versionOf,
} from '../base/sealed-header.ts';
import { LogWindow } from './disk-log-window.ts';
import { RECORD_ID_BYTES } from './epoch-record-format.ts';
import { epochOfSnapshotName } from './snapshot-files.ts';
import {
  END_BYTES,
  END_FIELD_BYTES,
  END_MAGIC,
  FRAME_FIELD_BYTES,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  FRAME_RAW_BYTES,
  FRAME_STORED_BYTES_MAX,
  SNAPSHOT,
  SNAPSHOT_RESERVED_BYTES,
  type SnapshotHeader,
} from './snapshot-format.ts';

const expand = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate);

function corrupt(path: string, state: string): DfsError {
  return new DfsError('CORRUPT', `Cannot read the snapshot ${path}: ${state}`);
}

/** The header at the start of `buffer`, verified. CORRUPT or NEWER_FORMAT. */
export function decodeSnapshotHeader(buffer: Buffer): SnapshotHeader {
  const reader = openHeader(SNAPSHOT, buffer);
  const volumeTag = Buffer.from(reader.raw(VOLUME_TAG_BYTES));
  const epoch = reader.u53() as Epoch;
  const incarnation = reader.u53();
  const recordId = Buffer.from(reader.raw(RECORD_ID_BYTES));
  const contentBytes = reader.u53();
  const frameBytes = reader.u32();
  readReserved(reader, SNAPSHOT_RESERVED_BYTES, SNAPSHOT.what);
  const cutTimeMs = versionOf(buffer) === 1 ? undefined : reader.u53();
  reader.end();
  if (frameBytes !== FRAME_RAW_BYTES) {
    throw new DfsError('CORRUPT', `Cannot read a snapshot: frames of ${frameBytes} bytes`);
  }
  return { volumeTag, epoch, incarnation, recordId, cutTimeMs, contentBytes };
}

/** The header of a snapshot file, its content not looked at. Errors name the file. */
export async function readSnapshotHeader(path: string): Promise<SnapshotHeader> {
  const window = await LogWindow.open(path);
  try {
    return await headerOf(window);
  } finally {
    await window.close();
  }
}

/**
 * Verifies a snapshot and puts its content at `targetPath`, which appears only when all of it is
 * right. CORRUPT, NEWER_FORMAT, or FOREIGN when it is of another volume than `volumeTag`.
 */
export async function readSnapshot(options: {
  path: string;
  targetPath: string;
  volumeTag?: Buffer;
}): Promise<SnapshotHeader> {
  const { path, targetPath, volumeTag } = options;
  const window = await LogWindow.open(path);
  try {
    const header = await headerOf(window);
    if (volumeTag !== undefined && !volumeTag.equals(header.volumeTag)) {
      const state = `it belongs to the volume with tag ${header.volumeTag.toString('hex')}`;
      throw new DfsError('FOREIGN', `Cannot use the snapshot ${path}: ${state}`);
    }
    await publishWith(targetPath, async (temporary) => {
      const output = await open(temporary, 'wx', 0o600);
      try {
        await readContent(window, header, output);
      } finally {
        await output.close();
      }
    });
    return header;
  } finally {
    await window.close();
  }
}

async function headerOf(window: LogWindow): Promise<SnapshotHeader> {
  const { path } = window;
  let header: SnapshotHeader;
  try {
    header = decodeSnapshotHeader(await window.view(0, HEADER_BYTES_MAX));
  } catch (error) {
    if (!(error instanceof DfsError)) throw error;
    throw new DfsError(error.code, `${error.message} (${path})`, { cause: error });
  }
  const named = epochOfSnapshotName(basename(path));
  if (named !== undefined && named !== header.epoch) {
    throw corrupt(path, `it is of epoch ${header.epoch}`);
  }
  return header;
}

async function readContent(
  window: LogWindow,
  header: SnapshotHeader,
  output: FileHandle,
): Promise<void> {
  const hasher = new Blake3Hasher();
  let offset = headerBytesOf(await window.view(0, HEADER_PRELUDE_BYTES));
  let left = header.contentBytes;
  let index = 0;
  while (left > 0) {
    const rawBytes = Math.min(FRAME_RAW_BYTES, left);
    const frame = await readFrame({ window, offset, index, rawBytes });
    hasher.update(frame.raw);
    await output.writeFile(frame.raw);
    offset += frame.bytes;
    left -= rawBytes;
    index++;
  }
  const end = await window.view(offset, END_BYTES + 1);
  const { path } = window;
  if (end.length !== END_BYTES) throw corrupt(path, `${end.length} bytes where its end should be`);
  if (!blake3(end.subarray(0, END_FIELD_BYTES)).equals(end.subarray(END_FIELD_BYTES))) {
    throw corrupt(path, 'the checksum of its end is wrong');
  }
  const reader = new ByteReader(end, 'the end of a snapshot');
  const magic = reader.raw(END_MAGIC.length).toString('latin1');
  const agrees =
    magic === END_MAGIC && reader.u32() === index && reader.u53() === header.contentBytes;
  if (!agrees) throw corrupt(path, 'its end does not belong to its beginning');
  const checksum = end.subarray(END_FIELD_BYTES - RECORD_ID_BYTES, END_FIELD_BYTES);
  if (!hasher.digestBuffer().equals(checksum)) {
    throw corrupt(path, 'the checksum of its content is wrong');
  }
}

async function readFrame(options: {
  window: LogWindow;
  offset: number;
  index: number;
  rawBytes: number;
}): Promise<{ raw: Buffer; bytes: number }> {
  const { window, offset, index, rawBytes } = options;
  const fail = (state: string): DfsError => corrupt(window.path, `frame ${index} ${state}`);
  if (offset + FRAME_HEADER_BYTES > window.sizeBytes) throw fail('is not there');
  const head = await window.read(offset, FRAME_HEADER_BYTES);
  const fields = head.subarray(0, FRAME_FIELD_BYTES);
  const reader = new ByteReader(fields, 'a frame of a snapshot');
  if (reader.raw(FRAME_MAGIC.length).toString('latin1') !== FRAME_MAGIC) throw fail('is not one');
  if (reader.u32() !== index) throw fail('has another index');
  if (reader.u32() !== rawBytes) throw fail('has another length');
  const storedBytes = reader.u32();
  const bytes = FRAME_HEADER_BYTES + storedBytes;
  // Before anything is allocated on the word of a length that is not verified yet.
  if (storedBytes > FRAME_STORED_BYTES_MAX) throw fail(`says it has ${storedBytes} bytes`);
  if (offset + bytes > window.sizeBytes) throw fail('is cut off');
  const stored = await window.read(offset + FRAME_HEADER_BYTES, storedBytes);
  const checksum = new Blake3Hasher().update(fields).update(stored).digestBuffer();
  if (!checksum.equals(head.subarray(FRAME_FIELD_BYTES))) throw fail('has a wrong checksum');
  let raw: Buffer;
  try {
    raw = await expand(stored, { maxOutputLength: rawBytes });
  } catch {
    throw fail('does not decompress');
  }
  if (raw.length !== rawBytes) throw fail(`gives ${raw.length} of ${rawBytes} bytes`);
  return { raw, bytes };
}
