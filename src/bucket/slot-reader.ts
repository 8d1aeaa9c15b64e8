import { blake3 } from '@napi-rs/blake-hash';
import type { ByteReader } from '../base/bytes.ts';
import { DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { CHUNK_BYTES_MAX } from '../base/limits.ts';
import { openHeader, readReserved } from '../base/sealed-header.ts';
import { VOLUME_TAG_BYTES } from './bucket-format.ts';
import * as format from './slot-format.ts';
import type { SlotOwner } from './slot-writer.ts';

const { what, headerBytes } = format.SLOT_HEADER;
const HASH_BYTES = 32;

/** The largest file there is, and a byte more, so that a longer one shows. */
export const SLOT_FILE_BYTES_MAX: number =
  headerBytes + format.SLOT_PATH_BYTES_MAX + CHUNK_BYTES_MAX + 1;

/**
 * What {@link encodeSlot} wrote, and nothing after it: CORRUPT, NEWER_FORMAT, or FOREIGN when the
 * file is another volume's or disk's.
 */
export function decodeSlot(bytes: Buffer, owner: SlotOwner): format.SlotCopy {
  const { copy, owner: found } = decodeLooseSlot(bytes);
  const isOfVolume = found.volumeTag.equals(owner.volumeTag);
  if (isOfVolume && found.diskId === owner.diskId) return copy;
  const whose = isOfVolume ? `disk ${found.diskId}` : 'another volume';
  throw new DfsError('FOREIGN', `Cannot read ${what}: it belongs to ${whose}`);
}

/** As {@link decodeSlot}, whosever it is. */
export function decodeLooseSlot(bytes: Buffer): { copy: format.SlotCopy; owner: SlotOwner } {
  const reader = openHeader(format.SLOT_HEADER, bytes);
  const volumeTag = Buffer.from(reader.raw(VOLUME_TAG_BYTES));
  const owner = { volumeTag, diskId: reader.u16() as DiskId };
  const kind = reader.u8();
  readReserved(reader, 1, what);
  const pathBytes = reader.u16();
  readReserved(reader, 2, what);
  const contentBytes = reader.u32();
  readReserved(reader, 4, what);
  const promised = readBallot(reader);
  const ballot = readBallot(reader);
  const version = { counter: reader.u53(), incarnation: reader.u53() };
  const hash = reader.raw(HASH_BYTES);
  reader.end();
  const expected = headerBytes + pathBytes + contentBytes;
  if (bytes.length !== expected) corrupt(`got ${bytes.length} of ${expected} bytes`);
  const body = bytes.subarray(headerBytes);
  if (!blake3(body).equals(hash)) corrupt('its checksum is wrong');
  const path = body.toString('utf8', 0, pathBytes);
  const isText = Buffer.from(path, 'utf8').equals(body.subarray(0, pathBytes));
  if (!isText || pathBytes === 0 || pathBytes > format.SLOT_PATH_BYTES_MAX) {
    corrupt('its path is not valid');
  }
  const isAccepted = format.compareBallots(ballot, format.NO_BALLOT) !== 0;
  if (kind > format.ACCEPTED_DELETION || isAccepted !== (kind !== format.ACCEPTED_NOTHING)) {
    corrupt(`it says ${kind} of what was accepted`);
  }
  if (kind !== format.ACCEPTED_CONTENT && contentBytes > 0)
    corrupt('it has content but should not');
  if (format.compareBallots(promised, ballot) < 0) corrupt('it accepted more than it promised');
  if (!isAccepted) return { copy: { path, promised, accepted: undefined }, owner };
  const content =
    kind === format.ACCEPTED_CONTENT ? Buffer.from(body.subarray(pathBytes)) : undefined;
  const accepted = { ballot, state: { version, content } };
  return { copy: { path, promised, accepted }, owner };
}

function readBallot(reader: ByteReader): format.SlotBallot {
  return { map: reader.u53(), counter: reader.u53(), incarnation: reader.u53() };
}

function corrupt(state: string): never {
  throw new DfsError('CORRUPT', `Cannot read ${what}: ${state}`);
}
