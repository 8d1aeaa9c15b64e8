import { DfsError, ERROR_CODES, type ErrorCode, InvariantError } from '../base/errors.ts';

/** An error as plain values. */
export interface PackedError {
  code: string;
  message: string;
  details: Record<string, unknown>;
}

/** Packs an error for another thread or process. */
export function packError(error: unknown): PackedError & { code: ErrorCode } {
  if (error instanceof DfsError) {
    return { code: error.code, message: error.message, details: error.details };
  }
  if (!(error instanceof Error)) return { code: 'IO', message: String(error), details: {} };
  // What the system or SQLite says is for people; where a mistake of ours was made, for us.
  const isSaid = 'code' in error && typeof error.code === 'string';
  return { code: 'IO', message: isSaid ? error.message : (error.stack ?? ''), details: {} };
}

/** What {@link packError} packed. */
export function unpackError(packed: PackedError): DfsError {
  const code = ERROR_CODES.find((known) => known === packed.code) ?? 'IO';
  if (code === 'INVARIANT') return new InvariantError(packed.message);
  return new DfsError(code, packed.message, { details: packed.details });
}
