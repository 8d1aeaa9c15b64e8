import { closeSync, openSync } from 'node:fs';
import { assert, DfsError } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import { CHUNK_BYTES_MAX } from '../base/limits.ts';
import { readFully } from '../base/read-fully.ts';
import type { CapturedRange } from './cut-source.ts';
import type { Segment } from './segments.ts';

/** A range of a frozen file whose bytes were read. */
export interface ReadRange {
  ino: Ino;
  start: number;
  end: number;
}

/** Asks the cache which bytes changed since the cut; see {@link CutSource.capture}. */
export type Capture = (ranges: ReadRange[]) => Promise<CapturedRange[]>;

/**
 * Reads frozen bytes while they may change: first the file, then, told what was overwritten
 * meanwhile, the saved bytes. What is overwritten after the question was saved before, so the
 * result is the cut whatever the order.
 */
export class CaptureReader {
  readonly #capture: Capture;
  /** Memory of batches that are done, to be used again. */
  readonly #free: Buffer[] = [];

  constructor(capture: Capture) {
    this.#capture = capture;
  }

  /** Calls `use` with the content of each segment; the memory is used again when it resolves. */
  async read<T>(segments: Segment[], use: (contents: Buffer[]) => Promise<T>): Promise<T> {
    const total = segments.reduce((sum, segment) => sum + segment.lengthBytes, 0);
    assert(total <= CHUNK_BYTES_MAX, `a batch of ${total} bytes`);
    // Shared: the threads of the disks write from it, without a copy.
    const memory = this.#free.pop() ?? Buffer.from(new SharedArrayBuffer(CHUNK_BYTES_MAX));
    const missing = new Set<Segment>();
    let at = 0;
    const contents = segments.map((segment) => {
      const content = memory.subarray(at, at + segment.lengthBytes);
      at += segment.lengthBytes;
      // The file may be gone from this path: then the answer names another, which is read again.
      const found = readRange(segment.path, content, segment.offset, 'may be missing');
      if (!found) missing.add(segment);
      return content;
    });
    const captured = await this.#capture(
      segments.map(({ ino, offset, lengthBytes }) => ({
        ino,
        start: offset,
        end: offset + lengthBytes,
      })),
    );
    for (const [index, segment] of segments.entries()) {
      const answer = captured[index];
      const content = contents[index];
      assert(answer !== undefined && content !== undefined, 'one answer for each segment');
      if (answer.path !== segment.path || missing.has(segment)) {
        readRange(answer.path, content, segment.offset, 'must exist');
      }
      for (const { start, end } of answer.saved) {
        const from = start - segment.offset;
        const to = Math.min(end - segment.offset, content.length);
        readRange(answer.savedPath, content.subarray(from, to), start, 'must exist');
      }
    }
    try {
      return await use(contents);
    } finally {
      this.#free.push(memory);
    }
  }
}

/**
 * Fills `content` from `offset` of the file on; what lies behind its end is zero. False for no
 * file.
 */
function readRange(
  path: string,
  content: Buffer,
  offset: number,
  presence: 'may be missing' | 'must exist',
): boolean {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && presence === 'may be missing') {
      return false;
    }
    throw new DfsError('IO', `Cannot read the frozen file ${path}`, { cause: error });
  }
  try {
    content.fill(0, readFully(fd, content, offset, path));
    return true;
  } finally {
    closeSync(fd);
  }
}
