/**
 * Loaded into a daemon (node --import), makes it die by SIGKILL between a mutation and its answer,
 * the one moment that a kill from outside hardly ever hits. DFS_DIE_AFTER has, for each daemon in
 * turn, how many mutations it answers; those behind the last number live. The file DFS_LIVES grows
 * by a byte a daemon that mutates.
 */
import { appendFileSync, statSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { FileSystem } from '../../src/vfs/mod.ts';

const MUTATIONS = [
  'symlink',
  'mknod',
  'mkdir',
  'unlink',
  'rmdir',
  'rename',
  'link',
  'create',
  'setxattr',
  'removexattr',
  'setattr',
  'write',
] as const;

const lives = process.env.DFS_LIVES ?? '';
const schedule = (process.env.DFS_DIE_AFTER ?? '').split(',').map(Number);
let left: number | undefined;

function bornNow(): number {
  const life = statSync(lives, { throwIfNoEntry: false })?.size ?? 0;
  appendFileSync(lives, '.');
  return schedule[life] ?? Number.POSITIVE_INFINITY;
}

function mutated(): void {
  left ??= bornNow();
  if (left-- <= 0) process.kill(process.pid, 'SIGKILL');
}

type Method = (...args: unknown[]) => unknown;

function wrap(methods: Record<string, Method>, name: string): void {
  const original = methods[name];
  if (original === undefined) throw new Error(`Cannot wrap ${name}: there is no such method`);
  methods[name] = function (this: unknown, ...args: unknown[]): unknown {
    const result = original.apply(this, args);
    const isDone = typeof result === 'number' ? result >= 0 : !(result instanceof Promise);
    if (isDone) mutated();
    return result;
  };
}

if (isMainThread && lives !== '') {
  for (const name of MUTATIONS) {
    wrap(FileSystem.prototype as unknown as Record<string, Method>, name);
  }
}
