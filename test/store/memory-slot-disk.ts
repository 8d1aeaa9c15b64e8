import { DfsError } from '../../src/base/errors.ts';
import {
  compareBallots,
  type ListedSlot,
  NO_BALLOT,
  type SlotAnswer,
  type SlotBallot,
  type SlotCopy,
  slotFileName,
} from '../../src/bucket/mod.ts';
import type { SlotDisk, SlotProposal } from '../../src/store/mod.ts';

/** The slots of a disk in memory, which a test can keep from answering, and harm. */
export class MemorySlotDisk implements SlotDisk {
  /** Thrown by every call, or by those that write. */
  failure: DfsError | undefined;
  writeFailure: DfsError | undefined;
  writes = 0;
  readonly #copies = new Map<string, SlotCopy>();
  readonly #damaged = new Set<string>();

  async read(path: string): Promise<SlotCopy | undefined> {
    await this.#called();
    return this.#whole(path);
  }

  async prepare(path: string, ballot: SlotBallot): Promise<SlotAnswer> {
    await this.#called();
    const copy = this.#whole(path);
    if (compareBallots(ballot, copy?.promised ?? NO_BALLOT) < 0) return { isDone: false, copy };
    return this.#keep({ path, promised: ballot, accepted: copy?.accepted });
  }

  async accept(
    path: string,
    accepted: SlotProposal,
    options = { replaceDamaged: false },
  ): Promise<SlotAnswer> {
    await this.#called();
    if (options.replaceDamaged && this.#damaged.delete(path)) this.#copies.delete(path);
    const copy = this.#whole(path);
    const { ballot } = accepted;
    if (copy?.accepted && compareBallots(ballot, copy.accepted.ballot) === 0) {
      return { isDone: true, copy };
    }
    if (compareBallots(ballot, copy?.promised ?? NO_BALLOT) < 0) return { isDone: false, copy };
    return this.#keep({ path, promised: ballot, accepted });
  }

  async list(after: string, limit: number): Promise<ListedSlot[]> {
    await this.#called();
    const listed = [...this.#copies.values()].map(({ path, promised, accepted }): ListedSlot => {
      const name = slotFileName(path);
      if (this.#damaged.has(path)) {
        return { name, path: undefined, promised: NO_BALLOT, accepted: undefined };
      }
      const { version, content } = accepted?.state ?? {};
      const summary = accepted && version && { ballot: accepted.ballot, version };
      const contentBytes = content?.length;
      return { name, path, promised, accepted: summary && { ...summary, contentBytes } };
    });
    const behind = listed.filter(({ name }) => name > after);
    return behind.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, limit);
  }

  async drop(path: string, upTo: SlotBallot): Promise<boolean> {
    await this.#called();
    const copy = this.#whole(path);
    if (copy === undefined) return true;
    if (compareBallots(copy.promised, upTo) > 0) return false;
    this.#checkWrites();
    return this.#copies.delete(path);
  }

  /** Makes the copy of a slot one that does not verify. */
  harm(path: string): void {
    if (!this.#copies.has(path)) throw new Error('there is no copy');
    this.#damaged.add(path);
  }

  /** Paths of the copies here. */
  paths(): string[] {
    return [...this.#copies.keys()].sort();
  }

  async #called(): Promise<void> {
    await Promise.resolve();
    if (this.failure !== undefined) throw this.failure;
  }

  #checkWrites(): void {
    if (this.writeFailure !== undefined) throw this.writeFailure;
    this.writes++;
  }

  #whole(path: string): SlotCopy | undefined {
    if (this.#damaged.has(path)) throw new DfsError('CORRUPT', 'Cannot read a slot: harmed');
    return this.#copies.get(path);
  }

  #keep(copy: SlotCopy): SlotAnswer {
    this.#checkWrites();
    this.#copies.set(copy.path, copy);
    return { isDone: true, copy };
  }
}
