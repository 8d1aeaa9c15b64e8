import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { assert, DfsError } from '../base/errors.ts';
import { ioError, publishFile, syncFolder } from '../base/publish.ts';
import { beginHeader, sealHeader } from '../base/sealed-header.ts';
import {
  DISK_IDENTITY,
  DISK_IDENTITY_RESERVED_BYTES,
  type DiskIdentity,
} from './disk-identity-format.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function uuidBytes(uuid: string): Buffer {
  if (!UUID.test(uuid)) throw new DfsError('BAD_ARGUMENT', `Cannot use "${uuid}": not a UUID`);
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

/** The identity as it stands on the disk. */
export function encodeDiskIdentity(identity: DiskIdentity): Buffer {
  const { volumeUuid, diskUuid, diskId, createdMs } = identity;
  assert(diskId >= 1 && diskId <= 0xffff, `a disk id of ${diskId}`);
  const writer = beginHeader(DISK_IDENTITY)
    .raw(uuidBytes(volumeUuid))
    .raw(uuidBytes(diskUuid))
    .u16(diskId)
    .raw(Buffer.alloc(DISK_IDENTITY_RESERVED_BYTES))
    .u53(createdMs);
  return sealHeader(DISK_IDENTITY, writer);
}

/** Publishes the identity at `path`, `<disk>/dfs/identity`, making its folder. */
export async function writeDiskIdentity(path: string, identity: DiskIdentity): Promise<void> {
  const folder = dirname(path);
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw ioError(`Cannot make the folder ${folder}`, error);
  }
  await syncFolder(dirname(folder));
  await publishFile(path, encodeDiskIdentity(identity));
}
