/**
 * What is really on the disks: an independent reading of all bucket files, without the indexes and
 * without the code that decides what should be where.
 */
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { bucketOfFileName } from '../../src/bucket/bucket-format.ts';
import { scanBucket } from '../../src/bucket/bucket-scan.ts';
import { formatScheme, parseScheme, pieceCount } from '../../src/chunk/mod.ts';

/** A disk as the reading finds it. */
export interface DiskToRead {
  readonly id: number;
  readonly folder: string;
}

/** What was found, and what should be there. */
export interface PiecesFound {
  /** Chunks that files refer to and that have pieces. */
  readonly chunks: number;
  /** "chunk scheme: pieces 0, 2 of 3" for every chunk that has too few good ones. */
  readonly missing: readonly string[];
  /** Good records of chunks that nothing refers to, or under another scheme, in bytes. */
  readonly surplusBytes: number;
  readonly bytes: number;
}

interface Needed {
  readonly scheme: string;
  /** By piece index: the disks that have it. */
  readonly disksOf: Map<number, Set<number>>;
}

function neededChunks(home: string): Map<string, Needed> {
  const database = new Database(join(home, 'committed.sqlite'), { readonly: true });
  try {
    const rows = database
      .prepare("select hex(id) as id, scheme from chunk where refs > 0 and scheme <> 'inline'")
      .all() as { id: string; scheme: string }[];
    return new Map(rows.map(({ id, scheme }) => [id, { scheme, disksOf: new Map() }]));
  } finally {
    database.close();
  }
}

/** Calls `onPiece` for every record of the disk whose piece verifies. */
async function readDisk(
  disk: DiskToRead,
  volumeTag: Buffer,
  onPiece: (piece: { id: string; scheme: string; index: number; bytes: number }) => void,
): Promise<void> {
  const folder = join(disk.folder, 'dfs/buckets');
  for (const name of await readdir(folder)) {
    const bucket = bucketOfFileName(name);
    if (bucket === undefined) continue;
    const handle = await open(join(folder, name), 'r');
    try {
      const { size } = await handle.stat();
      await scanBucket({
        handle,
        fileBytes: size,
        from: 0,
        volumeTag,
        bucket,
        what: join(folder, name),
        pieces: true,
        onRecord: ({ chunkId, scheme, pieceIndex, payloadBytes }) => {
          const id = chunkId.toString('hex').toUpperCase();
          const text = formatScheme(scheme);
          onPiece({ id, scheme: text, index: pieceIndex, bytes: payloadBytes });
        },
      });
    } finally {
      await handle.close();
    }
  }
}

/** Reads every bucket of the disks and compares with the chunks that HOME says files refer to. */
export async function readPieces(
  home: string,
  disks: readonly DiskToRead[],
  volumeTag: Buffer,
): Promise<PiecesFound> {
  const needed = neededChunks(home);
  let [surplusBytes, bytes] = [0, 0];
  for (const disk of disks) {
    await readDisk(disk, volumeTag, (piece) => {
      bytes += piece.bytes;
      const chunk = needed.get(piece.id);
      if (chunk?.scheme !== piece.scheme) {
        surplusBytes += piece.bytes;
        return;
      }
      const holders = chunk.disksOf.get(piece.index) ?? new Set();
      chunk.disksOf.set(piece.index, holders.add(disk.id));
    });
  }
  const missing: string[] = [];
  for (const [id, { scheme, disksOf }] of needed) {
    const wanted = pieceCount(parseScheme(scheme));
    const disksUsed = new Set([...disksOf.values()].flatMap((holders) => [...holders]));
    if (disksOf.size >= wanted && disksUsed.size >= wanted) continue;
    const indexes = [...disksOf.keys()].sort((a, b) => a - b).join(', ');
    missing.push(`${id} ${scheme}: pieces ${indexes} on ${disksUsed.size} disks`);
  }
  return { chunks: needed.size, missing, surplusBytes, bytes };
}
