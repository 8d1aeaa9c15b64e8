import { open } from 'node:fs/promises';
import { codeOf, DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { ioError } from '../base/publish.ts';
import { HEADER_BYTES_MAX, openHeader, readReserved } from '../base/sealed-header.ts';
import {
  DISK_IDENTITY,
  DISK_IDENTITY_RESERVED_BYTES,
  type DiskIdentity,
  UUID_BYTES,
} from './disk-identity-format.ts';

function uuidText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** What {@link encodeDiskIdentity} wrote, and nothing after it. CORRUPT or NEWER_FORMAT. */
export function decodeDiskIdentity(buffer: Buffer): DiskIdentity {
  const reader = openHeader(DISK_IDENTITY, buffer);
  const volumeUuid = uuidText(reader.raw(UUID_BYTES));
  const diskUuid = uuidText(reader.raw(UUID_BYTES));
  const diskId = reader.u16() as DiskId;
  readReserved(reader, DISK_IDENTITY_RESERVED_BYTES, DISK_IDENTITY.what);
  const createdMs = reader.u53();
  reader.end();
  if (buffer.length !== DISK_IDENTITY.headerBytes) {
    const left = buffer.length - DISK_IDENTITY.headerBytes;
    throw new DfsError('CORRUPT', `Cannot read ${DISK_IDENTITY.what}: ${left} bytes are left over`);
  }
  if (diskId === 0) {
    throw new DfsError('CORRUPT', `Cannot read ${DISK_IDENTITY.what}: its disk id is 0`);
  }
  return { volumeUuid, diskUuid, diskId, createdMs };
}

/** The identity at `path`; undefined when there is none. Errors name the file. */
export async function readDiskIdentity(path: string): Promise<DiskIdentity | undefined> {
  const bytes = await readStart(path, HEADER_BYTES_MAX);
  if (bytes === undefined) return undefined;
  try {
    return decodeDiskIdentity(bytes);
  } catch (error) {
    if (!(error instanceof DfsError)) throw error;
    throw new DfsError(error.code, `${error.message} (${path})`, { cause: error });
  }
}

/** At most `length` bytes: a file that should be small is not trusted to be. */
async function readStart(path: string, length: number): Promise<Buffer | undefined> {
  try {
    const handle = await open(path, 'r');
    try {
      const buffer = Buffer.alloc(length);
      const { bytesRead } = await handle.read(buffer, 0, length, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw ioError(`Cannot read ${path}`, error);
  }
}
