import { type FileHandle, open } from 'node:fs/promises';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import { DfsError } from '../base/errors.ts';
import { MIB } from '../base/limits.ts';
import { ioError } from '../base/publish.ts';

/** What is read ahead, and the most that {@link LogWindow.view} gives at once. */
export const WINDOW_BYTES: number = MIB;

/** A file read forwards in big steps, so that small records do not cost a system call each. */
export class LogWindow {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #handle: FileHandle;
  readonly #buffer: Buffer = Buffer.allocUnsafe(WINDOW_BYTES);
  #start = 0;
  #length = 0;

  private constructor(path: string, sizeBytes: number, handle: FileHandle) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.#handle = handle;
  }

  /** Opens a file; what lies behind `sizeBytes`, its present end when absent, is not looked at. */
  static async open(path: string, sizeBytes?: number): Promise<LogWindow> {
    try {
      const handle = await open(path, 'r');
      const size = sizeBytes ?? (await handle.stat()).size;
      return new LogWindow(path, size, handle);
    } catch (error) {
      throw ioError(`Cannot open ${path}`, error);
    }
  }

  /** Up to `length` bytes at `offset`, fewer only at the end; valid until the next call. */
  async view(offset: number, length: number): Promise<Buffer> {
    const wanted = Math.min(length, WINDOW_BYTES, this.sizeBytes - offset);
    const inside = offset >= this.#start && offset + wanted <= this.#start + this.#length;
    if (!inside) {
      const filled = Math.min(WINDOW_BYTES, this.sizeBytes - offset);
      this.#length = 0;
      await this.#fill(this.#buffer.subarray(0, filled), offset);
      this.#start = offset;
      this.#length = filled;
    }
    const at = offset - this.#start;
    return this.#buffer.subarray(at, at + wanted);
  }

  /** A buffer of its own with exactly the bytes asked for, which must be there. */
  async read(offset: number, length: number): Promise<Buffer> {
    if (length <= WINDOW_BYTES) return Buffer.from(await this.view(offset, length));
    const bytes = Buffer.allocUnsafe(length);
    await this.#fill(bytes, offset);
    return bytes;
  }

  /** BLAKE3 of a range, without holding it in memory. */
  async hash(offset: number, length: number): Promise<Buffer> {
    const hasher = new Blake3Hasher();
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const bytes = await this.view(at, Math.min(WINDOW_BYTES, end - at));
      hasher.update(bytes);
      at += bytes.length;
    }
    return hasher.digestBuffer();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #fill(target: Buffer, offset: number): Promise<void> {
    let done = 0;
    while (done < target.length) {
      let bytesRead = 0;
      try {
        const left = target.length - done;
        ({ bytesRead } = await this.#handle.read(target, done, left, offset + done));
      } catch (error) {
        throw ioError(`Cannot read ${this.path} at byte ${offset + done}`, error);
      }
      if (bytesRead === 0) {
        const state = `it ends at byte ${offset + done}, ${this.sizeBytes} were there before`;
        throw new DfsError('IO', `Cannot read ${this.path}: ${state}`);
      }
      done += bytesRead;
    }
  }
}
