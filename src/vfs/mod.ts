/**
 * POSIX semantics on inodes: names, links, attributes, orphans, what a mutation may do. It
 * implements the interface the FUSE driver calls, on the metadata and the cache.
 */
export type { FileSystemOptions } from './file-system.ts';
export { FileSystem } from './file-system.ts';
export type { Mode } from './modes.ts';
export type {
  Attr,
  AttrChange,
  Backing,
  CopyRange,
  EntryPlusSink,
  EntrySink,
  Kernel,
  OpenResult,
  RequestContext,
  StatFs,
  Vfs,
} from './vfs-interface.ts';
export type { Durability } from './waits.ts';
