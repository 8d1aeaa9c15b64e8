import { messageOf } from '../base/errors.ts';
import { type ChunkId, chunkKey, type DiskId } from '../base/ids.ts';
import { parseScheme, pieceCount, piecesNeeded, type Scheme, schemesEqual } from '../chunk/mod.ts';
import type { Volume } from '../commit/mod.ts';
import { type CommittedMeta, INLINE_SCHEME } from '../meta/mod.ts';
import { audit, type ChunkAudit, type KnownChunk } from '../repair/mod.ts';

/** How far a survey is. */
export interface SurveyProgress {
  chunksDone: number;
  chunksTotal: number;
}

/** Chunks that cannot be read, or could not if something happened. */
export interface ChunkLoss {
  chunks: number;
  bytes: number;
  /** Their ids, up to {@link IDS_MAX}. */
  ids: { id: ChunkId; lengthBytes: number }[];
}

/** What the disks have of the chunks of a volume, by their indexes. */
export interface Survey {
  chunks: number;
  /** Can be read, but have fewer pieces on disks of their own than their scheme asks for. */
  degraded: number;
  lost: ChunkLoss;
  /** What could not be read any more without each of the disks that can be asked. */
  without: Map<DiskId, ChunkLoss>;
  /** Why a disk could not be asked to the end. */
  problems: string[];
}

export interface SurveyOptions {
  onProgress: (progress: SurveyProgress) => void;
  /** Called after each page: lets others work. */
  pace?: () => Promise<void>;
}

/** Ids kept of each kind of loss: 10 MB of memory. More are counted, and not looked into. */
export const IDS_MAX = 100_000;
const PAGE_ITEMS = 512;
/** Paths named of the files that something would take. */
const PATHS_MAX = 10;

/**
 * Compares what the metadata says with what the disks' indexes list: what is whole, what is degraded,
 * what is lost, and what the loss of each single disk would take. No piece is read.
 */
export async function surveyChunks(
  volume: Pick<Volume, 'disks'> & { committed: CommittedMeta },
  { onProgress, pace = () => Promise.resolve() }: SurveyOptions,
): Promise<Survey> {
  const { committed } = volume;
  const survey: Survey = {
    chunks: 0,
    degraded: 0,
    lost: noLoss(),
    without: new Map(),
    problems: [],
  };
  const disks = new Map<DiskId, ListPages>();
  for (const { entry, buckets } of volume.disks) {
    if (buckets === undefined) continue;
    survey.without.set(entry.id, noLoss());
    disks.set(entry.id, (after, limit) =>
      buckets.list(after, limit).catch((error: unknown) => {
        survey.problems.push(`disk ${entry.id}: ${messageOf(error)}`);
        return [];
      }),
    );
  }
  const chunksTotal = committed.totals().chunks;
  const known = knownPages(committed);
  for await (const page of audit({ known, disks }, undefined, PAGE_ITEMS)) {
    for (const entry of page) count(survey, entry);
    onProgress({ chunksDone: survey.chunks, chunksTotal });
    await pace();
  }
  return survey;
}

type ListPages = (after: ChunkId | undefined, limit: number) => Promise<readonly Listed[]>;
type Listed = Omit<ChunkAudit['pieces'][number], 'diskId'>;

/** The chunks that some file names. */
function knownPages(
  committed: CommittedMeta,
): (after: ChunkId | undefined, limit: number) => Promise<KnownChunk[]> {
  const schemes = new Map<string, Scheme | undefined>([[INLINE_SCHEME, undefined]]);
  return async (after, limit) =>
    committed.chunksAfter(after ?? Buffer.alloc(0), limit).map(({ id, lengthBytes, scheme }) => {
      if (!schemes.has(scheme)) schemes.set(scheme, parseScheme(scheme));
      return { id, lengthBytes, scheme: schemes.get(scheme), isDoomed: false };
    });
}

function count(survey: Survey, { known, pieces }: ChunkAudit): void {
  if (known === undefined) return;
  survey.chunks++;
  const { scheme } = known;
  if (scheme === undefined) return; // It came with the metadata.
  const good = pieces.filter((piece) => !piece.bad && schemesEqual(piece.scheme, scheme));
  const needed = piecesNeeded(scheme);
  const indexes = indexesOf(good);
  if (indexes < needed) return note(survey.lost, known);
  const disks = new Set(good.map(({ diskId }) => diskId));
  if (Math.min(indexes, disks.size) < pieceCount(scheme)) survey.degraded++;
  for (const diskId of disks) {
    const left = indexesOf(good.filter((piece) => piece.diskId !== diskId));
    const loss = survey.without.get(diskId);
    if (left < needed && loss !== undefined) note(loss, known);
  }
}

function indexesOf(pieces: readonly { pieceIndex: number }[]): number {
  return new Set(pieces.map(({ pieceIndex }) => pieceIndex)).size;
}

function note(loss: ChunkLoss, { id, lengthBytes }: KnownChunk): void {
  loss.chunks++;
  loss.bytes += lengthBytes;
  if (loss.ids.length < IDS_MAX) loss.ids.push({ id, lengthBytes });
}

function noLoss(): ChunkLoss {
  return { chunks: 0, bytes: 0, ids: [] };
}

/** A loss as people and programs see it; sizes in bytes. */
export interface LossReport {
  chunks: number;
  bytes: number;
  /** Files with a part in those chunks; at least so many when there are more than 100,000 chunks. */
  files: number;
  /** Some of them. */
  paths: string[];
}

/** Which files a loss would hit. */
export function lossReport(
  committed: CommittedMeta,
  { chunks, bytes, ids }: ChunkLoss,
): LossReport {
  const found = committed.filesOf(
    ids.map(({ id }) => id),
    PATHS_MAX,
  );
  return { chunks, bytes, ...found };
}

/** Lost chunks with the files that they are parts of. */
export function lostChunks(
  committed: CommittedMeta,
  loss: ChunkLoss,
): { chunk: string; lengthBytes: number; paths: string[] }[] {
  const paths = committed.pathsByChunk(loss.ids.map(({ id }) => id));
  return loss.ids.map(({ id, lengthBytes }) => {
    const chunk = chunkKey(id);
    return { chunk, lengthBytes, paths: paths.get(chunk) ?? [] };
  });
}
