import type Database from 'better-sqlite3';
import type { Ino } from '../base/ids.ts';
import { INODE_COLUMNS, type Inode, type InodeRow, inodeOfRow } from './inode.ts';

/** Rows in memory at most before they are written on the way. */
const UNWRITTEN_MAX = 4096;

/**
 * Rows of table inode. A file that is made, written and given its times changes its row and its
 * folder's again and again: with `isBuffered` each is written once, when the transaction ends.
 *
 * Invariant: while an inode is in here, {@link get} finds this very object, not its row.
 */
export class InodeRows {
  readonly #sql: ReturnType<typeof prepare>;
  readonly #isBuffered: boolean;
  /** Inodes that have no row yet. */
  readonly #made = new Map<Ino, Inode>();
  /** Inodes that are newer than their rows. */
  readonly #changed = new Map<Ino, Inode>();

  constructor(db: Database.Database, options: { isBuffered: boolean }) {
    this.#sql = prepare(db);
    this.#isBuffered = options.isBuffered;
  }

  get(ino: Ino): Inode | undefined {
    const unwritten = this.unwritten(ino);
    if (unwritten !== undefined) return unwritten;
    const row = this.#sql.get.get(ino) as InodeRow | undefined;
    return row === undefined ? undefined : inodeOfRow(row);
  }

  /** The inode, if it is newer than its row. */
  unwritten(ino: Ino): Inode | undefined {
    return this.#changed.get(ino) ?? this.#made.get(ino);
  }

  /** A new inode, whose number no other one ever had. */
  insert(inode: Inode): void {
    if (!this.#isBuffered) this.#insertNow(inode);
    else this.#keep(this.#made, inode);
  }

  /** `inode` changed. */
  update(inode: Inode): void {
    if (!this.#isBuffered) this.#updateNow(inode);
    else if (!this.#made.has(inode.ino)) this.#keep(this.#changed, inode);
  }

  remove(ino: Ino): void {
    this.#changed.delete(ino);
    if (!this.#made.delete(ino)) this.#sql.drop.run(ino);
  }

  #keep(where: Map<Ino, Inode>, inode: Inode): void {
    where.set(inode.ino, inode);
    if (this.#made.size + this.#changed.size > UNWRITTEN_MAX) this.write();
  }

  /** Writes what is in memory only; before a look at many rows, and before a transaction ends. */
  write(): void {
    for (const inode of this.#made.values()) this.#insertNow(inode);
    for (const inode of this.#changed.values()) this.#updateNow(inode);
    this.forget();
  }

  /** The transaction was rolled back: its rows are made anew. */
  forget(): void {
    this.#made.clear();
    this.#changed.clear();
  }

  #insertNow(inode: Inode): void {
    this.#sql.insert.run(
      [inode.ino, inode.mode, inode.nlink, inode.uid, inode.gid, inode.rdev],
      [inode.sizeBytes, inode.parent, inode.atimeSec, inode.atimeNsec],
      [inode.mtimeSec, inode.mtimeNsec, inode.ctimeSec, inode.ctimeNsec],
      [inode.btimeSec, inode.btimeNsec],
    );
  }

  #updateNow(inode: Inode): void {
    this.#sql.update.run(
      inode.mode,
      inode.nlink,
      inode.uid,
      inode.gid,
      inode.sizeBytes,
      inode.parent,
      inode.atimeSec,
      inode.atimeNsec,
      inode.mtimeSec,
      inode.mtimeNsec,
      inode.ctimeSec,
      inode.ctimeNsec,
      inode.ino,
    );
  }
}

function prepare(db: Database.Database) {
  return {
    get: db.prepare(`select ${INODE_COLUMNS} from inode where ino = ?`).raw(),
    insert: db.prepare(`insert into inode (${INODE_COLUMNS}) values (${'?,'.repeat(15)}?)`),
    update: db.prepare(
      `update inode set mode=?, nlink=?, uid=?, gid=?, size=?, parent=?,
       atime=?, atimensec=?, mtime=?, mtimensec=?, ctime=?, ctimensec=? where ino = ?`,
    ),
    drop: db.prepare('delete from inode where ino = ?'),
  };
}
