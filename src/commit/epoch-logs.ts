import { withinMs } from '../base/deadline.ts';
import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { DiskId, Epoch } from '../base/ids.ts';
import { DISK_DEADLINE_MS } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { CommittedMeta, DiskLog, EpochRecordHeader, LogDamage } from '../meta/mod.ts';
import { Replay, type ReplayProgress } from './replay.ts';

/** So many records a disk may be behind when others have them; then commits wait for it. */
const BEHIND_MAX = 32;

/** Whether everything an epoch stored can be read; asked of the newest record only. */
export type VerifyTip = (header: EpochRecordHeader, body: Buffer) => Promise<boolean>;

/** An epoch that is newer than the one a replay ended with, and why it was left out. */
export interface LeftOutEpoch {
  epoch: Epoch;
  cutTimeMs: number;
  why: string;
}

/**
 * The metadata logs of all disks as one.
 *
 * Invariants:
 *  1. Each record names the one before it; the epochs of the volume are one such chain.
 *  2. Only the last record of a chain can be unpublished: the next is written after it has its
 *     redundancy, or names the one before it. Among two last records the later epoch, then the
 *     later incarnation, is newer.
 *  3. A log that failed is not written again. One whose disk is full is tried again with the next
 *     record: what it lacks then, others have.
 *  4. A log that was added takes records at once, but counts for none before it leads on from a
 *     snapshot of its own disk.
 *  5. Each log gets the records in their order. One whose disk is slower than the others may be
 *     behind, by BEHIND_MAX records at most.
 */
export class EpochLogs {
  readonly #logs: Map<DiskId, DiskLog>;
  readonly #failed = new Map<DiskId, string>();
  readonly #full = new Map<DiskId, string>();
  readonly #catchingUp = new Set<DiskId>();
  /** Records on their way to a log. */
  readonly #behind = new WeakMap<DiskLog, number>();
  /** The newest epoch that was said to be on enough disks. */
  #answered = 0;
  readonly #log: Log;
  #heard = { epoch: 0, incarnation: 0 };
  /** Records that verify on no disk, by their id. */
  readonly #damaged = new Map<string, LeftOutEpoch>();
  #leftOut: LeftOutEpoch[] = [];

  constructor(logs: Map<DiskId, DiskLog>, log: Log) {
    this.#logs = logs;
    this.#log = log;
  }

  /** Epochs that are newer than what the last replay came to, the newest first. */
  get leftOut(): readonly LeftOutEpoch[] {
    return this.#leftOut;
  }

