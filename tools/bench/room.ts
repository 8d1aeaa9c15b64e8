import { readFileSync, statfsSync } from 'node:fs';
import { DfsError } from '../../src/base/errors.ts';
import { GIB } from '../../src/base/limits.ts';
import { formatBytes } from '../dfsctl/format.ts';
import type { Sizes } from './work.ts';

/** f_type of tmpfs: what lies there takes memory that everything else on the machine needs. */
const TMPFS = 0x0102_1994;
/** Works that write a whole stream, works on pages, and everything else together. */
const STREAM_WORKS = 4;
const PAGE_WORKS = 3;
const REST_BYTES: number = 2 * GIB;
const SHARE_OF_MEMORY_MAX = 0.5;

/** Bytes a bench may take: chunks of deleted files stay on the disks, and the cache fills up. */
export function bytesNeeded(sizes: Sizes, options: { rounds: number; copies: number }): number {
  const { streamBytes, randomBytes, commitBytes } = sizes;
  const round = STREAM_WORKS * streamBytes + PAGE_WORKS * randomBytes * 2 + commitBytes;
  const cached = 2 * round;
  return options.rounds * round * options.copies + cached + REST_BYTES;
}

/** NO_SPACE unless `folder` has room for `bytes`, and on tmpfs the memory has, twice. */
export function checkRoom(folder: string, bytes: number): void {
  const { bavail, bsize, type } = statfsSync(folder);
  const free = bavail * bsize;
  const memory = type === TMPFS ? availableMemory() * SHARE_OF_MEMORY_MAX : Number.MAX_SAFE_INTEGER;
  const room = Math.min(free, memory);
  if (bytes <= room) return;
  const state = `it may take ${formatBytes(bytes)}, and there is room for ${formatBytes(room)}`;
  const hint = 'give another --dir, fewer --rounds, or --quick';
  throw new DfsError('NO_SPACE', `Cannot bench in ${folder}: ${state}; ${hint}`);
}

function availableMemory(): number {
  const match = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  return Number(match?.[1] ?? 0) * 1024;
}
