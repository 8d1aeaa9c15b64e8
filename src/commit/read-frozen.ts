import { readSync } from 'node:fs';
import { assert, DfsError } from '../base/errors.ts';
import type { ProgressCount } from './commit-progress.ts';
import type { CutSource, FrozenFile } from './cut-source.ts';
import { type Segment, segmentsOf } from './segments.ts';

const FILES_AT_ONCE = 100;

/**
 * The dirty bytes of a small cut, read in the turn of the event loop that made it, when they are
 * still in the cache files.
 */
export function readFrozen(
  cache: CutSource,
  count: ProgressCount,
): { segments: Segment[]; content: Buffer } {
  const found: { file: FrozenFile; segment: Segment }[] = [];
  let bytes = 0;
  for (;;) {
    const files = cache.frozen(FILES_AT_ONCE);
    if (files.length === 0) break;
    for (const file of files) {
      count.found(file);
      for (const segment of segmentsOf([file])) {
        found.push({ file, segment });
        bytes += segment.lengthBytes;
      }
    }
  }
  // Not of Node's pool: a message would take all of that along.
  const content = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const { file, segment } of found) {
    const { ino, offset, lengthBytes } = segment;
    readInto(content.subarray(at, at + lengthBytes), { file, offset });
    at += lengthBytes;
    // It was read: from now on it may change.
    const { saved } = cache.capture(ino, offset, offset + lengthBytes);
    assert(saved.length === 0, `inode ${ino} changed in the turn of its cut`);
  }
  return { segments: found.map(({ segment }) => segment), content };
}

/** Bytes from `offset` on; what lies behind the end of the file is zero. */
function readInto(content: Buffer, { file, offset }: { file: FrozenFile; offset: number }): void {
  const fd = file.descriptor();
  assert(fd !== undefined, `the frozen cache file ${file.path()} is gone`);
  let done = 0;
  try {
    while (done < content.length) {
      const count = readSync(fd, content, done, content.length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
  } catch (error) {
    throw new DfsError('IO', `Cannot read the frozen file ${file.path()}`, { cause: error });
  }
  content.fill(0, done);
}
