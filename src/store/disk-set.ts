import { DfsError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { DiskFill } from './disk-fill.ts';
import type { PieceDisk } from './piece-disk.ts';

// States of a disk: up -> full (no space for a piece, or it was measured and has all that it may take) ->
// up (something was removed, a piece that was tried after a while found room, or it was measured and
// may take more);
// up | full -> down (a write, a sync or the disk itself failed), which is final for what was opened: a
// disk that works again is opened anew and attached in its place. `missing` is a disk of the map that
// could not be opened.
//
// Invariant: what a call to a disk came to says nothing of one that was attached since.

/** What a disk is good for: `full` still reads. */
export type DiskStatus = 'up' | 'full' | 'down' | 'missing';

/** A disk and what is known of it. */
export interface DiskSlot {
  readonly diskId: DiskId;
  readonly disk: PieceDisk | undefined;
  status: DiskStatus;
  /** Why it is not up, else ''. */
  reason: string;
  /** It was measured and found to have all it may take: it is full until it is measured again. */
  isOver: boolean;
  /** When a full disk is tried again, and how often it was full since it last took a piece. */
  tryAtMs: number;
  triedFull: number;
}

const TRY_MS_MIN = 10_000;
const TRY_MS_MAX = 300_000;

/** Failures of a call that are the caller's, not the disk's. */
const CALLERS_FAULTS: readonly string[] = ['BAD_ARGUMENT', 'INVARIANT'];

/** The disks of a store and their states. */
export class DiskSet {
  readonly #slots = new Map<DiskId, DiskSlot>();
  readonly #log: Log;
  readonly #now: () => number;

  /** `now` is a clock in ms. */
  constructor(
    disks: ReadonlyMap<DiskId, PieceDisk | undefined>,
    log: Log,
    now: () => number = () => performance.now(),
  ) {
    this.#log = log;
    this.#now = now;
    for (const [diskId, disk] of disks) this.#slots.set(diskId, newSlot(diskId, disk));
  }

  all(): DiskSlot[] {
    return [...this.#slots.values()];
  }

  /** Takes a disk in, in the place of one that is out of service: that one, to be closed. */
  attach(diskId: DiskId, disk: PieceDisk): PieceDisk | undefined {
    if (this.readable(diskId) !== undefined) {
      throw new DfsError('BUSY', `Cannot attach disk ${diskId}: it is in service`);
    }
    const before = this.#slots.get(diskId)?.disk;
    this.#slots.set(diskId, newSlot(diskId, disk));
    this.#log('info', 'disk.attached', { diskId });
    return before;
  }

  /** Forgets a disk: it, to be closed. */
  detach(diskId: DiskId): PieceDisk | undefined {
    const disk = this.#slots.get(diskId)?.disk;
    if (this.#slots.delete(diskId)) this.#log('info', 'disk.detached', { diskId });
    return disk;
  }

  /** Keeps the place of a disk that is out of service, but lets it go: it, to be closed. */
  release(diskId: DiskId): PieceDisk | undefined {
    if (this.readable(diskId) !== undefined) {
      throw new DfsError('BUSY', `Cannot release disk ${diskId}: it is in service`);
    }
    const slot = this.#slots.get(diskId);
    if (slot !== undefined) this.#slots.set(diskId, { ...slot, disk: undefined });
    return slot?.disk;
  }

  status(diskId: DiskId): DiskStatus {
    return this.#slots.get(diskId)?.status ?? 'missing';
  }

  /** The disk if it takes new pieces; a full one is tried again from time to time. */
  writable(diskId: DiskId): PieceDisk | undefined {
    const slot = this.#slots.get(diskId);
    if (slot?.status === 'up') return slot.disk;
    if (slot?.status !== 'full' || slot.isOver) return undefined;
    return this.#now() >= slot.tryAtMs ? slot.disk : undefined;
  }

  /** Whether the disk would take pieces if it had room. */
  isFull(diskId: DiskId): boolean {
    return this.#slots.get(diskId)?.status === 'full';
  }

  /** The disk if it can be asked for pieces. */
  readable(diskId: DiskId): PieceDisk | undefined {
    const slot = this.#slots.get(diskId);
    return slot?.status === 'up' || slot?.status === 'full' ? slot.disk : undefined;
  }

  /** Draws the conclusion from a failed write: full or down; throws what is the caller's fault. */
  writeFailed(disk: PieceDisk, error: unknown): void {
    if (!(error instanceof DfsError) || CALLERS_FAULTS.includes(error.code)) throw error;
    this.#leaveUp(disk, error.code === 'NO_SPACE' ? 'full' : 'down', error);
  }

  /** Takes a disk out of service, whatever the failure; throws what is the caller's fault. */
  failed(disk: PieceDisk, error: unknown): void {
    if (!(error instanceof DfsError) || CALLERS_FAULTS.includes(error.code)) throw error;
    this.#leaveUp(disk, 'down', error);
  }

  /** Draws the conclusion from a failed read: a disk that is gone is down, a bad sector is not. */
  readFailed(disk: PieceDisk, error: unknown): void {
    if (!(error instanceof DfsError) || CALLERS_FAULTS.includes(error.code)) throw error;
    const gone = ['UNAVAILABLE', 'CLOSED', 'TIMEOUT'].includes(error.code);
    if (gone) this.#leaveUp(disk, 'down', error);
  }

  /** A full disk has space again. */
  spaceFreed(disk: PieceDisk): void {
    const slot = this.#slotOf(disk);
    if (slot?.status !== 'full' || slot.isOver) return;
    slot.status = 'up';
    slot.reason = '';
    slot.triedFull = 0;
    this.#log('info', 'disk.space', { diskId: slot.diskId });
  }

  /** A disk has been found so full: from 1 on it takes no pieces, below it does again. */
  measured(disk: PieceDisk, { share, reason }: Pick<DiskFill, 'share' | 'reason'>): void {
    const slot = this.#slotOf(disk);
    if (slot?.status !== 'up' && slot?.status !== 'full') return;
    const wasOver = slot.isOver;
    slot.isOver = share >= 1;
    if (!slot.isOver) {
      if (wasOver) this.spaceFreed(disk);
      return;
    }
    slot.reason = reason;
    if (slot.status === 'full') return;
    slot.status = 'full';
    this.#log('error', 'disk.full', { diskId: slot.diskId, reason });
  }

  /** Why a disk is not up, else ''. */
  reason(diskId: DiskId): string {
    return this.#slots.get(diskId)?.reason ?? '';
  }

  /** Why a disk is not up, for error messages. */
  trouble(diskId: DiskId): string {
    const { status, reason } = this.#slots.get(diskId) ?? { status: 'missing', reason: 'unknown' };
    return `it is ${status} (${reason})`;
  }

  /** Every disk that is not up and why, for error messages; '' if all are. */
  troubles(): string {
    const troubled = this.all().filter(({ status }) => status !== 'up');
    return troubled
      .map(({ diskId, status, reason }) => `disk ${diskId} is ${status} (${reason})`)
      .join(', ');
  }

  /** The id of a disk that is in the set. */
  idOf(disk: PieceDisk): DiskId | undefined {
    return this.#slotOf(disk)?.diskId;
  }

  #slotOf(disk: PieceDisk): DiskSlot | undefined {
    return this.all().find((slot) => slot.disk === disk);
  }

  #leaveUp(disk: PieceDisk, status: 'full' | 'down', error: unknown): void {
    const slot = this.#slotOf(disk);
    if (slot === undefined || slot.status === 'down') return;
    if (status === 'full') {
      slot.tryAtMs = this.#now() + Math.min(TRY_MS_MAX, TRY_MS_MIN * 2 ** slot.triedFull);
      slot.triedFull++;
    }
    if (slot.status === status) return;
    slot.status = status;
    slot.reason = messageOf(error);
    this.#log('error', `disk.${status}`, { diskId: slot.diskId, reason: slot.reason });
  }
}

function newSlot(diskId: DiskId, disk: PieceDisk | undefined): DiskSlot {
  const isMissing = disk === undefined;
  const reason = isMissing ? 'it was not found' : '';
  const status = isMissing ? 'missing' : 'up';
  return { diskId, disk, status, reason, isOver: false, tryAtMs: 0, triedFull: 0 };
}
