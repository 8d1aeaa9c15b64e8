import type { ChunkId } from '../base/ids.ts';
import { hashChunk, parseScheme } from '../chunk/mod.ts';
import type { Volume } from '../commit/mod.ts';
import { type ChunkRow, INLINE_SCHEME } from '../meta/mod.ts';
import type { WorkFacts } from '../repair/mod.ts';
import type { ChunkReport } from '../store/mod.ts';
import type { Background } from './background.ts';

/** How far a check is. */
export interface FsckProgress {
  chunksDone: number;
  chunksTotal: number;
  bytesDone: number;
}

/** A chunk that cannot be read any more, and the files it was part of. */
export interface LostChunk {
  chunk: string;
  lengthBytes: number;
  paths: string[];
}

export interface FsckReport {
  epoch: number;
  chunks: number;
  bytes: number;
  pieces: { ok: number; missing: number; bad: number; diskDown: number };
  /** Chunks that can be read, but have fewer good pieces than their scheme asks for. */
  degradedChunks: number;
  lost: LostChunk[];
  /** What is wrong with the metadata itself. */
  inconsistencies: string[];
  /** What was done about it, if it was asked for. */
  repaired?: FsckRepairs;
}

/** What a check put right. */
export interface FsckRepairs {
  /** Chunks whose number of references was wrong. */
  references: number;
  /** Bytes of pieces that were written anew. */
  bytes: number;
  /** What a walk over all chunks found afterwards. */
  degradedChunks: number;
  lostChunks: number;
}

/**
 * Counts references again, has the background work mend what the check before found, and waits for
 * it. BUSY when that is paused.
 */
export async function repairAfter(
  report: FsckReport,
  volume: Volume,
  background: Background,
): Promise<FsckReport> {
  const references = volume.committed.recount();
  const before = bytesOf(background.facts);
  const after = await background.lookAgain();
  const repaired: FsckRepairs = {
    references,
    bytes: bytesOf(after) - before,
    degradedChunks: after.lastWalk?.degraded ?? 0,
    lostChunks: after.lastWalk?.lost ?? 0,
  };
  return { ...report, inconsistencies: volume.committed.inconsistencies(), repaired };
}

function bytesOf(facts: WorkFacts | undefined): number {
  const { rebuild = 0, rebalance = 0, reencode = 0 } = facts?.totals.bytes ?? {};
  return rebuild + rebalance + reencode;
}

const CHUNKS_A_BATCH = 256;
/** Their pieces are in memory together. */
const CHUNKS_AT_ONCE = 4;
const REPORT_EVERY_CHUNKS = 64;

type Verified = Pick<ChunkReport, 'readable' | 'pieces'>;

/** Reads all there is of a chunk; undefined when it is forgotten meanwhile. */
async function verify(volume: Volume, row: ChunkRow): Promise<Verified | undefined> {
  for (let by = row; ; ) {
    const found = await verifyBy(volume, by);
    if (found.readable && found.pieces.every(({ health }) => health === 'ok')) return found;
    const now = volume.committed.chunk(row.id);
    if (now === undefined || now.scheme === by.scheme) return now && found;
    // It was stored anew under another scheme.
    by = now;
  }
}

async function verifyBy(volume: Volume, row: ChunkRow): Promise<Verified> {
  const { id, lengthBytes, scheme } = row;
  if (scheme !== INLINE_SCHEME) {
    return volume.chunks.verify({ id, scheme: parseScheme(scheme), chunkBytes: lengthBytes });
  }
  const content = volume.committed.inline.content(id);
  return { readable: content !== undefined && hashChunk(content).equals(id), pieces: [] };
}

/** Some at a time: disks read while other pieces are hashed. */
async function* verifyAll(
  volume: Volume,
  rows: readonly ChunkRow[],
): AsyncGenerator<{ row: ChunkRow; found: Verified | undefined }> {
  for (let at = 0; at < rows.length; at += CHUNKS_AT_ONCE) {
    const some = rows.slice(at, at + CHUNKS_AT_ONCE);
    yield* await Promise.all(some.map(async (row) => ({ row, found: await verify(volume, row) })));
  }
}

/**
 * Checks the newest epoch: metadata in itself, then every piece of every chunk of every file, all
 * of them read and verified. Changes nothing but the disks' notes of bad pieces.
 */
export async function fsck(
  volume: Volume,
  onProgress: (progress: FsckProgress) => void,
): Promise<FsckReport> {
  const { committed } = volume;
  const chunksTotal = committed.totals().chunks;
  const report: FsckReport = {
    epoch: volume.head.epoch,
    chunks: 0,
    bytes: 0,
    pieces: { ok: 0, missing: 0, bad: 0, diskDown: 0 },
    degradedChunks: 0,
    lost: [],
    inconsistencies: committed.inconsistencies(),
  };
  const lost: { id: ChunkId; lengthBytes: number }[] = [];
  let after: Buffer = Buffer.alloc(0);
  for (;;) {
    const batch = committed.chunksAfter(after, CHUNKS_A_BATCH);
    for await (const { row, found } of verifyAll(volume, batch)) {
      if (found === undefined) continue;
      const { id, lengthBytes } = row;
      const { readable, pieces } = found;
      for (const { health } of pieces) {
        report.pieces[health === 'disk down' ? 'diskDown' : health]++;
      }
      report.chunks++;
      report.bytes += lengthBytes;
      if (!readable) lost.push({ id, lengthBytes });
      else if (pieces.some(({ health }) => health !== 'ok')) report.degradedChunks++;
      if (report.chunks % REPORT_EVERY_CHUNKS === 0) {
        onProgress({ chunksDone: report.chunks, chunksTotal, bytesDone: report.bytes });
      }
    }
    const last = batch.at(-1);
    if (last === undefined) break;
    after = last.id;
  }
  const paths = committed.pathsByChunk(lost.map(({ id }) => id));
  report.lost = lost.map(({ id, lengthBytes }) => ({
    chunk: id.toString('hex'),
    lengthBytes,
    paths: paths.get(id.toString('hex')) ?? [],
  }));
  return report;
}