  /** Logs that still take records. */
  get healthy(): [DiskId, DiskLog][] {
    return [...this.#logs].filter(([id]) => !this.#failed.has(id));
  }

  /** Why a disk's log is out of service; undefined when it is not. */
  failure(id: DiskId): string | undefined {
    return this.#failed.get(id) ?? this.#full.get(id);
  }

  /** Takes in the log of a disk that is new or works again: invariant 4. */
  add(id: DiskId, log: DiskLog): void {
    this.#logs.set(id, log);
    this.#failed.delete(id);
    this.#full.delete(id);
    this.#catchingUp.add(id);
  }

  /** The disk has all of the metadata now. */
  caughtUp(id: DiskId): void {
    this.#catchingUp.delete(id);
  }

  /** How many logs have all of the metadata, that of one disk aside. */
  wholeBeside(id: DiskId): number {
    return this.healthy.filter(([other, log]) => {
      const isBehind = this.#isBehind(log) && (log.head()?.epoch ?? 0) < this.#answered;
      return other !== id && !this.#catchingUp.has(other) && !isBehind;
    }).length;
  }

  #isBehind(log: DiskLog, records = 1): boolean {
    return (this.#behind.get(log) ?? 0) >= records;
  }

  /** Closes the log of a disk and forgets it; of one that does not answer nothing is awaited. */
  async drop(id: DiskId): Promise<void> {
    const log = this.#logs.get(id);
    if (log === undefined) return;
    this.#logs.delete(id);
    this.#catchingUp.delete(id);
    this.#failed.delete(id);
    this.#full.delete(id);
    try {
      await withinMs(DISK_DEADLINE_MS, `close the metadata log of disk ${id}`, log.close());
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#log('warn', 'metadata log not closed', { disk: id, message: messageOf(error) });
    }
  }

  /** Whether a log is out of service for good; a full one is not. */
  isFailed(id: DiskId): boolean {
    return this.#failed.has(id);
  }

  /** Takes a disk's log out of service. */
  fail(id: DiskId, error: unknown): void {
    if (this.#failed.has(id)) return;
    this.#failed.set(id, messageOf(error));
    this.#log('error', 'metadata log failed', { disk: id, message: messageOf(error) });
  }

  #noteFull(id: DiskId, error: DfsError): void {
    if (!this.#full.has(id)) {
      this.#log('error', 'metadata log full', { disk: id, message: error.message });
    }
    this.#full.set(id, error.message);
  }

  /** A disk knows of this epoch and incarnation, whatever the logs say. */
  heard({ epoch, incarnation }: { epoch: number; incarnation: number }): void {
    this.#heard = { epoch, incarnation };
  }

  /** The newest epoch and incarnation any disk has heard of, published or not. */
  newest(): { epoch: number; incarnation: number } {
    let { epoch, incarnation } = this.#heard;
    for (const log of this.#logs.values()) {
      const head = log.head();
      epoch = Math.max(epoch, head?.epoch ?? 0);
      incarnation = Math.max(incarnation, head?.incarnation ?? 0);
    }
    return { epoch, incarnation };
  }

  /**
   * Appends a record to every healthy log and syncs them: the disks that have it, as soon as
   * `enough` do, else when all have answered. The others go on (invariant 5).
   */
  async append(
    record: Buffer,
    header: EpochRecordHeader,
    enough: number = Number.POSITIVE_INFINITY,
  ): Promise<Set<DiskId>> {
    const { healthy } = this;
    const mayGoOn = !healthy.some(([, log]) => this.#isBehind(log, BEHIND_MAX));
    const done = new Set<DiskId>();
    let hasEnough: () => void = () => undefined;
    const some = new Promise<void>((resolve) => {
      hasEnough = resolve;
    });
    const write = async ([id, log]: [DiskId, DiskLog]): Promise<void> => {
      if (!(await this.#appendTo(id, log, { record, header }))) return;
      if (!this.#catchingUp.has(id)) done.add(id);
      if (mayGoOn && done.size >= enough) hasEnough();
    };
    await Promise.race([some, Promise.all(healthy.map(write))]);
    this.#answered = header.epoch;
    return new Set(done);
  }

  /** Whether the log has the record. Of one that was replaced meanwhile nothing is noted. */
  async #appendTo(
    id: DiskId,
    log: DiskLog,
    { record, header }: { record: Buffer; header: EpochRecordHeader },
  ): Promise<boolean> {
    this.#behind.set(log, (this.#behind.get(log) ?? 0) + 1);
    const action = `write the metadata log of disk ${id}`;
    try {
      await withinMs(DISK_DEADLINE_MS, action, log.appendSynced(record, header));
      if (this.#logs.get(id) === log) this.#full.delete(id);
      return this.#logs.get(id) === log;
    } catch (error) {
      if (this.#logs.get(id) !== log) return false;
      if (error instanceof DfsError && error.code === 'NO_SPACE') this.#noteFull(id, error);
      else this.fail(id, error);
      return false;
    } finally {
      this.#behind.set(log, (this.#behind.get(log) ?? 1) - 1);
    }
  }

  /**
   * Brings `committed` to the newest epoch the disks have whole: the chain of records from its head
   * to the newest last record that verifies, or to epoch `until`. Answers how many epochs were taken
   * over.
   */
  async replay(
    committed: CommittedMeta,
    verifyTip: VerifyTip,
    onProgress: ReplayProgress = () => undefined,
    until: number = Number.POSITIVE_INFINITY,
  ): Promise<number> {
    const head = committed.head();
    if (head === undefined) throw new DfsError('CORRUPT', 'Cannot replay: there is no snapshot');
    const known = await this.#headers((head.epoch + 1) as Epoch);
    const all = await this.#newestChain(known, head.recordId, verifyTip);
    const chain = all.filter(({ epoch }) => epoch <= until);
    return this.#carryOut(committed, chain, onProgress);
  }

  /**
   * The same up to the record `recordId`, whatever comes after it. CORRUPT when the logs do not lead
   * there.
   */
  async replayTo(
    committed: CommittedMeta,
    recordId: Buffer,
    onProgress: ReplayProgress,
  ): Promise<number> {
    const head = committed.head();
    if (head === undefined) throw new DfsError('CORRUPT', 'Cannot replay: there is no snapshot');
    if (head.recordId.equals(recordId)) return 0;
    const known = await this.#headers((head.epoch + 1) as Epoch);
    const tip = known.get(recordId.toString('hex'));
    const chain = tip && chainTo(tip, known, head.recordId);
    if (chain !== undefined) return this.#carryOut(committed, chain, onProgress);
    const state = `the logs do not lead from epoch ${head.epoch} to the one that was asked for`;
    throw new DfsError('CORRUPT', `Cannot replay: ${state}`);
  }

  async #carryOut(
    committed: CommittedMeta,
    chain: EpochRecordHeader[],
    onProgress: ReplayProgress,
  ): Promise<number> {
    const replay = new Replay(committed, chain, onProgress);
    for (let before = -1; before < replay.taken && !replay.isDone; ) {
      before = replay.taken;
      for (const log of this.#logs.values()) await replay.takeFrom(log);
    }
    replay.end();
    return chain.length;
  }

  /** Headers of all records from an epoch on, by their id in hex. */
  async #headers(from: Epoch): Promise<Map<string, EpochRecordHeader>> {
    const known = new Map<string, EpochRecordHeader>();
    for (const [id, log] of this.#logs) {
      const isKnown = (header: EpochRecordHeader): boolean => known.has(header.id.toString('hex'));
      this.#noteDamage(id, log.tail);
      const headers = log.headers(from, isKnown, (damage) => {
        this.#log('warn', 'damaged metadata log', { disk: id, ...damage });
        this.#noteDamage(id, damage);
      });
      for await (const header of headers) known.set(header.id.toString('hex'), header);
    }
    for (const key of known.keys()) this.#damaged.delete(key);
    return known;
  }

  #noteDamage(id: DiskId, damage: LogDamage | undefined): void {
    if (damage?.header === undefined) return;
    const { epoch, cutTimeMs, id: recordId } = damage.header;
    const why = `its record is damaged on disk ${id}`;
    this.#damaged.set(recordId.toString('hex'), { epoch, cutTimeMs, why });
  }

  async #newestChain(
    known: Map<string, EpochRecordHeader>,
    base: Buffer,
    verifyTip: VerifyTip,
  ): Promise<EpochRecordHeader[]> {
    const tips = [...known.values()].sort(
      (a, b) => b.epoch - a.epoch || b.incarnation - a.incarnation,
    );
    // Invariant 2: what another record names was published, whatever became of its pieces since.
    const named = new Set(tips.map((tip) => tip.previous.toString('hex')));
    const leftOut = [...this.#damaged.values()];
    const end = (chain: EpochRecordHeader[]): EpochRecordHeader[] => {
      const last = chain.at(-1)?.epoch ?? 0;
      this.#leftOut = leftOut.filter(({ epoch }) => epoch > last).sort((a, b) => b.epoch - a.epoch);
      return chain;
    };
    for (const tip of tips) {
      const { epoch, cutTimeMs } = tip;
      const chain = chainTo(tip, known, base);
      if (chain === undefined) {
        this.#log('warn', 'an epoch leads on from nothing that is known', { epoch });
        leftOut.push({ epoch, cutTimeMs, why: 'a record before it cannot be read from any disk' });
        continue;
      }
      if (named.has(tip.id.toString('hex'))) return end(chain);
      if (await this.#verifies(tip, verifyTip)) return end(chain);
      this.#log('warn', 'an epoch was never published whole', { epoch });
      leftOut.push({ epoch, cutTimeMs, why: 'some of what it stored cannot be read' });
    }
    return end([]);
  }

  async #verifies(tip: EpochRecordHeader, verifyTip: VerifyTip): Promise<boolean> {
    for (const log of this.#logs.values()) {
      for await (const { header, body } of log.records(tip.epoch)) {
        if (header.id.equals(tip.id)) return verifyTip(header, body);
        if (header.epoch > tip.epoch) break;
      }
    }
    return false;
  }

  async close(): Promise<void> {
    const closing = [...this.#logs].map(async ([id, log]) => {
      const action = `close the metadata log of disk ${id}`;
      try {
        await withinMs(DISK_DEADLINE_MS, action, log.close());
      } catch (error) {
        // Of a disk that is out of service nothing is awaited.
        if (!this.#failed.has(id)) throw error;
      }
    });
    await Promise.all(closing);
  }
}

/** The records from behind `base` to `tip`, in order; undefined when one is missing. */
function chainTo(
  tip: EpochRecordHeader,
  known: Map<string, EpochRecordHeader>,
  base: Buffer,
): EpochRecordHeader[] | undefined {
  const chain: EpochRecordHeader[] = [];
  let at: EpochRecordHeader | undefined = tip;
  while (at !== undefined) {
    chain.push(at);
    if (at.previous.equals(base)) return chain.reverse();
    at = known.get(at.previous.toString('hex'));
  }
  return undefined;
}
