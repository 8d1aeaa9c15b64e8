import { blake3 } from '@napi-rs/blake-hash';
import type { ByteWriter } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { CHUNK_BYTES_MAX } from '../base/limits.ts';
import { beginHeader, sealHeader } from '../base/sealed-header.ts';
import * as format from './slot-format.ts';

/** Whose a slot's file is. */
export interface SlotOwner {
  /** 8 bytes. */
  readonly volumeTag: Buffer;
  readonly diskId: DiskId;
}

/** The name of a slot's file in its folder. */
export function slotFileName(path: string): string {
  return blake3(Buffer.from(path, 'utf8')).toString('hex');
}

/** The file of a copy. */
export function encodeSlot({ volumeTag, diskId }: SlotOwner, copy: format.SlotCopy): Buffer {
  const path = Buffer.from(copy.path, 'utf8');
  const { promised, accepted } = copy;
  const content = accepted?.state.content ?? Buffer.alloc(0);
  assert(path.length >= 1 && path.length <= format.SLOT_PATH_BYTES_MAX, 'a path of 1 to 512 bytes');
  assert(content.length <= CHUNK_BYTES_MAX, 'a slot is no larger than a chunk');
  const writer = beginHeader(format.SLOT_HEADER).raw(volumeTag).u16(diskId).u8(kindOf(copy)).u8(0);
  writer.u16(path.length).u16(0).u32(content.length).u32(0);
  writeBallot(writer, promised);
  writeBallot(writer, accepted?.ballot ?? format.NO_BALLOT);
  const version = accepted?.state.version ?? { counter: 0, incarnation: 0 };
  writer.u53(version.counter).u53(version.incarnation);
  const body = Buffer.concat([path, content]);
  writer.raw(blake3(body));
  return Buffer.concat([sealHeader(format.SLOT_HEADER, writer), body]);
}

function kindOf({ accepted }: format.SlotCopy): number {
  if (accepted === undefined) return format.ACCEPTED_NOTHING;
  const isContent = accepted.state.content !== undefined;
  return isContent ? format.ACCEPTED_CONTENT : format.ACCEPTED_DELETION;
}

function writeBallot(writer: ByteWriter, ballot: format.SlotBallot): void {
  writer.u53(ballot.map).u53(ballot.counter).u53(ballot.incarnation);
}
