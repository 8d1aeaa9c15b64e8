import { readFileSync, rmSync } from 'node:fs';
import Database from 'better-sqlite3';
import { codeOf } from '../base/errors.ts';
import { CHUNK_ID_BYTES } from '../base/ids.ts';
import { BUCKET_MAX, FILE_HEADER_BYTES, RECORD_HEADER_BYTES } from './bucket-format.ts';
import { indexError } from './disk-errors.ts';
import { SCHEME_CODE_MAX } from './scheme-code.ts';

const SCHEMA_VERSION = 2;
/** Of each disk; what is not in it the kernel mostly has. */
const CACHE_KIB = 2 * 1024;
/** Offset of the two bytes of a database file that say whether it is in WAL mode. */
const JOURNAL_MODE_OFFSET = 18;

const UNRELATED_FAILURES = /^(SQLITE_BUSY|SQLITE_FULL|SQLITE_IOERR|EACCES|EIO)/;

// The constraints are there for quick_check, which then finds rows that no writer made.
const SCHEMA = `
  CREATE TABLE identity (volume_tag BLOB NOT NULL, disk_id INTEGER NOT NULL) STRICT;
  CREATE TABLE buckets (bucket INTEGER PRIMARY KEY, synced INTEGER NOT NULL CHECK (synced >= 0))
    STRICT;
  CREATE TABLE pieces (
    chunk BLOB NOT NULL CHECK (length(chunk) = ${CHUNK_ID_BYTES}),
    scheme INTEGER NOT NULL CHECK (scheme BETWEEN 0 AND ${SCHEME_CODE_MAX}),
    piece INTEGER NOT NULL CHECK (piece BETWEEN 0 AND 255),
    bucket INTEGER NOT NULL CHECK (bucket BETWEEN 0 AND ${BUCKET_MAX}),
    offset INTEGER NOT NULL CHECK (offset >= ${FILE_HEADER_BYTES}),
    bytes INTEGER NOT NULL CHECK (bytes > ${RECORD_HEADER_BYTES}),
    PRIMARY KEY (chunk, scheme, piece)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE bad (
    chunk BLOB NOT NULL, scheme INTEGER NOT NULL, piece INTEGER NOT NULL,
    PRIMARY KEY (chunk, scheme, piece)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Which index file, and whose. */
export interface IndexSource {
  readonly path: string;
  readonly volumeTag: Buffer;
  readonly diskId: number;
  readonly readOnly: boolean;
  /** Ignores what is there. */
  readonly discard?: boolean;
}

/** An open index. */
export interface IndexFile {
  readonly database: Database.Database;
  /** It is new and empty, without its identity, which {@link completeIndexFile} gives it. */
  readonly fresh: boolean;
}

/**
 * Opens the database of an index. The file is only a cache: one that is missing, damaged,
 * incomplete, of another version or of another disk is replaced by a fresh one.
 */
export function openIndexFile(source: IndexSource): IndexFile {
  const { path } = source;
  const open = (): Database.Database =>
    source.readOnly ? new Database(readCopy(path)) : new Database(path, { timeout: 0 });
  const existing = source.discard === true ? undefined : tryOpen(source, open);
  if (existing !== undefined) return { database: existing, fresh: false };
  if (source.readOnly) return { database: initialize(':memory:', source), fresh: true };
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true });
  return { database: initialize(path, source), fresh: true };
}

/** Says that a fresh index knows every piece; without it, the next one to open starts again. */
export function completeIndexFile(database: Database.Database, source: IndexSource): void {
  database.prepare('INSERT INTO identity VALUES (?, ?)').run(source.volumeTag, source.diskId);
}

/**
 * The bytes of the file, for those who must not write to it. What is still in the WAL is missing in
 * them, so the copy may be somewhat old, and scanning goes on from there.
 */
function readCopy(path: string): Buffer {
  const bytes = readFileSync(path);
  // A database in memory cannot be in WAL mode.
  if (bytes.length >= JOURNAL_MODE_OFFSET + 2) {
    bytes.fill(1, JOURNAL_MODE_OFFSET, JOURNAL_MODE_OFFSET + 2);
  }
  return bytes;
}

/** The database if it is whole and ours, undefined if it has to be replaced; throws when BUSY. */
function tryOpen(
  source: IndexSource,
  open: () => Database.Database,
): Database.Database | undefined {
  let database: Database.Database | undefined;
  try {
    database = open();
    tune(database, source);
    if (isUsable(database, source)) return database;
  } catch (error) {
    // Damage shows in many ways; only what an empty index would meet as well is the caller's.
    if (UNRELATED_FAILURES.test(codeOf(error) ?? '')) {
      database?.close();
      throw indexError(source.path, error);
    }
  }
  database?.close();
  return undefined;
}

function tune(database: Database.Database, { readOnly }: IndexSource): void {
  // Exclusive: nobody else may change the index, or the buckets, while this process does.
  database.pragma('locking_mode = EXCLUSIVE');
  if (!readOnly) database.pragma('journal_mode = WAL');
  database.pragma('synchronous = NORMAL');
  database.pragma(`cache_size = -${CACHE_KIB}`);
}

function isUsable(database: Database.Database, { volumeTag, diskId }: IndexSource): boolean {
  if (database.pragma('user_version', { simple: true }) !== SCHEMA_VERSION) return false;
  // A file can be damaged so that it reads well and cannot be written.
  database.pragma(`user_version = ${SCHEMA_VERSION}`);
  if (database.pragma('quick_check(1)', { simple: true }) !== 'ok') return false;
  const identity = database
    .prepare('SELECT volume_tag AS tag, disk_id AS disk FROM identity')
    .all();
  const [row] = identity as { tag: unknown; disk: unknown }[];
  if (row === undefined || !Buffer.isBuffer(row.tag)) return false;
  return row.tag.equals(volumeTag) && row.disk === diskId;
}

function initialize(path: string, source: IndexSource): Database.Database {
  const database = new Database(path, { timeout: 0 });
  try {
    tune(database, source);
    database.exec(`BEGIN; ${SCHEMA} COMMIT;`);
    return database;
  } catch (error) {
    database.close();
    throw indexError(path, error);
  }
}
