import type Database from 'better-sqlite3';
import { assert } from '../base/errors.ts';
import { type ChunkId, type Ino, ROOT_INO } from '../base/ids.ts';
import { ExtentTable } from './extent-table.ts';
import {
  blocksOf,
  type Inode,
  type InodeRow,
  inodeOfRow,
  isFolder,
  nameAdded,
  nameDropped,
  nameMoved,
  newInode,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  setCtime,
  setMtime,
} from './inode.ts';
import { InodeRows } from './inode-rows.ts';
import { nameHash } from './name-hash.ts';
import type { MetaOp, Time } from './ops.ts';
import { STATE_SCHEMA } from './schema.ts';
import { prepareState, type StateSql } from './state-sql.ts';

/** An entry of a folder: `type` is mode >> 12. */
export interface Dentry {
  ino: Ino;
  type: number;
}

/** Told of every reference to a chunk that appears or goes. */
export type RefHook = (chunk: ChunkId, delta: 1 | -1) => void;

/**
 * The metadata state machine on one SQLite database (Schneider's replicated state machine, 1990).
 *
 * Invariants:
 *  1. Rows change only in apply(); the same operations in the same order make the same rows.
 *  2. An inode without a name is in `orphan` until reaped; an ino is never used twice.
 *  3. A folder's nlink is 2 + its folders; its `parent` names the folder it is in.
 *  4. apply() runs inside a transaction of its caller.
 */
export class MetaState {
  readonly db: Database.Database;
  readonly extents: ExtentTable;
  readonly #sql: StateSql;
  readonly #rows: InodeRows;
  /**
   * Inodes by number, changed in place by apply(); owned by the live store, absent in the committed
   * one.
   */
  readonly #cached: (ino: Ino) => Inode | undefined;
  /** Inodes that apply() changed since {@link remember}, and what they were. */
  readonly #before = new Map<Inode, Inode>();
  readonly #remembers: boolean;

  constructor(
    db: Database.Database,
    options: {
      cached?: (ino: Ino) => Inode | undefined;
      onRef?: RefHook;
      isBuffered?: boolean;
    } = {},
  ) {
    this.db = db;
    this.#cached = options.cached ?? (() => undefined);
    this.#remembers = options.cached !== undefined;
    db.exec(STATE_SCHEMA);
    this.#sql = prepareState(db);
    this.#rows = new InodeRows(db, { isBuffered: options.isBuffered ?? false });
    this.extents = new ExtentTable(db, options.onRef);
  }

