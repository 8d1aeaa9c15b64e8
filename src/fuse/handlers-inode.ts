import type { Ino } from '../base/ids.ts';
import type { Attr, StatFs } from '../vfs/mod.ts';
import type { HandlerDeps, HandlerList } from './handlers.ts';
import { OPCODES } from './protocol.ts';
import type { AnswerOptions } from './replies.ts';
import { putAttrOut, putStatFs } from './wire.ts';
import { putStatx } from './wire-statx.ts';

const FORGET_ONE_BYTES = 16;

/** Requests about one inode as a whole, and about the file system. */
export function inodeHandlers({ vfs, request, replies, cache }: HandlerDeps): HandlerList {
  const attr: AnswerOptions<Attr> = {
    encode: (reply, at, value) => putAttrOut(reply, at, value, cache),
  };
  const statx: AnswerOptions<Attr> = {
    encode: (reply, at, value) => putStatx(reply, at, value, cache),
  };
  const statFs: AnswerOptions<StatFs> = { encode: putStatFs };
  const bytes: AnswerOptions<Buffer> = {
    encode: (reply, at, value) => value.copy(reply, at),
  };
  return [
    [
      OPCODES.GETATTR,
      () => replies.answer(request, vfs.getattr(request.ino, request.context), attr),
    ],
    // Linux 6.6, when somebody asks for the time of birth.
    [
      OPCODES.STATX,
      () => replies.answer(request, vfs.getattr(request.ino, request.context), statx),
    ],
    [
      OPCODES.SETATTR,
      () => {
        const { context, ino } = request;
        replies.answer(request, vfs.setattr(context, ino, request.attrChange()), attr);
      },
    ],
    [
      OPCODES.READLINK,
      () => {
        replies.answer(request, vfs.readlink(request.ino), bytes);
        vfs.accessed(request.ino);
      },
    ],
    [OPCODES.STATFS, () => replies.answer(request, vfs.statfs(request.ino), statFs)],
    [
      OPCODES.BATCH_FORGET,
      () => {
        const count = request.u32(40);
        for (let i = 0; i < count; i++) {
          const at = 48 + i * FORGET_ONE_BYTES;
          vfs.forget(request.u64(at) as Ino, request.u64(at + 8));
        }
      },
    ],
  ];
}
