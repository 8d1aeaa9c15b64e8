import { DfsError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { PieceDisk } from './piece-disk.ts';

// States of a disk: up -> full (no space for a piece) -> up (something was removed, or a piece that
// was tried after a while found room);
// up | full -> down (a write, a sync or the disk itself failed), which is final: a disk that works
// again is opened anew. `missing` is a disk of the map that could not be opened.

/** What a disk is good for: `full` still reads. */
export type DiskStatus = 'up' | 'full' | 'down' | 'missing';

/** A disk and what is known of it. */
export interface DiskSlot {
  readonly diskId: DiskId;
  readonly disk: PieceDisk | undefined;
  status: DiskStatus;
  /** Why it is not up, else ''. */
  reason: string;
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
  /** Disks that took pieces since a sync of them last began. */
  readonly #unsynced = new Set<DiskId>();
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
    for (const [diskId, disk] of disks) {
      const missing = disk === undefined;
      const reason = missing ? 'it was not found' : '';
      const status = missing ? 'missing' : 'up';
      this.#slots.set(diskId, { diskId, disk, status, reason, tryAtMs: 0, triedFull: 0 });
    }
  }

  all(): DiskSlot[] {
    return [...this.#slots.values()];
  }

  attach(diskId: DiskId, disk: PieceDisk): PieceDisk | undefined {
    const before = this.#slots.get(diskId)?.disk;
    const fresh: DiskSlot = { diskId, disk, status: 'up', reason: '', tryAtMs: 0, triedFull: 0 };
    this.#slots.set(diskId, fresh);
    return before;
  }

  detach(diskId: DiskId): PieceDisk | undefined {
    const disk = this.#slots.get(diskId)?.disk;
    this.#slots.delete(diskId);
    return disk;
  }

  release(diskId: DiskId): PieceDisk | undefined {
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
    return slot?.status === 'full' && this.#now() >= slot.tryAtMs ? slot.disk : undefined;
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

  /** A disk took pieces: until it is synced, they can be lost with it. */
  wrote(diskId: DiskId): void {
    this.#unsynced.add(diskId);
    this.spaceFreed(diskId);
  }

  /** The disks that took pieces since the last call, also those that are down since. */
  takeUnsynced(): Set<DiskId> {
    const taken = new Set(this.#unsynced);
    this.#unsynced.clear();
    return taken;
  }

  isUnsynced(diskId: DiskId): boolean {
    return this.#unsynced.has(diskId);
  }

  /** Draws the conclusion from a failed write: full or down; throws what is the caller's fault. */
  writeFailed(diskId: DiskId, error: unknown): void {
    if (!(error instanceof DfsError) || CALLERS_FAULTS.includes(error.code)) throw error;
    this.#leaveUp(diskId, error.code === 'NO_SPACE' ? 'full' : 'down', error);
  }

  /** Takes a disk out of service, whatever the failure; throws what is the caller's fault. */
  failed(diskId: DiskId, error: unknown): void {
    if (!(error instanceof DfsError) || CALLERS_FAULTS.includes(error.code)) throw error;
    this.#leaveUp(diskId, 'down', error);
  }

  /** Draws the conclusion from a failed read: a disk that is gone is down, a bad sector is not. */
  readFailed(diskId: DiskId, error: unknown): void {
    if (!(error instanceof DfsError) || CALLERS_FAULTS.includes(error.code)) throw error;
    const gone = ['UNAVAILABLE', 'CLOSED', 'TIMEOUT'].includes(error.code);
    if (gone) this.#leaveUp(diskId, 'down', error);
  }

  /** A full disk has space again. */
  spaceFreed(diskId: DiskId): void {
    const slot = this.#slots.get(diskId);
    if (slot?.status !== 'full') return;
    slot.status = 'up';
    slot.reason = '';
    slot.triedFull = 0;
    this.#log('info', 'disk.space', { diskId });
  }

  /** Every disk that is not up and why, for error messages; '' if all are. */
  troubles(): string {
    const troubled = this.all().filter(({ status }) => status !== 'up');
    return troubled
      .map(({ diskId, status, reason }) => `disk ${diskId} is ${status} (${reason})`)
      .join(', ');
  }

  #leaveUp(diskId: DiskId, status: 'full' | 'down', error: unknown): void {
    const slot = this.#slots.get(diskId);
    if (slot === undefined || slot.status === 'down') return;
    if (status === 'full') {
      slot.tryAtMs = this.#now() + Math.min(TRY_MS_MAX, TRY_MS_MIN * 2 ** slot.triedFull);
      slot.triedFull++;
    }
    if (slot.status === status) return;
    slot.status = status;
    slot.reason = messageOf(error);
    this.#log('error', `disk.${status}`, { diskId, reason: slot.reason });
  }
}