  /** Makes the root folder of an empty volume. */
  format(root: { uid: number; gid: number; time: Time }): void {
    const { uid, gid, time } = root;
    const place = { parent: ROOT_INO, nlink: 2, sizeBytes: 0 };
    this.#rows.insert(
      newInode({ ino: ROOT_INO, mode: S_IFDIR | 0o755, uid, gid, rdev: 0, ...place }, time),
    );
    this.#rows.write();
  }

  inode(ino: Ino): Inode | undefined {
    return this.#cached(ino) ?? this.#rows.get(ino);
  }

  lookup(parent: Ino, name: Buffer): Dentry | undefined {
    const row = this.#sql.lookup.get(parent, nameHash(name), name) as [Ino, number] | undefined;
    return row === undefined ? undefined : { ino: row[0], type: row[1] };
  }

  /** The name, or one of the names, that `ino` has in a folder; looks through all of the folder. */
  nameIn(folder: Ino, ino: Ino): Buffer | undefined {
    return (this.#sql.nameIn.get(folder, ino) as [Buffer] | undefined)?.[0];
  }

  isEmpty(folder: Ino): boolean {
    return this.#sql.anyEntry.get(folder) === undefined;
  }

  /** Entries of a folder in hash order, behind `hash`, at most `limit`: [hash, name, ino, type]. */
  entries(folder: Ino, hash: number, limit: number): [number, Buffer, Ino, number][] {
    return this.#sql.entries.all(folder, hash, limit) as [number, Buffer, Ino, number][];
  }

  /** As {@link entries}, each with its inode, which is of use in this turn only. */
  entriesWithInodes(
    folder: Ino,
    hash: number,
    limit: number,
  ): [number, Buffer, Ino, number, Inode][] {
    this.#rows.write();
    const rows = this.#sql.entriesWithInodes.all(folder, hash, limit) as [
      ...entry: [number, Buffer, Ino, number],
      ...inode: InodeRow,
    ][];
    return rows.map((row) => {
      const [rowHash, name, ino, type] = row;
      const inode = this.#cached(ino) ?? inodeOfRow(row as unknown as InodeRow, 4);
      return [rowHash, name, ino, type, inode];
    });
  }

  readlink(ino: Ino): Buffer | undefined {
    return (this.#sql.target.get(ino) as [Buffer] | undefined)?.[0];
  }

  xattr(ino: Ino, name: Buffer): Buffer | undefined {
    return (this.#sql.xattr.get(ino, name) as [Buffer] | undefined)?.[0];
  }

  xattrNames(ino: Ino): Buffer[] {
    return (this.#sql.xattrNames.all(ino) as [Buffer][]).map((row) => row[0]);
  }

  /** All attributes of one name: [ino, value]. */
  xattrsNamed(name: Buffer): [Ino, Buffer][] {
    return this.#sql.xattrsNamed.all(name) as [Ino, Buffer][];
  }

  orphans(): Ino[] {
    return (this.#sql.orphans.all() as [Ino][]).map((row) => row[0]);
  }

  inoMax(): number {
    this.#rows.write();
    return (this.#sql.inoMax.get() as [number | null])[0] ?? 0;
  }

  /** Inodes and bytes of regular files as the rows say. */
  totals(): { inodes: number; fileBytes: number } {
    this.#rows.write();
    const [inodes, fileBytes] = this.#sql.totals.get() as [number, number | null];
    return { inodes, fileBytes: fileBytes ?? 0 };
  }

  /** Writes the rows that apply() has left in memory, before the transaction ends. */
  settle(): void {
    this.#rows.write();
    this.extents.forget();
  }

  /** The transaction was rolled back: what {@link settle} would write is carried out again. */
  lost(): void {
    this.#rows.forget();
    this.extents.forget();
  }

  /** A transaction begins: {@link restore} leads back here. */
  remember(): void {
    this.#before.clear();
  }

  /** The transaction was rolled back: inodes in memory are again what they were at its begin. */
  restore(): void {
    for (const [inode, before] of this.#before) Object.assign(inode, before);
    this.#before.clear();
  }

  /**
   * Makes one change. The caller has checked that it is possible: what is not breaks an invariant.
   */
  apply(op: MetaOp): void {
    switch (op.kind) {
      case 'create':
        return this.#create(op);
      case 'tmpfile':
        return this.#tmpfile(op);
      case 'link':
        return this.#link(op);
      case 'unlink':
        return this.#removeEntry(op.parent, op.name, op.time);
      case 'rmdir':
        return this.#removeEntry(op.parent, op.name, op.time);
      case 'rename':
        return this.#rename(op);
      case 'setattr':
        return this.#setattr(op);
      case 'truncate':
        return this.#truncate(op);
      case 'punch':
        return this.#punch(op);
      case 'clone':
        return this.#clone(op);
      case 'grow':
        return this.#grow(op);
      case 'setxattr':
        this.#sql.putXattr.run(op.ino, op.name, op.value);
        return this.#touch(op.ino, op.time);
      case 'removexattr':
        this.#sql.dropXattr.run(op.ino, op.name);
        return this.#touch(op.ino, op.time);
      case 'reap':
        return this.#reap(op.ino);
      case 'extents':
        return this.extents.replace(op.ino, op.ranges);
      case 'chunk':
      case 'inline':
      case 'forget':
        return; // Chunks are the committed database's business.
    }
  }

  #need(ino: Ino): Inode {
    const inode = this.inode(ino);
    assert(inode !== undefined, `metadata operation on inode ${ino}, which is not there`);
    if (this.#remembers && !this.#before.has(inode)) this.#before.set(inode, { ...inode });
    return inode;
  }

  #create(op: MetaOp & { kind: 'create' }): void {
    const folder = (op.mode & S_IFMT) === S_IFDIR;
    const sizeBytes = (op.mode & S_IFMT) === S_IFLNK ? op.target.length : 0;
    this.#rows.insert(newInode({ ...op, nlink: folder ? 2 : 1, sizeBytes }, op.time));
    this.extents.made(op.ino);
    if ((op.mode & S_IFMT) === S_IFLNK) this.#sql.putTarget.run(op.ino, op.target);
    this.#addEntry(op.parent, op.name, op.ino, op.mode >>> 12);
    this.#folderChanged(op.parent, op.time, folder ? 1 : 0);
  }

  #tmpfile(op: MetaOp & { kind: 'tmpfile' }): void {
    const none = { nlink: 0, rdev: 0, sizeBytes: 0, parent: 0 as Ino };
    this.#rows.insert(newInode({ ...op, ...none }, op.time));
    this.extents.made(op.ino);
    this.#sql.putOrphan.run(op.ino);
  }

  #link(op: MetaOp & { kind: 'link' }): void {
    const inode = this.#need(op.ino);
    if (inode.nlink === 0) this.#sql.dropOrphan.run(op.ino);
    nameAdded(inode, op.parent);
    setCtime(inode, op.time);
    this.#rows.update(inode);
    this.#addEntry(op.parent, op.name, op.ino, inode.mode >>> 12);
    this.#folderChanged(op.parent, op.time, 0);
  }

  #addEntry(parent: Ino, name: Buffer, ino: Ino, type: number): void {
    this.#sql.putEntry.run(parent, nameHash(name), name, ino, type);
  }

  #folderChanged(ino: Ino, time: Time, nlinkDelta: number): void {
    const folder = this.#need(ino);
    folder.nlink += nlinkDelta;
    setMtime(folder, time);
    setCtime(folder, time);
    this.#rows.update(folder);
  }

  #removeEntry(parent: Ino, name: Buffer, time: Time): void {
    const entry = this.lookup(parent, name);
    assert(entry !== undefined, `removing an entry of folder ${parent} that is not there`);
    this.#sql.dropEntry.run(parent, nameHash(name), name);
    const folder = this.#dropName(entry.ino, parent, time);
    this.#folderChanged(parent, time, folder ? -1 : 0);
  }

  /** The inode lost one name in `parent`; true if it is a folder, which then has none. */
  #dropName(ino: Ino, parent: Ino, time: Time): boolean {
    const inode = this.#need(ino);
    const folder = isFolder(inode);
    nameDropped(inode, parent);
    setCtime(inode, time);
    this.#rows.update(inode);
    if (inode.nlink === 0) this.#sql.putOrphan.run(ino);
    return folder;
  }

  #rename(op: MetaOp & { kind: 'rename' }): void {
    const from = this.lookup(op.parent, op.name);
    assert(from !== undefined, `renaming an entry of folder ${op.parent} that is not there`);
    const to = this.lookup(op.newParent, op.newName);
    const moved = this.#need(from.ino);
    this.#sql.dropEntry.run(op.parent, nameHash(op.name), op.name);
    if (to !== undefined) this.#sql.dropEntry.run(op.newParent, nameHash(op.newName), op.newName);
    this.#addEntry(op.newParent, op.newName, from.ino, from.type);
    let oldDelta = isFolder(moved) ? -1 : 0;
    let newDelta = isFolder(moved) ? 1 : 0;
    if (to !== undefined && op.exchange) {
      this.#addEntry(op.parent, op.name, to.ino, to.type);
      const other = this.#need(to.ino);
      nameMoved(other, op.newParent, op.parent);
      if (isFolder(other)) {
        oldDelta += 1;
        newDelta -= 1;
      }
      setCtime(other, op.time);
      this.#rows.update(other);
    } else if (to !== undefined && this.#dropName(to.ino, op.newParent, op.time)) newDelta -= 1;
    nameMoved(moved, op.parent, op.newParent);
    setCtime(moved, op.time);
    this.#rows.update(moved);
    this.#folderChanged(op.parent, op.time, oldDelta);
    this.#folderChanged(op.newParent, op.time, newDelta);
  }

  #setattr(op: MetaOp & { kind: 'setattr' }): void {
    const inode = this.#need(op.ino);
    const { change } = op;
    if (change.mode !== undefined) inode.mode = change.mode;
    if (change.uid !== undefined) inode.uid = change.uid;
    if (change.gid !== undefined) inode.gid = change.gid;
    if (change.atime !== undefined) {
      inode.atimeSec = change.atime.sec;
      inode.atimeNsec = change.atime.nsec;
    }
    if (change.mtime !== undefined) setMtime(inode, change.mtime);
    setCtime(inode, op.time);
    this.#rows.update(inode);
  }

  #truncate(op: MetaOp & { kind: 'truncate' }): void {
    const inode = this.#need(op.ino);
    this.extents.cutAt(op.ino, op.sizeBytes);
    inode.sizeBytes = op.sizeBytes;
    inode.blocks = blocksOf(op.sizeBytes);
    setMtime(inode, op.time);
    setCtime(inode, op.time);
    this.#rows.update(inode);
  }

  #punch(op: MetaOp & { kind: 'punch' }): void {
    const { offset, lengthBytes } = op;
    this.extents.replace(op.ino, [{ offset, lengthBytes, chunk: undefined, chunkOffset: 0 }]);
    this.#written(this.#need(op.ino), op.time);
  }

  #clone(op: MetaOp & { kind: 'clone' }): void {
    const { offset, source, sourceOffset, lengthBytes } = op;
    const end = sourceOffset + lengthBytes;
    const shared = this.extents.within(source, sourceOffset, end).map((extent) => ({
      ...extent,
      offset: extent.offset - sourceOffset + offset,
    }));
    const hole = { offset, lengthBytes, chunk: undefined, chunkOffset: 0 };
    this.extents.replace(op.ino, [hole, ...shared]);
    const inode = this.#need(op.ino);
    if (offset + lengthBytes > inode.sizeBytes) {
      inode.sizeBytes = offset + lengthBytes;
      inode.blocks = blocksOf(inode.sizeBytes);
    }
    this.#written(inode, op.time);
  }

  /** The content of the inode changed. */
  #written(inode: Inode, time: Time): void {
    setMtime(inode, time);
    setCtime(inode, time);
    this.#rows.update(inode);
  }

  #grow(op: MetaOp & { kind: 'grow' }): void {
    const inode = this.#need(op.ino);
    inode.sizeBytes = op.sizeBytes;
    inode.blocks = blocksOf(op.sizeBytes);
    setMtime(inode, op.mtime);
    setCtime(inode, op.ctime);
    this.#rows.update(inode);
  }

  #touch(ino: Ino, time: Time): void {
    const inode = this.#need(ino);
    setCtime(inode, time);
    this.#rows.update(inode);
  }

  #reap(ino: Ino): void {
    this.extents.cutAt(ino, 0);
    this.#sql.dropXattrs.run(ino);
    this.#sql.dropTarget.run(ino);
    this.#sql.dropOrphan.run(ino);
    this.#rows.remove(ino);
  }
}
