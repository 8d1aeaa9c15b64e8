/**
 * The write-back cache: one sparse file an inode holds what was read and written; it knows what is
 * dirty, keeps the bytes of a cut while it is being committed, and evicts what is clean.
 */
export type { Fetch, FetchRequest } from './fetcher.ts';
export type { FileCacheOptions } from './file-cache.ts';
export { FileCache } from './file-cache.ts';
export { cacheFile } from './layout.ts';
export type { CacheCounters } from './reader.ts';
