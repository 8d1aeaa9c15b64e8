import type { Id, Operation, Outcome, SyncKind } from './operations.ts';

/** Something that carries operations out on a volume; each of them throws when one fails. */
export interface Executor {
  /** Resolves when `operation` is done, with what the inodes `touched` look like then. */
  run(operation: Operation, number: number, touched: readonly Id[]): Promise<Outcome>;
  sync(id: Id, how: SyncKind): Promise<void>;
  /** Resolves when all of before the call is committed. */
  commit(): Promise<void>;
}
