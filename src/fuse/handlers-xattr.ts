import type { NegativeErrno } from '../base/errno.ts';
import { ERANGE } from '../base/errno.ts';
import type { HandlerDeps, HandlerList } from './handlers.ts';
import { INIT_SETXATTR_EXT, OPCODES, SETXATTR_ACL_KILL_SGID } from './protocol.ts';
import type { AnswerOptions } from './replies.ts';

/** Requests about extended attributes. */
export function xattrHandlers(deps: HandlerDeps): HandlerList {
  const { vfs, request, replies } = deps;
  const isExtended = (): boolean => deps.hasFlag(INIT_SETXATTR_EXT);
  // Setting one of them waits for a commit.
  const done: AnswerOptions<0> = { encode: () => 0, interruptible: true };
  return [
    [
      OPCODES.SETXATTR,
      () => {
        const [size, flags] = [request.u32(40), request.u32(44)];
        // With SETXATTR_EXT the fixed part has 16 bytes, without it 8.
        const extended = isExtended();
        const killSgid = extended && (request.u32(48) & SETXATTR_ACL_KILL_SGID) !== 0;
        const nameAt = extended ? 56 : 48;
        const name = request.name(nameAt);
        const value = request.bytes(nameAt + name.length + 1, size);
        const { context, ino } = request;
        const change = { name, value, flags, killSgid };
        replies.answer(request, vfs.setxattr(context, ino, change), done);
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
        replies.answer(
          request,
          fitting(vfs.listxattr(request.context, request.ino), size),
          sized(size),
        );
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
