/**
 * Loaded into a daemon (node --import), stands for a failing device: while the file DFS_FAIL exists,
 * the disk in the folder that it names fails its syncs, of pieces and of the log.
 */
import { existsSync, readFileSync } from 'node:fs';
import { DfsError } from '../../src/base/errors.ts';
import { BucketDisk } from '../../src/bucket/mod.ts';
import { DiskLog } from '../../src/meta/mod.ts';

const path = process.env.DFS_FAIL ?? '';

type Method = (this: { folder: string }, ...args: unknown[]) => unknown;

/** Lets `name` fail for the disk whose turn it is. */
function failing(prototype: object, name: string): void {
  const methods = prototype as Record<string, Method>;
  const original = methods[name];
  if (original === undefined) throw new Error(`Cannot fail ${name}: there is no such method`);
  methods[name] = async function (...args: unknown[]): Promise<unknown> {
    const fails = existsSync(path) && this.folder.startsWith(readFileSync(path, 'utf8'));
    if (fails) throw new DfsError('IO', `Cannot sync ${this.folder}: EIO: i/o error, fdatasync`);
    return await original.apply(this, args);
  };
}

if (path !== '') {
  failing(BucketDisk.prototype, 'sync');
  failing(DiskLog.prototype, 'appendSynced');
}
