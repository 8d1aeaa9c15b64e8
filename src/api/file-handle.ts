import { MIB } from '../base/limits.ts';
import { bytesOfView, type Content, partOf, piecesOf, positionOf, type Span } from './content.ts';
import { must } from './errors.ts';
import { InodeHandle } from './inode-handle.ts';
import { Turns } from './turns.ts';

type View = NodeJS.ArrayBufferView;

/** What to read and into what; a new buffer of 16 KiB where none is given. */
export interface ReadOptions<T extends View> extends Span {
  buffer?: T;
}

const READ_BYTES: number = 16 * 1024;
/** readFile() asks for so much more when the file has grown meanwhile. */
const GROWN_BYTES: number = MIB;

/**
 * An open file or folder of a volume, with the calls of FileHandle in node:fs/promises, and
 * commit(). Calls may run at the same time; those that go by the current position go one after the
 * other.
 */
export class FileHandle extends InodeHandle {
  readonly #turns = new Turns<'position'>();
  #position = 0;

  /** Reads at a position, or at the current one and moves it: 0 bytes at the end of the file. */
  read<T extends View>(
    buffer: T,
    offset?: number | null,
    length?: number | null,
    position?: number | bigint | null,
  ): Promise<{ bytesRead: number; buffer: T }>;
  read<T extends View>(buffer: T, options: Span): Promise<{ bytesRead: number; buffer: T }>;
  read<T extends View = Buffer>(
    options?: ReadOptions<T>,
  ): Promise<{ bytesRead: number; buffer: T }>;
  async read(
    first: View | ReadOptions<View> = {},
    second?: number | null | Span,
    length?: number | null,
    position?: number | bigint | null,
  ): Promise<{ bytesRead: number; buffer: View }> {
    const isView = ArrayBuffer.isView(first);
    const buffer = isView ? first : (first.buffer ?? Buffer.alloc(READ_BYTES));
    const span = isView ? spanOf(second, length, position) : first;
    const part = partOf(buffer, span);
    return { bytesRead: await this.#read(part, positionOf(span.position)), buffer };
  }

  /** Reads into several buffers, one after the other. */
  async readv<T extends readonly View[]>(
    buffers: T,
    position?: number | null,
  ): Promise<{ bytesRead: number; buffers: T }> {
    const all = Buffer.alloc(buffers.reduce((sum, { byteLength }) => sum + byteLength, 0));
    const bytesRead = await this.#read(all, positionOf(position));
    let at = 0;
    for (const buffer of buffers) {
      all.copy(bytesOfView(buffer), 0, at, Math.min(bytesRead, at + buffer.byteLength));
      at = Math.min(bytesRead, at + buffer.byteLength);
    }
    return { bytesRead, buffers };
  }

  #read(into: Buffer, position: number | undefined): Promise<number> {
    return this.call('read', () =>
      this.#from(position, async (offset) => {
        const count = must(await this.file.read(into, offset), { syscall: 'read' });
        return { result: count, end: offset + count };
      }),
    );
  }

  /**
   * Writes at a position, or at the current one and moves it; at the end of the file if it was
   * opened to append. Less than all when there is no more room.
   */
  write<T extends View>(
    buffer: T,
    offset?: number | null,
    length?: number | null,
    position?: number | null,
  ): Promise<{ bytesWritten: number; buffer: T }>;
  write<T extends View>(buffer: T, options: Span): Promise<{ bytesWritten: number; buffer: T }>;
  write(
    text: string,
    position?: number | null,
    encoding?: BufferEncoding | null,
  ): Promise<{ bytesWritten: number; buffer: string }>;
  async write(
    data: View | string,
    second?: number | null | Span,
    third?: number | string | null,
    position?: number | null,
  ): Promise<{ bytesWritten: number; buffer: View | string }> {
    if (typeof data === 'string') {
      const bytes = Buffer.from(data, (third ?? 'utf8') as BufferEncoding);
      const at = positionOf(second as number | null | undefined);
      return { bytesWritten: await this.#write(bytes, at), buffer: data };
    }
    const span = spanOf(second, third as number | null | undefined, position);
    const part = partOf(data, span);
    return { bytesWritten: await this.#write(part, positionOf(span.position)), buffer: data };
  }

  /** Writes several buffers, one behind the other. */
  async writev<T extends readonly View[]>(
    buffers: T,
    position?: number | null,
  ): Promise<{ bytesWritten: number; buffers: T }> {
    const all = Buffer.concat(buffers.map(bytesOfView));
    return { bytesWritten: await this.#write(all, positionOf(position)), buffers };
  }

  #write(data: Buffer, position: number | undefined): Promise<number> {
    return this.call('write', () =>
      this.#from(position, async (offset) => {
        const { count, end } = await this.file.write(data, offset);
        return { result: must(count, { syscall: 'write' }), end };
      }),
    );
  }

  /** Writes all of `content` behind the end of the file, wherever the current position is. */
  async append(content: Content, encoding?: BufferEncoding): Promise<void> {
    await this.call('write', async () => {
      for await (const piece of piecesOf(content, encoding)) await this.#writeAll(piece, 'end');
    });
  }

  /** From the current position to the end of the file. */
  readFile(): Promise<Buffer>;
  readFile(options: BufferEncoding | { encoding: BufferEncoding }): Promise<string>;
  readFile(options?: { encoding?: null }): Promise<Buffer>;
  async readFile(
    options?: BufferEncoding | { encoding?: BufferEncoding | null },
  ): Promise<Buffer | string> {
    const encoding = typeof options === 'string' ? options : options?.encoding;
    const bytes = await this.call('read', () =>
      this.#from(undefined, async (offset) => {
        const result = await this.#readToEnd(offset);
        return { result, end: offset + result.length };
      }),
    );
    return encoding === undefined || encoding === null ? bytes : bytes.toString(encoding);
  }

  async #readToEnd(offset: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let length = Math.max(0, this.file.sizeBytes - offset) + 1;
    for (let at = offset; ; length = GROWN_BYTES) {
      const part = Buffer.allocUnsafe(length);
      const count = must(await this.file.read(part, at), { syscall: 'read' });
      parts.push(part.subarray(0, count));
      at += count;
      if (count < length)
        return parts.length === 1 ? part.subarray(0, count) : Buffer.concat(parts);
    }
  }

  /** Writes all of `content` from the current position on; cuts nothing off. */
  async writeFile(
    content: Content,
    options?: BufferEncoding | { encoding?: BufferEncoding | null },
  ): Promise<void> {
    const encoding = (typeof options === 'string' ? options : options?.encoding) ?? undefined;
    await this.call('write', () =>
      this.#from(undefined, async (offset) => {
        let end = offset;
        for await (const piece of piecesOf(content, encoding)) {
          end = await this.#writeAll(piece, end);
        }
        return { result: undefined, end };
      }),
    );
  }

  /** As {@link writeFile}, as in node: at the end of the file if it was opened to append. */
  appendFile(
    content: Content,
    options?: BufferEncoding | { encoding?: BufferEncoding | null },
  ): Promise<void> {
    return this.writeFile(content, options);
  }

  async #writeAll(data: Buffer, at: number | 'end'): Promise<number> {
    let end = at;
    for (let done = 0; done < data.length; ) {
      const written = await this.file.write(data.subarray(done), end);
      done += must(written.count, { syscall: 'write' });
      end = at === 'end' ? at : written.end;
    }
    return end === 'end' ? 0 : end;
  }

  /** Runs what goes by a position: the current one in its turn, which it moves to `end`. */
  async #from<T>(
    position: number | undefined,
    action: (offset: number) => Promise<{ result: T; end: number }>,
  ): Promise<T> {
    if (position !== undefined) return (await action(position)).result;
    return this.#turns.run('position', async () => {
      const { result, end } = await action(this.#position);
      this.#position = end;
      return result;
    });
  }
}

function spanOf(
  second: number | null | undefined | Span,
  length: number | null | undefined,
  position: number | bigint | null | undefined,
): Span {
  if (typeof second === 'object' && second !== null) return second;
  return { offset: second, length, position };
}
