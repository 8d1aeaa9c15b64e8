import { constants } from 'node:fs';
import { copyFile, type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deflate } from 'node:zlib';
import { Blake3Hasher, blake3 } from '@napi-rs/blake-hash';
import { ByteWriter } from '../base/bytes.ts';
import { assert, DfsError } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import { ioError, publishWith } from '../base/publish.ts';
import { beginHeader, sealHeader, VOLUME_TAG_BYTES } from '../base/sealed-header.ts';
import { LogWindow } from './disk-log-window.ts';
import { RECORD_ID_BYTES } from './epoch-record-format.ts';
import { snapshotName } from './snapshot-files.ts';
import {
  END_MAGIC,
  FRAME_MAGIC,
  FRAME_RAW_BYTES,
  SNAPSHOT,
  SNAPSHOT_RESERVED_BYTES,
  type SnapshotHeader,
} from './snapshot-format.ts';

/** Fast, and the pages of a database still shrink to a third; the disk is slower than this. */
const DEFLATE_LEVEL = 1;
/** Frames being compressed while one is written: as many as help, and 2 MiB of memory each. */
const FRAMES_AHEAD = 3;

const compress = promisify<Buffer, { level: number }, Buffer>(deflate);

export interface WriteSnapshotOptions {
  /** `<disk>/dfs/meta`. */
  folder: string;
  header: Omit<SnapshotHeader, 'contentBytes'> & { cutTimeMs: number };
  /** Path of a file that holds the state and does not change meanwhile. */
  source: string;
}

/**
 * Publishes the content of a file as the folder's snapshot of an epoch; answers its path and size.
 */
export async function writeSnapshot(
  options: WriteSnapshotOptions,
): Promise<{ path: string; sizeBytes: number }> {
  const { folder, header, source } = options;
  let sizeBytes = 0;
  const path = await publish(folder, header.epoch, async (temporary) => {
    sizeBytes = await packSnapshot({ header, source, target: temporary });
  });
  return { path, sizeBytes };
}

/** Makes a snapshot at `target`, which must not exist, not synced: its size in bytes. */
export async function packSnapshot(
  options: Omit<WriteSnapshotOptions, 'folder'> & { target: string },
): Promise<number> {
  const { header, source, target } = options;
  const input = await LogWindow.open(source);
  try {
    const output = await open(target, 'wx');
    try {
      return await writeAll({ input, output, header });
    } finally {
      await output.close();
    }
  } finally {
    await input.close();
  }
}

/** Publishes what {@link packSnapshot} made as the folder's snapshot of an epoch. */
export async function publishSnapshot(
  packed: string,
  { folder, epoch }: { folder: string; epoch: Epoch },
): Promise<void> {
  await publish(folder, epoch, (temporary) => copyFile(packed, temporary, constants.COPYFILE_EXCL));
}

async function publish(
  folder: string,
  epoch: Epoch,
  write: (temporary: string) => Promise<void>,
): Promise<string> {
  const path = join(folder, snapshotName(epoch));
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw ioError(`Cannot make the folder ${folder}`, error);
  }
  await publishWith(path, write);
  return path;
}

/** The header as it stands at the start of the file. */
export function encodeSnapshotHeader(header: SnapshotHeader & { cutTimeMs: number }): Buffer {
  const { volumeTag, epoch, incarnation, recordId, cutTimeMs, contentBytes } = header;
  assert(volumeTag.length === VOLUME_TAG_BYTES, `a volume tag of ${volumeTag.length} bytes`);
  assert(recordId.length === RECORD_ID_BYTES, `a record id of ${recordId.length} bytes`);
  const writer = beginHeader(SNAPSHOT)
    .raw(volumeTag)
    .u53(epoch)
    .u53(incarnation)
    .raw(recordId)
    .u53(contentBytes)
    .u32(FRAME_RAW_BYTES)
    .raw(Buffer.alloc(SNAPSHOT_RESERVED_BYTES))
    .u53(cutTimeMs);
  return sealHeader(SNAPSHOT, writer);
}

async function writeAll(options: {
  input: LogWindow;
  output: FileHandle;
  header: WriteSnapshotOptions['header'];
}): Promise<number> {
  const { input, output } = options;
  const contentBytes = input.sizeBytes;
  const hasher = new Blake3Hasher();
  let sizeBytes = 0;
  const put = async (bytes: Buffer): Promise<void> => {
    await output.writeFile(bytes);
    sizeBytes += bytes.length;
  };
  await put(encodeSnapshotHeader({ ...options.header, contentBytes }));
  const ahead: Promise<Buffer>[] = [];
  let count = 0;
  try {
    for (let offset = 0; offset < contentBytes; offset += FRAME_RAW_BYTES) {
      const length = Math.min(FRAME_RAW_BYTES, contentBytes - offset);
      const raw = await input.read(offset, length);
      hasher.update(raw);
      const frame = encodeFrame(count++, raw);
      // It is awaited below; until then a failure must not count as unhandled.
      frame.catch(() => undefined);
      ahead.push(frame);
      if (ahead.length > FRAMES_AHEAD) await put(await takeFirst(ahead));
    }
    while (ahead.length > 0) await put(await takeFirst(ahead));
  } finally {
    await Promise.allSettled(ahead);
  }
  await put(encodeEnd(count, contentBytes, hasher.digestBuffer()));
  return sizeBytes;
}

async function takeFirst(frames: Promise<Buffer>[]): Promise<Buffer> {
  const frame = frames.shift();
  assert(frame !== undefined, 'a frame is being compressed');
  return await frame;
}

async function encodeFrame(index: number, raw: Buffer): Promise<Buffer> {
  let stored: Buffer;
  try {
    stored = await compress(raw, { level: DEFLATE_LEVEL });
  } catch (cause) {
    throw new DfsError('IO', `Cannot compress frame ${index} of a snapshot`, { cause });
  }
  const fields = new ByteWriter()
    .raw(Buffer.from(FRAME_MAGIC, 'latin1'))
    .u32(index)
    .u32(raw.length)
    .u32(stored.length)
    .finish();
  const checksum = new Blake3Hasher().update(fields).update(stored).digestBuffer();
  return Buffer.concat([fields, checksum, stored]);
}

function encodeEnd(frames: number, contentBytes: number, checksum: Buffer): Buffer {
  const writer = new ByteWriter()
    .raw(Buffer.from(END_MAGIC, 'latin1'))
    .u32(frames)
    .u53(contentBytes)
    .raw(checksum);
  return writer.raw(blake3(writer.view())).finish();
}
