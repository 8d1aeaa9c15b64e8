import type { Ino } from '../base/ids.ts';
import type { OpenResult } from '../vfs/mod.ts';
import type { HandlerDeps, HandlerList } from './handlers.ts';
import {
  FSYNC_DATA_ONLY,
  O_DSYNC,
  O_NOATIME,
  OPCODES,
  READ_FLAGS_AT,
  REPLY_HEADER_BYTES,
  WRITE_CACHE,
  WRITE_HEADER_BYTES,
  WRITE_KILL_SUIDGID,
} from './protocol.ts';
import type { AnswerOptions } from './replies.ts';
import { putOpen, putU64 } from './wire.ts';

/** Requests about the content of a file. */
export function dataHandlers(deps: HandlerDeps): HandlerList {
  const { vfs, request, replies } = deps;
  const wait: AnswerOptions<0> = { encode: () => 0, interruptible: true };
  // A process that is killed closes its files as it ends, and is not interrupted any more.
  const close: AnswerOptions<0> = { ...wait, unannounced: true };
  const done: AnswerOptions<number> = { encode: () => 0 };
  const copied: AnswerOptions<number> = { encode: putWritten };
  const position: AnswerOptions<number> = {
    encode: (reply, at, value) => {
      putU64(reply, at, value);
      return 8;
    },
  };
  return [
    [OPCODES.OPEN, createOpen(deps)],
    [
      OPCODES.RELEASE,
      () => {
        vfs.release(request.context, request.ino, request.u64(40));
        replies.status(request, 0);
      },
    ],
    [OPCODES.READ, createRead(deps)],
    [OPCODES.WRITE, createWrite(deps)],
    [OPCODES.FLUSH, () => replies.answer(request, vfs.flush(request.ino), close)],
    [
      OPCODES.FSYNC,
      () => {
        const dataOnly = (request.u32(48) & FSYNC_DATA_ONLY) !== 0;
        replies.answer(request, vfs.fsync(request.ino, dataOnly), wait);
      },
    ],
    [
      OPCODES.FALLOCATE,
      () => {
        const [offset, lengthBytes, mode] = [request.u64(48), request.u64(56), request.u32(64)];
        const { context, ino } = request;
        replies.answer(request, vfs.fallocate(context, ino, { offset, lengthBytes, mode }), done);
      },
    ],
    [OPCODES.COPY_FILE_RANGE, createCopy(deps, copied)],
    [OPCODES.COPY_FILE_RANGE_64, createCopy(deps, position)],
    [
      OPCODES.LSEEK,
      () => {
        const { ino } = request;
        replies.answer(request, vfs.lseek(ino, request.u64(48), request.u32(56)), position);
      },
    ],
  ];
}

/**
 * FUSE_OPEN_KILL_SUIDGID does not come: it goes with O_TRUNC, which without ATOMIC_O_TRUNC is a
 * SETATTR.
 */
function createOpen({ vfs, request, replies }: HandlerDeps): () => void {
  return () => {
    const { context, ino } = request;
    const opened: AnswerOptions<OpenResult> = {
      encode: putOpen,
      undo: ({ handle = 0 }) => vfs.release(request.context, ino, handle),
    };
    replies.answer(request, vfs.open(context, ino, request.u32(40)), opened);
  };
}

/** struct fuse_write_out, the answer to WRITE and to the older COPY_FILE_RANGE. */
function putWritten(reply: Buffer, at: number, count: number): number {
  reply.writeUInt32LE(count, at);
  reply.writeUInt32LE(0, at + 4);
  return 8;
}

function createCopy(
  { vfs, request, replies }: HandlerDeps,
  copied: AnswerOptions<number>,
): () => void {
  return () => {
    const copy = {
      from: request.ino,
      fromOffset: request.u64(48),
      to: request.u64(56) as Ino,
      toOffset: request.u64(72),
      lengthBytes: request.u64(80),
    };
    replies.answer(request, vfs.copyRange(request.context, copy), copied);
  };
}

/** The file system reads straight into the reply. */
function createRead({ vfs, request, replies, counters }: HandlerDeps): () => void {
  return () => {
    const length = request.u32(56);
    const offset = request.u64(48);
    const result = vfs.read(request.ino, offset, length, replies.buffer, REPLY_HEADER_BYTES);
    if (typeof result !== 'number') {
      replies.answerBuffer(request, result);
    } else if (result < 0) {
      replies.status(request, result);
    } else {
      counters.payload(OPCODES.READ, result);
      replies.send(request, result);
    }
    const failed = typeof result === 'number' && result < 0;
    if (!failed && (request.u32(READ_FLAGS_AT) & O_NOATIME) === 0) vfs.accessed(request.ino);
  };
}

function createWrite({ vfs, request, replies, counters }: HandlerDeps): () => void {
  const written: AnswerOptions<number> = {
    encode: (reply, at, count) => {
      counters.payload(OPCODES.WRITE, count);
      return putWritten(reply, at, count);
    },
    cancel: (unique) => vfs.cancel(unique),
  };
  return () => {
    const data = request.bytes(WRITE_HEADER_BYTES, request.u32(56));
    const flags = request.u32(60);
    const kill = (flags & WRITE_KILL_SUIDGID) !== 0;
    const { context, ino } = request;
    const offset = request.u64(48);
    const isSync = (request.u32(READ_FLAGS_AT) & O_DSYNC) !== 0;
    const handle = request.u64(40);
    // Pages that are being written must not be waited for.
    if ((flags & WRITE_CACHE) !== 0 || (!isSync && handle === 0)) {
      replies.answer(request, vfs.write(context, ino, offset, data, kill), written);
      return;
    }
    const how = { killSuidGid: kill, handle, isSync };
    replies.answer(request, vfs.writeBy(context, ino, offset, data, how), written);
  };
}
