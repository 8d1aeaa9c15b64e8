import { readFileSync } from 'node:fs';

/**
 * Signals whose default does not end a process: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH
 * (signal(7)).
 */
const HARMLESS: bigint = [17, 18, 19, 20, 21, 22, 23, 28].reduce((mask, n) => mask | bit(n), 0n);

/** Of /proc/TID/stat (proc(5)), counted from the third field. */
const FLAGS_FIELD = 6;
const EXIT_CODE_FIELD = 49;
const PF_EXITING = 0x4;
const EXIT_SIGNAL_MASK = 0x7f;

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
    if (hasFatalSignal(readFileSync(`/proc/${tid}/status`, 'latin1'))) return true;
    return isKilled(readFileSync(`/proc/${tid}/stat`, 'latin1'));
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

/**
 * True when a signal has ended the process, which closes its files now; from the text of
 * /proc/TID/stat.
 */
export function isKilled(stat: string): boolean {
  // The second field, the name of the program, may have anything in it, in parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const flags = Number(fields[FLAGS_FIELD]);
  const exitCode = Number(fields[EXIT_CODE_FIELD]);
  return (flags & PF_EXITING) !== 0 && (exitCode & EXIT_SIGNAL_MASK) !== 0;
}

function mask(status: string, field: string): bigint {
  const digits = new RegExp(`^${field}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
  return digits === undefined ? 0n : BigInt(`0x${digits}`);
}
