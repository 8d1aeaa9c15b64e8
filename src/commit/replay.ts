import { DfsError } from '../base/errors.ts';
import { MIB } from '../base/limits.ts';
import type { CommittedMeta, DiskLog, EpochRecordHeader } from '../meta/mod.ts';

/** Told how much of a replay is done, in bytes of records. */
export type ReplayProgress = (progress: { bytesDone: number; bytesTotal: number }) => void;

/**
 * Records taken over in one transaction: they change the same pages, of which each is then written
 * once. As many rows are in memory at the same time.
 */
const TRANSACTION_BYTES: number = 12 * MIB;

/** A chain of records on its way from the logs into the committed database. */
export class Replay {
  /** Records that were read. */
  taken = 0;
  readonly #committed: CommittedMeta;
  readonly #chain: readonly EpochRecordHeader[];
  readonly #onProgress: ReplayProgress;
  readonly #bytesTotal: number;
  #bytesDone = 0;
  #waiting: { header: EpochRecordHeader; body: Buffer }[] = [];
  #waitingBytes = 0;

  constructor(
    committed: CommittedMeta,
    chain: readonly EpochRecordHeader[],
    onProgress: ReplayProgress,
  ) {
    this.#committed = committed;
    this.#chain = chain;
    this.#onProgress = onProgress;
    this.#bytesTotal = chain.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
  }

  get isDone(): boolean {
    return this.taken === this.#chain.length;
  }

  /** Takes what `log` has of the chain, up to the first record that it lacks. */
  async takeFrom(log: DiskLog): Promise<void> {
    const next = this.#chain[this.taken];
    if (next === undefined) return;
    for await (const { header, body } of log.records(next.epoch)) {
      const wanted = this.#chain[this.taken];
      if (wanted === undefined || header.epoch > wanted.epoch) return;
      if (!header.id.equals(wanted.id)) continue;
      this.#waiting.push({ header, body });
      this.#waitingBytes += body.length;
      this.taken++;
      if (this.#waitingBytes >= TRANSACTION_BYTES) this.#flush();
    }
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    this.#committed.applyAll(this.#waiting);
    this.#bytesDone += this.#waitingBytes;
    this.#waiting = [];
    // What SQLite's log has of a transaction this large is not left to the next one.
    if (this.#waitingBytes >= TRANSACTION_BYTES) this.#committed.checkpoint();
    this.#waitingBytes = 0;
    this.#onProgress({ bytesDone: this.#bytesDone, bytesTotal: this.#bytesTotal });
  }

  /** Takes over the rest; CORRUPT when a record of the chain could not be read from any log. */
  end(): void {
    this.#flush();
    if (this.isDone) return;
    const { epoch } = this.#chain[this.taken] ?? {};
    throw new DfsError('CORRUPT', `Cannot read epoch ${epoch} from any disk`);
  }
}
