import { readFileSync } from 'node:fs';

/**
 * Signals whose default does not end a process: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH
 * (signal(7)).
 */
const HARMLESS: bigint = [17, 18, 19, 20, 21, 22, 23, 28].reduce((mask, n) => mask | bit(n), 0n);

function bit(signal: number): bigint {
  return 1n << BigInt(signal - 1);
}

/**
 * True when a signal that will end the thread `tid` waits for it to leave the kernel.
 * FUSE_INTERRUPT comes for every signal, a handled timer or child included; a local file system's
 * fsync ends early only for a fatal one, and programs (PostgreSQL) take EINTR from fsync for lost
 * data. So the driver looks before it answers EINTR.
 */
export function isDying(tid: number): boolean {
  // The kernel sends 0 for a process outside of the pid namespace of the mount.
  if (tid === 0) return false;
  try {
    return hasFatalSignal(readFileSync(`/proc/${tid}/status`, 'latin1'));
  } catch {
    return true;
  }
}

/** As {@link isDying}, from the text of /proc/TID/status. */
export function hasFatalSignal(status: string): boolean {
  const pending = mask(status, 'SigPnd') | mask(status, 'ShdPnd');
  const spared =
    mask(status, 'SigBlk') | mask(status, 'SigIgn') | mask(status, 'SigCgt') | HARMLESS;
  return (pending & ~spared) !== 0n;
}

function mask(status: string, field: string): bigint {
  const digits = new RegExp(`^${field}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
  return digits === undefined ? 0n : BigInt(`0x${digits}`);
}
