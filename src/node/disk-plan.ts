import { parseScheme, pieceCount, piecesNeeded } from '../chunk/mod.ts';
import {
  createPlacer,
  type DiskMap,
  type Level,
  PLACEMENT_KEY_BYTES,
  presentDisks,
} from '../diskmap/mod.ts';
import { placeableBytes } from './capacity.ts';
import { survivesWords } from './survives-words.ts';

/** What the hardware of a map gives. Sizes in bytes. */
export interface HardwareFacts {
  disks: number;
  /** What the scheme survives, in words. */
  survives: string;
  /** Two pieces of a chunk are never in one of these. */
  domain: Level;
  /** Content that fits on all disks that are in, by their weights. */
  capacityBytes: number;
  /** What of these disks the scheme cannot use, because they are uneven. */
  unusableBytes: number;
}

/** What a change of the map brings about. Sizes in bytes, of pieces. */
export interface ChangePlan {
  before: HardwareFacts;
  after: HardwareFacts;
  bytesToMove: number;
  /** Of all pieces. */
  shareToMove: number;
  /** About how long that takes, at this rate. */
  estimateMs: number;
  bytesPerSecond: number;
  /** Whether that rate was measured, or is assumed. */
  isMeasured: boolean;
}

/** What disks of today write beside other work. */
const ASSUMED_BYTES_PER_SECOND = 50e6;
/** Keys that are placed by both maps; the share is then known to about 2%. */
const SAMPLES = 2000;

/** Compares two maps; `pieceBytes` is what all pieces take, `rate` what work was measured to do. */
export function planChange(options: {
  before: DiskMap;
  after: DiskMap;
  pieceBytes: number;
  rate?: number | undefined;
}): ChangePlan {
  const { before, after, pieceBytes, rate } = options;
  const shareToMove = movedShare(before, after);
  const bytesToMove = Math.round(shareToMove * pieceBytes);
  const isMeasured = rate !== undefined && rate > 0;
  const bytesPerSecond = isMeasured ? rate : ASSUMED_BYTES_PER_SECOND;
  return {
    before: hardwareFacts(before),
    after: hardwareFacts(after),
    bytesToMove,
    shareToMove,
    estimateMs: Math.round((bytesToMove / bytesPerSecond) * 1000),
    bytesPerSecond,
    isMeasured,
  };
}

/** What a map's hardware gives. */
export function hardwareFacts(map: DiskMap): HardwareFacts {
  const scheme = parseScheme(map.scheme);
  const live = presentDisks(map).filter(({ state }) => state === 'in');
  const bytes = live.map(({ weight }) => weight * map.bucketBytes);
  const capacityBytes = placeableBytes(scheme, bytes);
  const used = (capacityBytes / piecesNeeded(scheme)) * pieceCount(scheme);
  const total = bytes.reduce((sum, size) => sum + size, 0);
  return {
    disks: live.length,
    survives: survivesWords(scheme),
    domain: createPlacer(map).spread(pieceCount(scheme)).domain,
    capacityBytes,
    unusableBytes: Math.max(0, Math.round(total - used)),
  };
}

/** The share of all pieces that a change of the map puts on a disk where their chunk has none. */
function movedShare(before: DiskMap, after: DiskMap): number {
  const pieces = pieceCount(parseScheme(after.scheme));
  const [old, next] = [createPlacer(before), createPlacer(after)];
  const key = Buffer.alloc(PLACEMENT_KEY_BYTES);
  let moved = 0;
  for (let sample = 0; sample < SAMPLES; sample++) {
    // Knuth's multiplicative hash: keys are to be unlike each other, not secret.
    for (let at = 0; at < key.length; at += 4) {
      key.writeUInt32LE(Math.imul(sample * 8 + at / 4 + 1, 0x9e3779b1) >>> 0, at);
    }
    const had = new Set(old.place(key, pieces).map((one) => one?.disk.id));
    for (const one of next.place(key, pieces)) {
      if (one !== undefined && !had.has(one.disk.id)) moved++;
    }
  }
  return moved / (SAMPLES * pieces);
}
