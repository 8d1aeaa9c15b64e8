import Database from 'better-sqlite3';
import { assert, codeOf, DfsError, messageOf } from '../base/errors.ts';

/**
 * Opens a SQLite file the way this project uses it: WAL, survives a dead process, the caller syncs.
 */
export function openDatabase(path: string): Database.Database {
  try {
    const db = new Database(path);
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = NORMAL');
    db.pragma('wal_autocheckpoint = 0');
    db.pragma('cache_size = -16384');
    db.pragma('temp_store = MEMORY');
    return db;
  } catch (error) {
    throw sqliteError(error, path);
  }
}

/** What an error of SQLite means here; other errors stay as they are. */
export function sqliteError(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (code === undefined || !code.startsWith('SQLITE_')) return error;
  if (code === 'SQLITE_FULL') {
    return new DfsError('NO_SPACE', `Cannot write ${path}: its device is full`, { cause: error });
  }
  const corrupt = code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB';
  assert(!code.startsWith('SQLITE_CONSTRAINT'), `${path}: ${messageOf(error)}`);
  return new DfsError(corrupt ? 'CORRUPT' : 'IO', `Cannot use ${path}: ${messageOf(error)}`, {
    cause: error,
  });
}
