import type { Ino } from '../base/ids.ts';
import type { Kernel } from './vfs-interface.ts';

/** Bytes [start, end) of one block. */
export interface BlockPart {
  start: number;
  end: number;
}

/**
 * Parts of blocks that become zeros while a shared mapping may be changing the rest of the block.
 *
 * Before the kernel asks for zeros it sends the dirty pages of the range, and after the answer it
 * zeroes the pages it has. It does not keep a mapping from dirtying such a page in between, and
 * may send that page when we are done: with the bytes as they were, which it then takes for
 * zeroed. So until the answer zeros are put into everything that is written there, and the pages
 * are taken from the kernel: what it reads again has the zeros.
 */
export class Zeroing {
  kernel: Kernel | undefined;
  readonly #parts = new Map<Ino, Set<BlockPart>>();

  /**
   * Runs `write`, which writes zeros over the parts; its result when no page has the old bytes any
   * more.
   */
  async during<T>(ino: Ino, parts: readonly BlockPart[], write: () => Promise<T>): Promise<T> {
    const all = this.#parts.get(ino) ?? new Set();
    this.#parts.set(ino, all);
    for (const part of parts) all.add(part);
    try {
      const result = await write();
      for (const { start, end } of parts) await this.kernel?.forgetPages(ino, { start, end });
      return result;
    } finally {
      for (const part of parts) all.delete(part);
      if (all.size === 0) this.#parts.delete(ino);
    }
  }

  /** Puts zeros into what `data`, about to be written at `offset`, has of such parts. */
  apply(ino: Ino, offset: number, data: Buffer): void {
    if (this.#parts.size === 0) return;
    for (const { start, end } of this.#parts.get(ino) ?? []) {
      const from = Math.max(start - offset, 0);
      const to = Math.min(end - offset, data.length);
      if (from < to) data.fill(0, from, to);
    }
  }
}
