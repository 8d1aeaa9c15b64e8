/**
 * Loaded into a daemon (node --import), stands for a failing device: while the file DFS_FAIL exists,
 * the disks in the folders that it names, one a line, fail their syncs, of pieces and of the log, and
 * cannot be opened.
 */
import { existsSync, readFileSync } from 'node:fs';
import { DfsError } from '../../src/base/errors.ts';
import { BucketDisk } from '../../src/bucket/mod.ts';
import { DiskLog } from '../../src/meta/mod.ts';

const path = process.env.DFS_FAIL ?? '';

type Method = (this: { folder: string }, ...args: unknown[]) => unknown;

function fails(folder: string): boolean {
  return (
    existsSync(path) &&
    readFileSync(path, 'utf8')
      .split('\n')
      .some((disk) => folder.startsWith(disk))
  );
}

/** Lets `name` fail for the disk whose turn it is. */
function failing(prototype: object, name: string): void {
  const methods = prototype as Record<string, Method>;
  const original = methods[name];
  if (original === undefined) throw new Error(`Cannot fail ${name}: there is no such method`);
  methods[name] = async function (...args: unknown[]): Promise<unknown> {
    if (fails(this.folder))
      throw new DfsError('IO', `Cannot sync ${this.folder}: EIO: i/o error, fdatasync`);
    return await original.apply(this, args);
  };
}

if (path !== '') {
  failing(BucketDisk.prototype, 'sync');
  failing(DiskLog.prototype, 'appendSynced');
  const open = BucketDisk.open.bind(BucketDisk);
  BucketDisk.open = async (options) => {
    if (fails(options.folder)) throw new DfsError('IO', `Cannot open ${options.folder}: EIO`);
    return await open(options);
  };
}
