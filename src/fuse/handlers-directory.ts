import { ENOSYS, type NegativeErrno } from '../base/errno.ts';
import { EntryPacker, forEachLookup } from './entry-packer.ts';
import type { HandlerDeps, HandlerList } from './handlers.ts';
import {
  FSYNC_DATA_ONLY,
  O_NOATIME,
  OPCODES,
  READ_FLAGS_AT,
  REPLY_HEADER_BYTES,
} from './protocol.ts';
import type { AnswerOptions } from './replies.ts';
import { putOpen } from './wire.ts';

type Done = 0 | NegativeErrno | Promise<0 | NegativeErrno>;

/**
 * Requests about an open folder. Folders are opened and closed without the file system: it keeps no
 * state of them. So the first OPENDIR of a mount is answered with ENOSYS where the kernel takes
 * that (5.1 on) for "all folders open, without asking": no OPENDIR and RELEASEDIR come any more,
 * and the kernel keeps what it has listed until it changes the folder itself or is told of a
 * change. A walk of a tree it has seen makes no request at all.
 */
export function directoryHandlers(deps: HandlerDeps): HandlerList {
  const { vfs, request, replies, cache, keepsListings } = deps;
  const wait: AnswerOptions<0> = { encode: () => 0, interruptible: true };
  const newPacker = (): EntryPacker =>
    new EntryPacker({
      buffer: replies.buffer,
      start: REPLY_HEADER_BYTES,
      bytes: Math.min(request.u32(56), replies.buffer.length - REPLY_HEADER_BYTES),
      cache,
    });
  /**
   * Answers with what `packer` has when `result` is there; `undo` gets it back if the kernel does
   * not want it.
   */
  const answer = (packer: EntryPacker, result: Done, undo: () => void): void => {
    // What is packed later must not land in a buffer that other replies use by then.
    if (result instanceof Promise) packer.detach();
    const options: AnswerOptions<0> = {
      encode: (reply, at) => {
        if (result instanceof Promise) packer.packed().copy(reply, at);
        return packer.length;
      },
      undo,
    };
    replies.answer(request, result, options);
    const failed = typeof result === 'number' && result < 0;
    if (!failed && (request.u32(READ_FLAGS_AT) & O_NOATIME) === 0) vfs.accessed(request.ino);
  };
  return [
    [
      OPCODES.OPENDIR,
      () => {
        if (keepsListings()) {
          replies.status(request, -ENOSYS);
          return;
        }
        const bytes = putOpen(replies.buffer, REPLY_HEADER_BYTES, {
          keepCache: false,
          noFlush: false,
        });
        replies.send(request, bytes);
      },
    ],
    [OPCODES.RELEASEDIR, () => replies.status(request, 0)],
    [
      OPCODES.FSYNCDIR,
      () => {
        const dataOnly = (request.u32(48) & FSYNC_DATA_ONLY) !== 0;
        replies.answer(request, vfs.fsyncdir(request.ino, dataOnly), wait);
      },
    ],
    [
      OPCODES.READDIR,
      () => {
        const packer = newPacker();
        answer(packer, vfs.readdir(request.ino, request.u64(48), packer.sink), () => undefined);
      },
    ],
    [
      OPCODES.READDIRPLUS,
      () => {
        const packer = newPacker();
        const result = vfs.readdirplus(request.ino, request.u64(48), packer.sinkPlus);
        answer(packer, result, () => {
          forEachLookup(packer.packed(), (ino) => vfs.forget(ino, 1));
        });
      },
    ],
  ];
}
