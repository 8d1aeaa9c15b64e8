import type { NegativeErrno } from '../base/errno.ts';
import { ENOENT } from '../base/errno.ts';
import type { Ino } from '../base/ids.ts';
import type { Attr, OpenResult } from '../vfs/mod.ts';
import type { HandlerDeps, HandlerList } from './handlers.ts';
import { OPCODES } from './protocol.ts';
import type { AnswerOptions } from './replies.ts';
import { putEntry, putNoEntry, putOpen } from './wire.ts';

type Created = { attr: Attr; open: OpenResult };

/**
 * Requests about names in folders. The header's inode is the folder, but LINK has it as the new
 * one.
 */
export function nameHandlers(deps: HandlerDeps): HandlerList {
  const { vfs, request, replies, cache } = deps;
  const entry: AnswerOptions<Attr> = {
    encode: (reply, at, attr) => putEntry(reply, at, attr, cache),
    // The kernel counts a lookup for each entry that arrives; one that does not is taken back.
    undo: (attr) => vfs.forget(attr.ino, 1),
  };
  const done: AnswerOptions<0> = { encode: () => 0 };
  const rename = (namesAt: number, flags: number): void => {
    const name = request.name(namesAt);
    const newName = request.name(namesAt + name.length + 1);
    const newParent = request.u64(40) as Ino;
    const { context, ino } = request;
    replies.answer(request, vfs.rename(context, ino, name, newParent, newName, flags), done);
  };
  return [
    [OPCODES.LOOKUP, createLookup(deps, entry)],
    [
      OPCODES.SYMLINK,
      () => {
        const name = request.name(40);
        const target = request.name(40 + name.length + 1);
        replies.answer(request, vfs.symlink(request.context, request.ino, name, target), entry);
      },
    ],
    [
      OPCODES.MKNOD,
      () => {
        const [mode, rdev, name] = [request.u32(40), request.u32(44), request.name(56)];
        const result = vfs.mknod(request.masked(48), request.ino, name, mode, rdev);
        replies.answer(request, result, entry);
      },
    ],
    [
      OPCODES.MKDIR,
      () => {
        const context = request.masked(44);
        const result = vfs.mkdir(context, request.ino, request.name(48), request.u32(40));
        replies.answer(request, result, entry);
      },
    ],
    [
      OPCODES.UNLINK,
      () => {
        replies.answer(request, vfs.unlink(request.context, request.ino, request.name(40)), done);
      },
    ],
    [
      OPCODES.RMDIR,
      () =>
        replies.answer(request, vfs.rmdir(request.context, request.ino, request.name(40)), done),
    ],
    [OPCODES.RENAME, () => rename(48, 0)],
    [OPCODES.RENAME2, () => rename(56, request.u32(48))],
    [
      OPCODES.LINK,
      () => {
        const { context, ino: newParent } = request;
        const result = vfs.link(context, request.u64(40) as Ino, newParent, request.name(48));
        replies.answer(request, result, entry);
      },
    ],
    ...openingHandlers(deps),
  ];
}

/**
 * A name that does not exist is an answer of its own, which the kernel remembers: inode 0 and how
 * long.
 */
function createLookup(deps: HandlerDeps, entry: AnswerOptions<Attr>): () => void {
  const { vfs, request, replies, cache } = deps;
  const negative = cache.negative > 0;
  const absent = (result: Attr | NegativeErrno): Attr | NegativeErrno | undefined =>
    result === -ENOENT ? undefined : result;
  const known: AnswerOptions<Attr | undefined> = {
    encode: (reply, at, attr) =>
      attr === undefined ? putNoEntry(reply, at, cache.negative) : putEntry(reply, at, attr, cache),
    undo: (attr) => {
      if (attr !== undefined) vfs.forget(attr.ino, 1);
    },
  };
  return () => {
    const result = vfs.lookup(request.ino, request.name(40));
    if (!negative) replies.answer(request, result, entry);
    else if (result instanceof Promise) replies.answer(request, result.then(absent), known);
    else replies.answer(request, absent(result), known);
  };
}

/**
 * Requests that make a file and open it. FUSE_OPEN_KILL_SUIDGID (with O_TRUNC) concerns a file that
 * exists already. This kernel knows every name, so a CREATE of an existing one does not come; and a
 * new file keeps the mode it is created with.
 */
function openingHandlers({ vfs, request, replies, cache }: HandlerDeps): HandlerList {
  const created: AnswerOptions<Created> = {
    encode: (reply, at, { attr, open }) => {
      const bytes = putEntry(reply, at, attr, cache);
      return bytes + putOpen(reply, at + bytes, open);
    },
    undo: ({ attr, open }) => {
      vfs.release(request.context, attr.ino, open.handle ?? 0);
      vfs.forget(attr.ino, 1);
    },
  };
  return [
    [
      OPCODES.CREATE,
      () => {
        const [flags, mode, name] = [request.u32(40), request.u32(44), request.name(56)];
        const result = vfs.create(request.masked(48), request.ino, name, mode, flags);
        replies.answer(request, result, created);
      },
    ],
    [
      OPCODES.TMPFILE,
      () => {
        const [flags, mode] = [request.u32(40), request.u32(44)];
        const result = vfs.tmpfile(request.masked(48), request.ino, mode, flags);
        replies.answer(request, result, created);
      },
    ],
  ];
}
