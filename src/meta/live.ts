import type Database from 'better-sqlite3';
import { InvariantError } from '../base/errors.ts';
import { type Epoch, type Ino, ROOT_INO } from '../base/ids.ts';
import { openDatabase } from './database.ts';
import { Erased } from './erased.ts';
import { GroupSync } from './group-sync.ts';
import { InoNumbers } from './ino-numbers.ts';
import { growOp, type Inode, isRegular } from './inode.ts';
import { InodeCache } from './inode-cache.ts';
import { JournalIndex } from './journal-index.ts';
import { LazyTimes } from './lazy-times.ts';
import { LiveRecordWriter } from './live-records.ts';
import { LiveRows } from './live-rows.ts';
import { type LiveSql, prepareLive } from './live-sql.ts';
import type { MetaOp, Time } from './ops.ts';
import { Publishes } from './publishes.ts';
import { replaceState } from './rebase.ts';
import { RecentOps } from './recent-ops.ts';
import { LIVE_SCHEMA } from './schema.ts';
import { MetaState } from './state.ts';
import { Transactions } from './transactions.ts';

/**
 * Which kernel request asks for a change, so that its answer can be found if the kernel sends it
 * again.
 */
export interface OpRequest {
  unique: number;
  resent: boolean;
}

/** Access times in memory only; above that they are written down some at a time. */
const LAZY_MAX = 16_384;
const LAZY_BATCH = 64;
const LAZY_A_CUT = 128;

/**
 * The live metadata: the state machine, the journal of what no epoch has yet, and what a crash must
 * not lose.
 *
 * Invariants:
 *  1. Each run() is one record of the log: changed rows, journal rows, the reply. All or nothing
 *     survives the death of the process; sync() of `wal` makes it survive a power cut.
 *  2. Sequence numbers grow by one an operation, also across restarts and commits.
 *  3. An Inode object is shared by all that hold it and changed only by apply(), but for the size
 *     and times of a dirty file, which its cache file changes and the next cut writes down with a
 *     `grow`, and for the access time, which {@link touch} changes and a later cut writes down.
 *  4. A publish may be cut off anywhere and repeated: the extents come first, then the mark that the
 *     epoch is committed, then, in pieces, what is no longer needed; the next process removes the rest.
 */
export class LiveMeta {
  readonly state: MetaState;
  /** Makes changes survive a power cut. */
  readonly wal: GroupSync;
  /** The end of commits. */
  readonly publishes: Publishes;
  readonly #transactions: Transactions;
  readonly #db: Database.Database;
  readonly #path: string;
  readonly #sql: LiveSql;
  readonly #inodes = new InodeCache();
  readonly #lazy = new LazyTimes();
  readonly #rows: LiveRows;
  readonly #inos: InoNumbers;
  readonly #writer = new LiveRecordWriter();
  readonly #index: JournalIndex;
  #lastSeq: number;
  #pendingBytes = 0;
  readonly #recent = new RecentOps();
  /** Last number of the newest cut, published or not. */
  #cutSeq = 0;

