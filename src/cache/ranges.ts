import { readSync, writeSync } from 'node:fs';
import { assert } from '../base/errors.ts';
import type { Interval } from '../base/interval-set.ts';
import { MIB } from '../base/limits.ts';
import { seekData, seekHole } from '../base/os/mod.ts';

const COPY_BYTES: number = MIB;

/**
 * The ranges of a sparse file that are allocated, as its file system tells (SEEK_DATA, SEEK_HOLE).
 */
export function* allocatedRanges(fd: number): Generator<Interval, undefined> {
  let at = 0;
  for (;;) {
    const start = seekData(fd, at);
    if (start < 0) return undefined;
    const end = seekHole(fd, start);
    assert(end > start, `descriptor ${fd} has data at ${start} and a hole at ${end}`);
    yield { start, end };
    at = end;
  }
}

/** Copies bytes [start, end) of `source` to the same offsets of `target`. */
export function preserve(source: number, target: number, start: number, end: number): void {
  const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, end - start));
  for (let at = start; at < end; ) {
    const count = readSync(source, buffer, 0, Math.min(buffer.length, end - at), at);
    if (count === 0) return; // Beyond the end of the file there is nothing to keep.
    let written = 0;
    while (written < count) {
      written += writeSync(target, buffer, written, count - written, at + written);
    }
    at += count;
  }
}
