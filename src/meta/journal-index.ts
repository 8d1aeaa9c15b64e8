import type Database from 'better-sqlite3';
import type { Ino } from '../base/ids.ts';
import { Erased } from './erased.ts';
import type { MetaOp } from './ops.ts';
import type { MetaState } from './state.ts';

/** The attribute that gives a program privileges. */
export const CAPABILITY_XATTR: Buffer = Buffer.from('security.capability');
const STORED_MAX = 10_000;

/** What is kept in memory of the journal and of rows that are asked for at every write or stat. */
export class JournalIndex {
  /** Last journal row of each inode that has one. */
  readonly pending: Map<Ino, number> = new Map();
  /** The journal row that made an inode, of those made lately, in order. */
  readonly made: Map<Ino, number> = new Map();
  readonly #state: MetaState;
  readonly #capable: Set<Ino>;
  /** What {@link storedBytes} found. */
  readonly #stored = new Map<Ino, number>();
  /** What was erased since the last cut. */
  erased: Erased = new Erased();

  constructor(db: Database.Database, state: MetaState) {
    this.#state = state;
    const capable = db.prepare('select ino from xattr where name = ?').raw().all(CAPABILITY_XATTR);
    this.#capable = new Set((capable as [Ino][]).map(([ino]) => ino));
  }

  /** Whether `ino` has the attribute security.capability, which a change of its content takes. */
  hasCapability(ino: Ino): boolean {
    return this.#capable.has(ino);
  }

  /** Bytes of `ino` that are in extents. */
  storedBytes(ino: Ino): number {
    let bytes = this.#stored.get(ino);
    if (bytes === undefined) {
      if (this.#stored.size >= STORED_MAX) this.#stored.clear();
      bytes = this.#state.extents.storedBytes(ino);
      this.#stored.set(ino, bytes);
    }
    return bytes;
  }

  /** The extents of `ino` change. */
  restored(ino: Ino): void {
    this.#stored.delete(ino);
  }

  /**
   * Keeps in step with an operation that is in the journal and was carried out; the inodes it
   * concerns. What got another name is one of them: fsync of it makes the name last, as people
   * expect of ext4 and XFS.
   */
  note(op: MetaOp, seq: number): Ino[] {
    const inodes: Ino[] = [];
    if ('ino' in op) inodes.push(op.ino);
    if ('parent' in op) inodes.push(op.parent);
    if ('newParent' in op) inodes.push(op.newParent);
    if (op.kind === 'rename') {
      inodes.push(...this.#at(op.newParent, op.newName));
      if (op.exchange) inodes.push(...this.#at(op.parent, op.name));
    }
    for (const ino of inodes) this.pending.set(ino, seq);
    if (op.kind === 'create' || op.kind === 'tmpfile') this.made.set(op.ino, seq);
    this.erased.note(op);
    if (op.kind === 'truncate' || op.kind === 'punch' || op.kind === 'clone') {
      this.#stored.delete(op.ino);
    } else if (op.kind === 'setxattr' && CAPABILITY_XATTR.equals(op.name))
      this.#capable.add(op.ino);
    else if (op.kind === 'removexattr' && CAPABILITY_XATTR.equals(op.name))
      this.#capable.delete(op.ino);
    else if (op.kind === 'reap') {
      this.pending.delete(op.ino);
      this.made.delete(op.ino);
      this.#capable.delete(op.ino);
      this.#stored.delete(op.ino);
    }
    return inodes;
  }

  #at(parent: Ino, name: Buffer): Ino[] {
    const entry = this.#state.lookup(parent, name);
    return entry === undefined ? [] : [entry.ino];
  }

  /** What was made up to `seq` is committed. */
  committed(seq: number): void {
    for (const [ino, madeSeq] of this.made) {
      if (madeSeq > seq) return;
      this.made.delete(ino);
    }
  }

  /** The state was made anew, and the journal with it. */
  clear(): void {
    this.pending.clear();
    this.made.clear();
    this.#stored.clear();
  }
}
