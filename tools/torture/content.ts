import { blockCeil, blockFloor } from '../../src/base/blocks.ts';
import { BLOCK_BYTES } from '../../src/base/limits.ts';

const ZEROS: Buffer = Buffer.alloc(BLOCK_BYTES);

/**
 * The bytes of a file, which never change: each change makes another content that shares the pages
 * it leaves alone. A page that is not there is zeros; bytes of a page behind the end are zeros.
 */
export class Content {
  readonly sizeBytes: number;
  readonly #pages: readonly (Buffer | undefined)[];

  private constructor(sizeBytes: number, pages: readonly (Buffer | undefined)[]) {
    this.sizeBytes = sizeBytes;
    this.#pages = pages;
  }

  static readonly EMPTY: Content = new Content(0, []);

  /** The page at `index`; zeros behind the end. */
  page(index: number): Buffer {
    return this.#pages[index] ?? ZEROS;
  }

  get pageCount(): number {
    return blockCeil(this.sizeBytes) / BLOCK_BYTES;
  }

  /** Whether both have the same page object, or neither has one. */
  sharesPage(other: Content, index: number): boolean {
    return this.#pages[index] === other.#pages[index];
  }

  write(offset: number, data: Buffer): Content {
    const pages = [...this.#pages];
    const end = offset + data.length;
    for (let start = blockFloor(offset); start < end; start += BLOCK_BYTES) {
      const index = start / BLOCK_BYTES;
      const page = Buffer.from(pages[index] ?? ZEROS);
      const from = Math.max(offset, start);
      data.copy(page, from - start, from - offset, Math.min(end, start + BLOCK_BYTES) - offset);
      pages[index] = page;
    }
    return new Content(Math.max(this.sizeBytes, end), pages);
  }

  truncate(sizeBytes: number): Content {
    const count = blockCeil(sizeBytes) / BLOCK_BYTES;
    const pages = this.#pages.slice(0, count);
    const last = pages[count - 1];
    const within = sizeBytes % BLOCK_BYTES;
    if (within > 0 && last !== undefined && sizeBytes < this.sizeBytes) {
      pages[count - 1] = Buffer.from(last).fill(0, within);
    }
    return new Content(sizeBytes, pages);
  }

  /** Whole blocks from `offset` on become zeros; the size stays. */
  zero(offset: number, lengthBytes: number): Content {
    const pages = [...this.#pages];
    const end = Math.min(offset + lengthBytes, blockCeil(this.sizeBytes));
    for (let at = offset; at < end; at += BLOCK_BYTES) pages[at / BLOCK_BYTES] = undefined;
    return new Content(this.sizeBytes, pages);
  }

  slice(offset: number, lengthBytes: number): Buffer {
    const end = Math.min(offset + lengthBytes, this.sizeBytes);
    const parts: Buffer[] = [];
    for (let at = offset; at < end; ) {
      const start = blockFloor(at);
      const until = Math.min(end, start + BLOCK_BYTES);
      parts.push(this.page(start / BLOCK_BYTES).subarray(at - start, until - start));
      at = until;
    }
    return Buffer.concat(parts);
  }

  /** The first page that is not as in `bytes`, all of a file; undefined when none is. */
  firstDifference(bytes: Buffer): number | undefined {
    for (let index = 0; index < this.pageCount; index++) {
      const start = index * BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES, this.sizeBytes - start);
      const found = bytes.subarray(start, start + length);
      if (!this.page(index).subarray(0, length).equals(found)) return index;
    }
    return undefined;
  }
}
