import type { NegativeErrno } from '../base/errno.ts';
import { ERANGE } from '../base/errno.ts';
import type { HandlerDeps, HandlerList } from './handlers.ts';
import { OPCODES } from './protocol.ts';
import type { AnswerOptions } from './replies.ts';

/** Requests about extended attributes. */
export function xattrHandlers({ vfs, request, replies }: HandlerDeps): HandlerList {
  const done: AnswerOptions<0> = { encode: () => 0 };
  return [
    [
      OPCODES.SETXATTR,
      () => {
        // Without SETXATTR_EXT the fixed part is 8 bytes.
        const [size, flags, name] = [request.u32(40), request.u32(44), request.name(48)];
        const value = request.bytes(48 + name.length + 1, size);
        const { context, ino } = request;
        replies.answer(request, vfs.setxattr(context, ino, name, value, flags), done);
      },
    ],
    [
      OPCODES.GETXATTR,
      () => {
        const size = request.u32(40);
        const result = vfs.getxattr(request.ino, request.name(48));
        replies.answer(request, fitting(result, size), sized(size));
      },
    ],
    [
      OPCODES.LISTXATTR,
      () => {
        const size = request.u32(40);
        replies.answer(request, fitting(vfs.listxattr(request.ino), size), sized(size));
      },
    ],
    [
      OPCODES.REMOVEXATTR,
      () => {
        const { context, ino } = request;
        replies.answer(request, vfs.removexattr(context, ino, request.name(40)), done);
      },
    ],
  ];
}

type Value = Buffer | NegativeErrno;

/**
 * A value that is longer than the caller's buffer is ERANGE; a caller with size 0 only asks for the
 * length.
 */
function fitting(result: Value | Promise<Value>, size: number): Value | Promise<Value> {
  if (size === 0 || typeof result === 'number') return result;
  if (result instanceof Promise) return result.then((value) => fitting(value, size));
  return result.length > size ? -ERANGE : result;
}

function sized(size: number): AnswerOptions<Buffer> {
  return {
    encode: (reply, at, value) => {
      if (size > 0) return value.copy(reply, at);
      reply.writeUInt32LE(value.length, at);
      reply.writeUInt32LE(0, at + 4);
      return 8;
    },
  };
}
