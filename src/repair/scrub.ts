import type { ChunkId, DiskId } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import type { PieceKey } from '../chunk/mod.ts';
import { audit, type ChunkAudit } from './audit.ts';
import type { WorkView } from './work-volume.ts';

/** Bytes of pieces that one step verifies, on all disks together. */
const STEP_BYTES: number = 64 * MIB;
const STEP_BYTES_BUSY: number = 8 * MIB;
/** Pieces that it asks of each disk at once. */
const PAGE_PIECES = 128;

/** What one step of a scrub came to. */
export interface ScrubStep {
  /** All pieces of chunks up to this one are verified; undefined at the end of the round. */
  readonly cursor: ChunkId | undefined;
  readonly bytes: number;
  /** Chunks with pieces that did not verify. */
  readonly bad: readonly ChunkId[];
  readonly badPieces: number;
}

/** Verifies the pieces of some chunks behind `after`, each on the disk that has it. */
export async function scrubStep(
  view: WorkView,
  after: ChunkId | undefined,
  isBusy: boolean,
): Promise<ScrubStep> {
  const bytesMax = isBusy ? STEP_BYTES_BUSY : STEP_BYTES;
  const entries: ChunkAudit[] = [];
  let bytes = 0;
  let cursor: ChunkId | undefined;
  walk: for await (const page of audit(view.sources, after, PAGE_PIECES)) {
    for (const entry of page) {
      entries.push(entry);
      bytes += entry.pieces.reduce((sum, piece) => sum + piece.bytes, 0);
      if (bytes < bytesMax) continue;
      cursor = entry.id;
      break walk;
    }
  }
  const badPieces = await verifyAll(view, entries);
  const bad = new Map(badPieces.map((id) => [id.toString('latin1'), id]));
  return { cursor, bytes, bad: [...bad.values()], badPieces: badPieces.length };
}

/** The chunk of each piece that did not verify. */
async function verifyAll(view: WorkView, entries: readonly ChunkAudit[]): Promise<ChunkId[]> {
  const byDisk = new Map<DiskId, PieceKey[]>();
  for (const { pieces } of entries) {
    for (const { diskId, chunkId, scheme, pieceIndex } of pieces) {
      const keys = byDisk.get(diskId) ?? [];
      keys.push({ chunkId, scheme, pieceIndex });
      byDisk.set(diskId, keys);
    }
  }
  const checks = [...byDisk].map(async ([diskId, keys]): Promise<ChunkId[]> => {
    const { chunks } = view.volume;
    const results = (await chunks.ask(diskId, (disk) => disk.verify(keys))) ?? [];
    return keys.flatMap(({ chunkId }, at) => (results[at]?.health === 'bad' ? [chunkId] : []));
  });
  return (await Promise.all(checks)).flat();
}

/** How much of the ids is behind the cursor, from 0 to 1: ids are hashes, so it is the share done. */
export function shareOf(cursor: ChunkId | undefined): number {
  return cursor === undefined ? 0 : cursor.readUIntBE(0, 6) / 2 ** 48;
}
