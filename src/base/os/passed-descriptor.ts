import { callError, lastErrno, libc, retryInterrupted } from './libc.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;

// struct cmsghdr of 64-bit Linux, and one descriptor behind it:
// OFFSET SIZE FIELD
//      0    8 length of header and descriptor
//      8    4 level
//     12    4 type
//     16    4 descriptor
//     20    4 unused, for the alignment
const CONTROL_BYTES = 24;
const CONTROL_LENGTH = 20;

/** Two connected unix sockets, closed in programs that are started unless they are handed on. */
export function socketPair(): [number, number] {
  const pair = Buffer.alloc(8);
  if (libc().socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
    throw callError('make a pair of sockets', 'socketpair', lastErrno());
  }
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
}

/**
 * Receives one message with a descriptor from a unix socket (SCM_RIGHTS, unix(7)), and waits for
 * it: undefined when the other side closes the socket or sends none.
 */
export function receiveDescriptor(socket: number): number | undefined {
  const control = Buffer.alloc(CONTROL_BYTES);
  const part = { base: Buffer.alloc(1), bytes: 1 };
  const message = {
    name: null,
    nameBytes: 0,
    parts: part,
    partCount: 1,
    control,
    controlBytes: CONTROL_BYTES,
    flags: 0,
  };
  const { recvmsg } = libc();
  const count = retryInterrupted(() => recvmsg(socket, message, MSG_CMSG_CLOEXEC));
  if (count < 0) throw callError('receive a descriptor', 'recvmsg', -count);
  if (count === 0 || Number(control.readBigUInt64LE(0)) !== CONTROL_LENGTH) return undefined;
  if (control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS) {
    return undefined;
  }
  return control.readInt32LE(16);
}
