import { codeOf, DfsError, messageOf } from '../base/errors.ts';

/** The DfsError for a failed system call: NO_SPACE, NOT_FOUND or IO. A DfsError stays itself. */
export function ioError(action: string, cause: unknown): DfsError {
  if (cause instanceof DfsError) return cause;
  const errno = codeOf(cause);
  const message = `Cannot ${action}: ${messageOf(cause)}`;
  if (errno === 'ENOSPC' || errno === 'EDQUOT') return new DfsError('NO_SPACE', message, { cause });
  if (errno === 'ENOENT') return new DfsError('NOT_FOUND', message, { cause });
  return new DfsError('IO', message, { cause });
}

/** The DfsError for a failure of the index's database. */
export function indexError(path: string, cause: unknown): DfsError {
  if (cause instanceof DfsError) return cause;
  const sqlite = codeOf(cause) ?? '';
  const options = { cause };
  if (sqlite.startsWith('SQLITE_BUSY')) {
    return new DfsError('BUSY', `Cannot open ${path}: another process holds it`, options);
  }
  const state = `${messageOf(cause)} (${sqlite})`;
  if (sqlite.startsWith('SQLITE_FULL')) {
    return new DfsError('NO_SPACE', `Cannot write ${path}: ${state}`, options);
  }
  if (/^SQLITE_(IOERR|READONLY|CANTOPEN|NOMEM)/.test(sqlite)) {
    return new DfsError('IO', `Cannot use index ${path}: ${state}`, options);
  }
  // Our statements are fixed, so whatever else one meets comes from the bytes of the file.
  const hint = 'opening the disk again rebuilds it';
  return new DfsError('CORRUPT', `Cannot use index ${path}: ${state}; ${hint}`, options);
}
