import type { Ino } from '../base/ids.ts';
import type { MetaOp } from '../meta/mod.ts';

/** How long an answer may take to be taken up by the thread it is for. */
const UNDER_WAY_MS = 1000;
const FOLDERS_MAX = 1024;
/** In the place of a thread: more than one. */
const SEVERAL = -1;

/**
 * Which threads were told attributes of folders lately. The kernel makes nothing of the order in
 * which we answer: attributes that one thread was told before another one's change of the folder
 * can be taken up behind it, and then count for as long as we said. FUSE numbers what it knows of
 * files against that, but not when names in a folder change.
 */
export class FolderLooks {
  readonly #looks = new Map<Ino, { thread: number; ms: number }>();

  /** `thread` is being told the attributes of `folder`. */
  told(folder: Ino, thread: number): void {
    if (this.#looks.size >= FOLDERS_MAX) {
      for (const oldest of this.#looks.keys()) {
        this.#looks.delete(oldest);
        break;
      }
    }
    const ms = performance.now();
    const last = this.#looks.get(folder);
    const isShared = last !== undefined && last.thread !== thread && ms - last.ms < UNDER_WAY_MS;
    this.#looks.delete(folder);
    this.#looks.set(folder, { thread: isShared ? SEVERAL : thread, ms });
  }

  /** Folders that `ops` of `thread` change and another thread may still be taking up as they were. */
  outdated(ops: readonly MetaOp[], thread: number): Ino[] {
    if (this.#looks.size === 0) return [];
    const found: Ino[] = [];
    for (const op of ops) {
      if ('parent' in op) this.#check(op.parent, thread, found);
      if ('newParent' in op) this.#check(op.newParent, thread, found);
    }
    return found;
  }

  #check(folder: Ino, thread: number, found: Ino[]): void {
    const look = this.#looks.get(folder);
    if (look === undefined || look.thread === thread) return;
    this.#looks.delete(folder);
    if (performance.now() - look.ms < UNDER_WAY_MS) found.push(folder);
  }
}
