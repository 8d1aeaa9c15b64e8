import { EIO, ENOSYS } from '../base/errno.ts';
import type { Vfs } from '../vfs/mod.ts';
import type { Counters } from './counters.ts';
import { commitHandlers } from './handlers-commit.ts';
import { dataHandlers } from './handlers-data.ts';
import { directoryHandlers } from './handlers-directory.ts';
import { inodeHandlers } from './handlers-inode.ts';
import { nameHandlers } from './handlers-name.ts';
import { xattrHandlers } from './handlers-xattr.ts';
import { OPCODE_COUNT, OPCODES } from './protocol.ts';
import type { Replies } from './replies.ts';
import type { RequestView } from './request.ts';
import type { CacheSeconds } from './wire.ts';

/** What handlers work with. One request at a time: the view changes when a handler has returned. */
export interface HandlerDeps {
  vfs: Vfs;
  request: RequestView;
  replies: Replies;
  cache: CacheSeconds;
  counters: Counters;
  /** Whether INIT agreed on a flag of its first word. */
  hasFlag: (flag: number) => boolean;
  /** Whether the kernel may keep listings of folders, and takes ENOSYS to OPENDIR for that. */
  keepsListings: () => boolean;
}

/**
 * Handles the request in the view: answers it, or hands a promise of the answer to {@link Replies}.
 */
export type Handler = () => void;
export type HandlerList = [opcode: number, handler: Handler][];

/** One handler an opcode; the index is the opcode. Whatever is not known answers ENOSYS. */
export function createHandlers(deps: HandlerDeps): Handler[] {
  const { replies, request } = deps;
  const unknown = (): void => replies.status(request, -ENOSYS);
  const table: Handler[] = Array.from({ length: OPCODE_COUNT }, () => unknown);
  const lists = [
    refusals(deps),
    nameHandlers(deps),
    inodeHandlers(deps),
    dataHandlers(deps),
    commitHandlers(deps),
    directoryHandlers(deps),
    xattrHandlers(deps),
  ];
  for (const [opcode, handler] of lists.flat()) table[opcode] = handler;
  return table;
}

/**
 * What is refused, and what the kernel makes of it.
 * - ENOSYS by the table: POLL (always ready, as regular files are), BMAP (no block list), GETLK, SETLK, SETLKW (not sent:
 *   locks are the kernel's), ACCESS (not sent with default_permissions), SETUPMAPPING,
 *   REMOVEMAPPING (DAX only).
 */
function refusals({ request, replies, vfs }: HandlerDeps): HandlerList {
  return [
    // Sent to block device mounts only, before the device is closed.
    [OPCODES.DESTROY, () => replies.status(request, 0)],
    // The server takes INIT; as a request like any other it makes no sense.
    [OPCODES.INIT, () => replies.status(request, -EIO)],
    // The reply to a NOTIFY_RETRIEVE, which we do not send; it takes no answer.
    [OPCODES.NOTIFY_REPLY, () => undefined],
    [OPCODES.INTERRUPT, () => replies.interrupt(request.u64(40))],
    [OPCODES.FORGET, () => vfs.forget(request.ino, request.u64(40))],
  ];
}
