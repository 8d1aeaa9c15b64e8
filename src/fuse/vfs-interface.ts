export type {
  Attr,
  AttrChange,
  EntryPlusSink,
  EntrySink,
  OpenResult,
  RequestContext,
  StatFs,
  Vfs,
} from '../vfs/vfs-interface.ts';
