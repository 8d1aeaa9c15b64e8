/**
 * Loaded into a daemon (node --import), stands for slow devices: while the file DFS_HOLD exists,
 * disks neither read nor write, and no cache file is synced.
 */
import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import { FileCache } from '../../src/cache/mod.ts';
import { StoreClient } from '../../src/node/store-client.ts';

const LOOK_MS = 10;
const hold = process.env.DFS_HOLD ?? '';

type Method = (...args: unknown[]) => unknown;

/** Lets what `name` does begin when nothing is held. */
function slow(prototype: object, name: string): void {
  const methods = prototype as Record<string, Method>;
  const original = methods[name];
  if (original === undefined) throw new Error(`Cannot slow ${name}: there is no such method`);
  methods[name] = async function (this: unknown, ...args: unknown[]): Promise<unknown> {
    while (existsSync(hold)) await pause(LOOK_MS);
    return await original.apply(this, args);
  };
}

if (isMainThread && hold !== '') {
  slow(StoreClient.prototype, 'fetch');
  slow(StoreClient.prototype, 'store');
  slow(StoreClient.prototype, 'publish');
  slow(StoreClient.prototype, 'commitSmall');
  slow(FileCache.prototype, 'sync');
}
