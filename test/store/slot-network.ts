import { DfsError } from '../../src/base/errors.ts';
import type { SlotDisk } from '../../src/store/mod.ts';
import type { Dice } from '../harness/seed.ts';
import { GONE } from './slots-fixture.ts';

interface Message {
  readonly disk: number;
  readonly apply: () => Promise<unknown>;
  readonly answer: (result: unknown) => void;
  readonly refuse: (error: unknown) => void;
  isHeard: boolean;
}

const TIMEOUT: DfsError = new DfsError('TIMEOUT', 'Cannot call the disk: no answer in time');

/**
 * Between slots and their disks: calls wait until a die says which goes on. Some never arrive, of
 * some the answer is lost, some are given up by who waits and arrive later all the same.
 */
export class SlotNetwork {
  readonly #dice: Dice;
  readonly #disks: readonly SlotDisk[];
  readonly #silent = new Set<number>();
  #messages: Message[] = [];

  constructor(dice: Dice, disks: readonly SlotDisk[]) {
    this.#dice = dice;
    this.#disks = disks;
  }

  /** The disks as one writer sees them. */
  get disks(): SlotDisk[] {
    return this.#disks.map((disk, at) => ({
      read: (path) => this.#send(at, () => disk.read(path)),
      prepare: (path, ballot) => this.#send(at, () => disk.prepare(path, ballot)),
      accept: (path, proposal, options) =>
        this.#send(at, () => disk.accept(path, proposal, options)),
      list: (after, limit) => this.#send(at, () => disk.list(after, limit)),
      drop: (path, upTo) => this.#send(at, () => disk.drop(path, upTo)),
    }));
  }

  get isIdle(): boolean {
    return this.#messages.length === 0;
  }

  /** Makes a disk silent, or lets it answer again. */
  toggle(disk: number): void {
    if (!this.#silent.delete(disk)) this.#silent.add(disk);
  }

  /** From now on every disk answers. */
  heal(): void {
    this.#silent.clear();
  }

  /** Lets one call go on; with `isCalm` nothing is lost. */
  async step(isCalm: boolean): Promise<void> {
    if (this.isIdle) return;
    const at = this.#dice.below(this.#messages.length);
    const message = this.#messages[at] as Message;
    const fate = isCalm ? 0 : this.#dice.below(10);
    if (fate === 9 && message.isHeard) {
      message.isHeard = false;
      message.refuse(TIMEOUT);
      return;
    }
    this.#messages.splice(at, 1);
    if (this.#silent.has(message.disk) || fate === 8) {
      message.refuse(GONE);
      return;
    }
    try {
      const result = await message.apply();
      if (fate === 7) message.refuse(GONE);
      else message.answer(result);
    } catch (error) {
      message.refuse(error);
    }
  }

  #send<T>(disk: number, apply: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const answer = (result: unknown): void => resolve(result as T);
      this.#messages.push({ disk, apply, answer, refuse: reject, isHeard: true });
    });
  }
}
