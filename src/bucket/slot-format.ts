// A disk's copy of a slot is one file, `slots/NAME`, with the BLAKE3 of the slot's path in hex for a
// name: a sealed header, then the path, then the content. docs/formats/slot.md explains.
//
// OFFSET  SIZE  FIELD
//      0     4  magic "DFSL"
//      4     2  version, 1
//      6     2  length, 160
//      8     8  volume tag
//     16     2  id of the disk in the diskmap, u16
//     18     1  what was accepted: 0 nothing, 1 content, 2 a deletion
//     19     1  reserved, zero
//     20     2  length of the path in bytes
//     22     2  reserved, zero
//     24     4  length of the content in bytes
//     28     4  reserved, zero
//     32    24  promised ballot: map version, counter, incarnation, u53 each
//     56    24  accepted ballot
//     80    16  version of what was accepted: counter, incarnation
//     96    32  BLAKE3 of path and content
//    128    32  BLAKE3 of bytes 0 to 127

import type { HeaderKind } from '../base/sealed-header.ts';

export const SLOT_HEADER: HeaderKind = {
  magic: 'DFSL',
  version: 1,
  headerBytes: 160,
  what: 'a slot',
};

export const ACCEPTED_NOTHING = 0;
export const ACCEPTED_CONTENT = 1;
export const ACCEPTED_DELETION = 2;

/** Longest path of a slot in bytes. */
export const SLOT_PATH_BYTES_MAX = 512;

/** Orders all attempts at a slot: by map version, then counter, then incarnation. */
export interface SlotBallot {
  /** Version of the diskmap that says which disks take part. */
  readonly map: number;
  readonly counter: number;
  /** Drawn at random by each life of a writer, so that no two attempts are the same. */
  readonly incarnation: number;
}

/** Names one content of a slot: no two have the same, and later ones have higher counters. */
export interface SlotVersion {
  readonly counter: number;
  readonly incarnation: number;
}

/** What a slot holds: undefined content is a deletion, whose version is kept. */
export interface SlotState {
  readonly version: SlotVersion;
  readonly content: Buffer | undefined;
}

/** What one disk has of a slot. */
export interface SlotCopy {
  readonly path: string;
  /** Nothing with a lower ballot is accepted here any more. */
  readonly promised: SlotBallot;
  /** What was accepted last, and with which ballot; it counts when a majority did so. */
  readonly accepted: { readonly ballot: SlotBallot; readonly state: SlotState } | undefined;
}

/** Below every ballot there is. */
export const NO_BALLOT: SlotBallot = { map: 0, counter: 0, incarnation: 0 };

/** Negative when `a` is before `b`, 0 when they are the same. */
export function compareBallots(a: SlotBallot, b: SlotBallot): number {
  return a.map - b.map || a.counter - b.counter || a.incarnation - b.incarnation;
}
