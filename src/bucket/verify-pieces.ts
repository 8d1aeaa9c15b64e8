import { DfsError } from '../base/errors.ts';
import type { PieceKey } from '../chunk/mod.ts';
import type { StoredPiece } from './read-record.ts';

/** What verifying a piece came to. */
export interface PieceCheck {
  readonly health: 'ok' | 'missing' | 'bad';
  /** Length of the whole chunk by the piece's record; 0 unless it is ok. */
  readonly chunkBytes: number;
  /** What was wrong, for people, else ''. */
  readonly trouble: string;
}

/** How the pieces are read, and who remembers the bad ones. */
export interface PieceSource {
  read(key: PieceKey): Promise<StoredPiece | undefined>;
  markBad(key: PieceKey): void;
}

/** Failures of a read that are the piece's; with any other the disk cannot be used. */
const BAD_PIECE: readonly string[] = ['CORRUPT', 'FOREIGN', 'NEWER_FORMAT', 'IO', 'NOT_FOUND'];

/** Reads pieces one after the other, each verified by its record; an answer for every key. */
export async function verifyPieces(
  keys: readonly PieceKey[],
  source: PieceSource,
): Promise<PieceCheck[]> {
  const checks: PieceCheck[] = [];
  for (const key of keys) checks.push(await verifyPiece(key, source));
  return checks;
}

async function verifyPiece(key: PieceKey, source: PieceSource): Promise<PieceCheck> {
  try {
    const stored = await source.read(key);
    if (stored === undefined) return { health: 'missing', chunkBytes: 0, trouble: '' };
    return { health: 'ok', chunkBytes: stored.chunkBytes, trouble: '' };
  } catch (error) {
    if (!(error instanceof DfsError) || !BAD_PIECE.includes(error.code)) throw error;
    source.markBad(key);
    return { health: 'bad', chunkBytes: 0, trouble: error.message };
  }
}
