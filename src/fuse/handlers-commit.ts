import { ENOTTY } from '../base/errno.ts';
import type { HandlerDeps, HandlerList } from './handlers.ts';
import { IOC_COMMIT, OPCODES } from './protocol.ts';
import type { AnswerOptions } from './replies.ts';
import { putU64 } from './wire.ts';

/** struct fuse_ioctl_out. */
const IOCTL_OUT_BYTES = 16;
const EPOCH_BYTES = 8;

/**
 * Requests that wait for the whole volume. SYNCFS is for the kernel to send: up to Linux 6.18 it
 * does so to virtiofs and block device mounts, not to this one.
 */
export function commitHandlers({ vfs, request, replies }: HandlerDeps): HandlerList {
  const wait: AnswerOptions<0> = { encode: () => 0, interruptible: true };
  const epoch: AnswerOptions<number> = { encode: putIoctlEpoch, interruptible: true };
  return [
    [
      OPCODES.IOCTL,
      () => {
        if (request.u32(52) !== IOC_COMMIT) replies.status(request, -ENOTTY);
        else replies.answer(request, vfs.commit(request.ino), epoch);
      },
    ],
    [OPCODES.SYNCFS, () => replies.answer(request, vfs.syncfs(), wait)],
  ];
}

/** Result 0, and the epoch where the caller asked for it. */
function putIoctlEpoch(reply: Buffer, at: number, epoch: number): number {
  reply.fill(0, at, at + IOCTL_OUT_BYTES);
  putU64(reply, at + IOCTL_OUT_BYTES, epoch);
  return IOCTL_OUT_BYTES + EPOCH_BYTES;
}