  constructor(path: string) {
    this.#path = path;
    this.#db = openDatabase(path);
    this.#db.exec(LIVE_SCHEMA);
    this.state = new MetaState(this.#db, {
      cached: (ino) => this.#inodes.get(ino) ?? this.#lazy.get(ino),
      isBuffered: true,
    });
    this.#sql = prepareLive(this.#db);
    this.#rows = new LiveRows(this.#db, this.state);
    this.#transactions = this.#takeUp();
    this.#rows.replies.inherit();
    this.wal = new GroupSync(() => this.#transactions.sync());
    this.publishes = this.#openPublishes();
    this.#lastSeq = Math.max(this.#rows.journal.newest(), this.committedSeq);
    this.#inos = new InoNumbers({
      next: Math.max(this.state.inoMax(), ROOT_INO) + 1,
      reserved: this.local('reservedIno'),
      reserve: (upTo) => this.#transactions.unlogged(() => this.setLocal('reservedIno', upTo)),
    });
    this.#index = new JournalIndex(this.#db, this.state);
    for (const { seq, op } of this.journal()) this.#note(op, seq);
  }

  #openPublishes(): Publishes {
    return new Publishes({
      db: this.#db,
      sql: this.#sql,
      state: this.state,
      marks: this.#rows.marks,
      journal: this.#rows.journal,
      transactions: this.#transactions,
      writer: this.#writer,
      recent: this.#recent,
      index: () => this.#index,
      committed: {
        epoch: this.local('committedEpoch') as Epoch,
        seq: this.local('committedSeq'),
      },
    });
  }

  /** Begins with what a process that died left in the log: rows only, nothing is in memory yet. */
  #takeUp(): Transactions {
    return new Transactions({
      db: this.#db,
      path: this.#path,
      local: (key) => this.local(key),
      setLocal: (key, value) => this.setLocal(key, value),
      replay: this.#rows.replayer(this.#sql),
      settle: () => this.#rows.settle(),
      lost: () => this.#rows.lost(),
    });
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  get committedEpoch(): Epoch {
    return this.publishes.epoch;
  }

  /** The last journal number in a committed epoch. */
  get committedSeq(): number {
    return this.publishes.seq;
  }

  get pendingOps(): number {
    return this.#lastSeq - this.committedSeq;
  }

  /** Changes since the start: SQLite's log grows with them. */
  get transactions(): number {
    return this.#transactions.changes;
  }

  /** Whether `ino` has the attribute security.capability, which a change of its content takes. */
  hasCapability(ino: Ino): boolean {
    return this.#index.hasCapability(ino);
  }

  /** Bytes of `ino` that are in extents. */
  storedBytes(ino: Ino): number {
    return this.#index.storedBytes(ino);
  }

  /** Bytes of the journal since the last cut; a commit has to fit in one epoch record. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Whether an operation on `ino` waits for a commit. */
  isPending(ino: Ino): boolean {
    return (this.#index.pending.get(ino) ?? 0) > this.committedSeq;
  }

  /** Whether the newest operation on `ino` is in no cut yet. */
  isBehindCut(ino: Ino): boolean {
    return (this.#index.pending.get(ino) ?? 0) > this.#cutSeq;
  }

  local(key: string): number {
    return (this.#sql.local.get(key) as [number] | undefined)?.[0] ?? 0;
  }

  setLocal(key: string, value: number): void {
    this.#sql.setLocal.run(key, value);
  }

  inode(ino: Ino): Inode | undefined {
    const known = this.#inodes.get(ino) ?? this.#lazy.get(ino);
    if (known !== undefined) return known;
    const read = this.state.inode(ino);
    if (read !== undefined) this.#inodes.set(read);
    return read;
  }

  /**
   * Keeps the object of `ino` in memory until {@link unpin}: its owner changes size and times in
   * it.
   */
  pin(inode: Inode): void {
    this.#inodes.pin(inode);
  }

  unpin(ino: Ino): void {
    this.#inodes.unpin(ino);
  }

  /** A number no inode of this volume ever had; NO_SPACE or IO when it cannot be reserved. */
  allocateIno(): Ino {
    return this.#inos.next();
  }

  /**
   * What was answered to a request the kernel sends again, or undefined if it was not carried out.
   */
  earlierReply(request: OpRequest): number | undefined {
    return request.resent ? this.#rows.replies.earlier(request.unique) : undefined;
  }

  /** Forgets the answers of an earlier mount, whose request numbers begin anew. */
  forgetReplies(): void {
    this.#transactions.unlogged(() => this.#rows.replies.forget());
  }

  /**
   * Carries out `ops` as one transaction and remembers `result` as the answer to `request`. Throws
   * NO_SPACE or IO with nothing changed.
   */
  run(ops: MetaOp[], request?: OpRequest, result = 0): void {
    const firstSeq = this.#lastSeq + 1;
    const reply = request === undefined ? undefined : { unique: request.unique, result };
    const frame = this.#writer.ops(firstSeq, reply, ops);
    this.state.remember();
    try {
      this.#transactions.change(frame, () => {
        for (const op of ops) this.state.apply(op);
        this.#rows.journal.add(firstSeq, ops.length, this.#writer.bytesOf(frame));
        if (reply !== undefined) this.#rows.replies.put(reply.unique, reply.result);
      });
    } catch (error) {
      this.state.restore();
      throw error;
    }
    this.#lastSeq += ops.length;
    this.#pendingBytes += frame.length;
    this.#recent.note(firstSeq, ops.length, this.#writer.bytesOf(frame));
    for (const [index, op] of ops.entries()) this.#note(op, firstSeq + index);
  }

  /** Keeps the maps in step with an operation that is in the journal (invariant 2). */
  #note(op: MetaOp, seq: number): void {
    for (const ino of this.#index.note(op, seq)) this.wal.touched(ino);
    if (op.kind !== 'reap') return;
    this.#inodes.delete(op.ino);
    this.#lazy.delete(op.ino);
  }

  /** The newest change is one of `ino` as well, though its operation does not name it. */
  concern(ino: Ino): void {
    this.#index.pending.set(ino, this.#lastSeq);
    this.wal.touched(ino);
  }

  /**
   * Records that the cache file of `ino` may get data in `epoch`; before the first byte is written.
   */
  markDirty(ino: Ino, epoch: Epoch): void {
    const frame = this.#writer.mark('dirty', ino, epoch);
    this.#transactions.change(frame, () => this.#rows.marks.putDirty(ino, epoch));
    this.wal.touched(ino);
  }

  /** Records that the device has what the cache file of `ino` held when `epoch` was open. */
  markSynced(ino: Ino, epoch: Epoch): void {
    const frame = this.#writer.mark('synced', ino, epoch);
    this.#transactions.change(frame, () => this.#rows.marks.putSynced(ino, epoch));
    this.wal.touched(ino);
  }

  /**
   * Whether, after a power cut, the cache file may be older than what is committed: no fsync behind
   * the newest epoch brought all of it to its device, and the inode was there when that was cut.
   */
  isCacheOlder(ino: Ino): boolean {
    const isMade = (this.#index.made.get(ino) ?? 0) > this.committedSeq;
    return !isMade && this.#rows.marks.synced(ino) <= this.committedEpoch;
  }

  /** Whether `ino` was made behind the newest cut: nothing of it is committed, or about to be. */
  isNew(ino: Ino): boolean {
    return (this.#index.made.get(ino) ?? 0) > Math.max(this.#cutSeq, this.committedSeq);
  }

  /** Notes an access of `inode`; a crash may undo it (invariant 3). */
  touch(inode: Inode, time: Time): void {
    this.#lazy.touch(inode, time);
    if (this.#lazy.size > LAZY_MAX) this.writeTimes(LAZY_BATCH);
  }

  /** Writes down up to `count` access times that are in memory only, the oldest; all by default. */
  writeTimes(count: number = LAZY_MAX): void {
    const ops = this.#lazy.take(count);
    if (ops.length === 0) return;
    try {
      this.run(ops);
    } catch (error) {
      // A full or failing device: the row keeps the time it has.
      if (error instanceof InvariantError) throw error;
    }
  }

  /**
   * Cache files of these have nothing: what is found there later is not from before. Sizes and times
   * that rows have from them (invariant 3) are in no operation yet, and stay.
   */
  markClean(inos: Ino[]): void {
    if (inos.length === 0) return;
    this.#transactions.unlogged(() => this.#rows.marks.dropDirty(inos));
    this.grow(inos.flatMap((ino) => this.inode(ino) ?? []).filter(isRegular));
  }

  dirtyInodes(): { ino: Ino; epoch: Epoch }[] {
    return this.#rows.marks.dirty();
  }

  /** Writes down size and times of dirty files; before a cut, which then has fewer left to do. */
  grow(grown: Inode[]): void {
    if (grown.length > 0) this.run(grown.map(growOp));
  }

  /**
   * Writes down size and times of dirty files and ends the journal of an epoch. Returns its last
   * number. Who reads the journal on another connection needs a {@link flush} first.
   */
  cut(grown: Inode[]): { seq: number; erased: Erased } {
    this.writeTimes(LAZY_A_CUT);
    this.grow(grown);
    // A row of the journal belongs to one epoch.
    this.#rows.journal.write();
    this.#index.erased = new Erased();
    this.#cutSeq = this.#lastSeq;
    this.#pendingBytes = 0;
    return { seq: this.#lastSeq, erased: this.#index.erased };
  }

  /**
   * Makes the live state the committed one plus the journal behind it: after a crash between an
   * epoch's publishing and the end of {@link Publishes.done}, and when a power cut took the newest
   * operations from here but not from the disks. `committedPath` is a database that stands at
   * `head`. One transaction.
   */
  rebase(committedPath: string, head: { epoch: Epoch; seq: number }): void {
    const later = [...this.journal(head.seq)];
    const again = (): void => {
      this.#inodes.clear();
      this.#lazy.clear();
      for (const { op } of later) this.state.apply(op);
      this.publishes.rebased(head.epoch, head.seq);
    };
    replaceState({ db: this.#db, transactions: this.#transactions, committedPath, again });
    this.#recent.clear();
    this.#lastSeq = Math.max(this.#lastSeq, head.seq);
    this.#inos.skipTo(this.state.inoMax() + 1);
    this.#index.clear();
    for (const { seq, op } of later) this.#note(op, seq);
  }

  /** Operations of the journal in order. */
  journal(afterSeq = 0): Generator<{ seq: number; op: MetaOp }> {
    return this.#rows.journal.read(afterSeq);
  }

  /** Copies what the store's thread has left of SQLite's log into its file: the log begins anew. */
  checkpoint(): void {
    this.#transactions.outside(() => this.#db.pragma('wal_checkpoint(PASSIVE)'));
  }

  /** Lets other connections of the database see everything. NO_SPACE or IO. */
  flush(): void {
    this.#transactions.flush();
  }

  /** Ends in order; with `dying` as a process that is killed, for tests. */
  async close(options: { dying: boolean } = { dying: false }): Promise<void> {
    await this.wal.idle();
    await this.#transactions.close(options);
    this.#db.close();
  }
}
