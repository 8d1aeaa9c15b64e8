import { InvariantError, messageOf } from '../base/errors.ts';
import { MIB } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { CommittedMeta, EpochRecordHeader, Head } from '../meta/mod.ts';

/** So many epochs are taken over at once, or those that came in so long: they change the same pages. */
const EPOCHS = 16;
const WAIT_MS = 30;
/** By how much the committed database may be behind, if its device takes nothing. */
const EPOCHS_MAX = 64;
const BYTES_MAX: number = MIB;
/** When that is tried again. */
const RETRY_MS = 1000;
/** Bytes of records after which SQLite's log, some four times as long, goes into its file. */
const CHECKPOINT_BYTES: number = 16 * MIB;

/**
 * Epochs that the disks have, on their way into the committed database: a moment later, so that who
 * waits for the commit is answered first. A process that dies meanwhile finds them on the disks.
 *
 * Invariants:
 *  1. `head` is the newest published epoch; `committed` has it, too, whenever somebody looks.
 *  2. An epoch that could not be taken over, because the device is full, is tried again; while many
 *     wait, none is published.
 */
export class EpochFeed {
  readonly #committed: CommittedMeta;
  readonly #log: Log;
  #head: Head;
  #waiting: { header: EpochRecordHeader; body: Buffer }[] = [];
  #bytes = 0;
  #unchecked = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(committed: CommittedMeta, head: Head, log: Log) {
    this.#committed = committed;
    this.#head = head;
    this.#log = log;
  }

  /** The newest published epoch. */
  get head(): Head {
    return this.#head;
  }

  /** The committed database at the newest published epoch. NO_SPACE or IO. */
  get committed(): CommittedMeta {
    this.flush();
    return this.#committed;
  }

  /** The same for who can do with an older epoch, while the device takes nothing. */
  get readable(): CommittedMeta {
    this.#tryFlush();
    return this.#committed;
  }

  /** The committed database without what waits: as it was some epochs ago. */
  get lagging(): CommittedMeta {
    return this.#committed;
  }

  /** Content that the committed database keeps, without what waits. */
  get inlineBytes(): number {
    return this.#committed.inline.bytes;
  }

  /** To be called before an epoch is published. NO_SPACE or IO (invariant 2). */
  makeRoom(): void {
    if (this.#waiting.length >= EPOCHS_MAX || this.#bytes >= BYTES_MAX) this.flush();
  }

  /** The disks have the epoch. */
  published(header: EpochRecordHeader, body: Buffer): void {
    const { epoch, incarnation, lastSeq: seq, id: recordId, cutTimeMs } = header;
    this.#head = { epoch, incarnation, seq, recordId, cutTimeMs };
    this.#waiting.push({ header, body });
    this.#bytes += body.length;
    if (this.#waiting.length === EPOCHS) setImmediate(() => this.#tryFlush());
    this.#timer ??= setTimeout(() => this.#tryFlush(), WAIT_MS);
  }

  /** Takes all over that waits. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    this.#committed.applyAll(this.#waiting);
    this.#unchecked += this.#bytes;
    this.#waiting = [];
    this.#bytes = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#unchecked < CHECKPOINT_BYTES) return;
    this.#unchecked = 0;
    this.#committed.checkpoint();
  }

  #tryFlush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isClosed) return;
    try {
      this.flush();
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#log('error', 'epochs wait to be noted', { message: messageOf(error) });
      this.#timer = setTimeout(() => this.#tryFlush(), RETRY_MS);
    }
  }

  /** Takes over what waits, if it can be, and closes the database. */
  close(): void {
    this.#tryFlush();
    clearTimeout(this.#timer);
    this.#isClosed = true;
    this.#committed.close();
  }
}
