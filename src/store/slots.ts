import { randomBytes } from 'node:crypto';
import { DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { CHUNK_BYTES_MAX } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import {
  type ListedSlot,
  SLOT_PATH_BYTES_MAX,
  type SlotBallot,
  type SlotState,
  type SlotVersion,
} from '../bucket/mod.ts';
import type { Placer } from '../diskmap/mod.ts';
import type { SlotDisk } from './slot-disk.ts';
import { isSystemPath, SlotPlacer } from './slot-places.ts';
import { rebalanceSlots, type SlotMoves } from './slot-rebalance.ts';
import { SlotRegister, type SlotWriter, sameVersion } from './slot-register.ts';
import { readSettlement } from './slot-settlement.ts';
import { newestListed, surveySlots } from './slot-survey.ts';

/** What slots are made of. */
export interface SlotsOptions {
  readonly placer: Placer;
  /** A disk that can be asked now; undefined for one that cannot. */
  readonly disk: (id: DiskId) => SlotDisk | undefined;
  /** A disk did not do as it was asked. */
  readonly onFailure?: (id: DiskId, error: unknown) => void;
  readonly log: Log;
  /** Tells this writer from all others that were and will be; random without. */
  readonly incarnation?: number;
  /** Waits before attempt number `attempt` + 1 when another writer was faster. */
  readonly pause?: (attempt: number) => Promise<void>;
}

/** A slot as it was read. */
export interface Slot {
  readonly version: SlotVersion;
  readonly content: Buffer;
}

/** What a put or a delete came to: the new version, or what was there and is still. */
export type SlotOutcome =
  | { readonly isDone: true; readonly version: SlotVersion }
  | { readonly isDone: false; readonly found: Slot | undefined };

/** A slot in a list. */
export interface SlotEntry {
  readonly path: string;
  readonly version: SlotVersion;
  readonly contentBytes: number;
  /** Where its copies belong, and which of these disks have it. */
  readonly homes: readonly DiskId[];
  readonly copies: readonly DiskId[];
}

const PAUSE_MS_MAX = 200;
/** Below 2^53, and by chance never drawn twice. */
const INCARNATION_BYTES = 6;

/**
 * Slots: small mutable objects that are found with nothing but their path and the map, and survive
 * what the scheme survives. Every call is atomic: a slot is linearizable over all its writers, also
 * those that died on the way. docs/adr/0014-slots.md says how.
 */
export class Slots {
  readonly #options: SlotsOptions;
  readonly #writer: SlotWriter;
  #placer: SlotPlacer;
  #settlement: Promise<void> | undefined;
  /** What runs of each slot: its calls go one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: SlotsOptions) {
    this.#options = options;
    this.#placer = new SlotPlacer(options.placer);
    const incarnation = options.incarnation ?? randomBytes(INCARNATION_BYTES).readUIntLE(0, 6) + 1;
    let lastCounter = 0;
    this.#writer = {
      disk: options.disk,
      failed: (id, error) => options.onFailure?.(id, error),
      yield: options.pause ?? pauseAtRandom,
      ballotBehind: (map, counter): SlotBallot => {
        lastCounter = Math.max(lastCounter, counter) + 1;
        return { map, counter: lastCounter, incarnation };
      },
    };
  }

  /** A slot; undefined when there is none. UNAVAILABLE when too few of its disks can be asked. */
  async get(path: string): Promise<Slot | undefined> {
    checkPath(path);
    return slotOf(await this.#inTurn(path, (register) => register.read()));
  }

  /**
   * Writes a slot if it is of the version `expected`, or if there is none when that is undefined.
   * UNAVAILABLE, NO_SPACE or BUSY: not done, but when the message says so it may still count, which
   * the next call finds out.
   */
  async put(
    path: string,
    content: Uint8Array,
    expected: SlotVersion | undefined,
  ): Promise<SlotOutcome> {
    checkPath(path);
    if (content.length > CHUNK_BYTES_MAX) {
      const state = `it has ${content.length} bytes, ${CHUNK_BYTES_MAX} are the most`;
      throw new DfsError('BAD_ARGUMENT', `Cannot write slot "${path}": ${state}`);
    }
    return this.#change(path, Buffer.from(content), expected);
  }

  /** Deletes a slot if it is of the version `expected`; as {@link put}. */
  async delete(path: string, expected: SlotVersion): Promise<SlotOutcome> {
    checkPath(path);
    return this.#change(path, undefined, expected);
  }

  /**
   * The slots there are, in the order of their paths: of those that change meanwhile, or whose last
   * change did not come to its end, what most of their disks have. UNAVAILABLE when some may be
   * missing.
   */
  async list(): Promise<SlotEntry[]> {
    await this.#findSettlement();
    const survey = await surveySlots(this.#placer, this.#writer);
    if (survey.problem !== undefined) throw survey.problem;
    const entries = [...survey.slots].flatMap(([path, copies]) => {
      return isSystemPath(path) ? [] : (entryOf(this.#placer.places(path).homes, copies) ?? []);
    });
    return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Goes on with another version of the map; slots are moved by {@link rebalance}. */
  useMap(placer: Placer): void {
    if (placer.map.version === this.#placer.mapVersion) return;
    this.#placer = new SlotPlacer(placer);
    this.#settlement = undefined;
  }

  /** Whether every slot lies where the map says, as far as this process knows. */
  get isSettled(): boolean {
    return this.#placer.isSettled;
  }

  /**
   * Moves every slot to where the map says, with all its copies, drops those that lie elsewhere, and
   * remembers that it is done. Can be interrupted and repeated at any time; UNAVAILABLE when slots
   * may be overlooked because disks are away: what could be moved was.
   */
  async rebalance(): Promise<SlotMoves> {
    await this.#findSettlement();
    const placer = this.#placer;
    // Calls that began under an older map would escape the list.
    await Promise.allSettled(this.#turns.values());
    return rebalanceSlots({
      placer,
      writer: this.#writer,
      log: this.#options.log,
      isCurrent: () => this.#placer === placer,
      inTurn: (path, work) => this.#inTurn(path, work),
    });
  }

  async #change(
    path: string,
    content: Buffer | undefined,
    expected: SlotVersion | undefined,
  ): Promise<SlotOutcome> {
    const change = await this.#inTurn(path, (register) =>
      register.change((state) => {
        const version = state?.content === undefined ? undefined : state.version;
        return sameVersion(version, expected) ? { write: content } : undefined;
      }),
    );
    const { isMade, state } = change;
    if (isMade && state !== undefined) return { isDone: true, version: state.version };
    return { isDone: false, found: slotOf(state) };
  }

  /** Runs `work` when all calls before it on the same slot are done, with the map of then. */
  #inTurn<T>(path: string, work: (register: SlotRegister) => Promise<T>): Promise<T> {
    const before = this.#turns.get(path) ?? Promise.resolve();
    const done = before.then(async () => {
      await this.#findSettlement();
      return work(new SlotRegister(this.#writer, path, this.#placer.places(path)));
    });
    const ended = done
      .catch(() => undefined)
      .then(() => {
        if (this.#turns.get(path) === ended) this.#turns.delete(path);
      });
    this.#turns.set(path, ended);
    return done;
  }

  /** Reads once for each map what disks say of it. */
  #findSettlement(): Promise<void> {
    this.#settlement ??= readSettlement(this.#placer, this.#writer);
    return this.#settlement;
  }
}

function slotOf(state: SlotState | undefined): Slot | undefined {
  if (state?.content === undefined) return undefined;
  return { version: state.version, content: state.content };
}

/** Undefined for what was deleted or never written. */
function entryOf(
  homes: readonly DiskId[],
  copies: ReadonlyMap<DiskId, ListedSlot>,
): SlotEntry | undefined {
  const newest = newestListed(copies.values());
  if (newest?.path === undefined || newest.accepted?.contentBytes === undefined) return undefined;
  const { path } = newest;
  const { version, contentBytes } = newest.accepted;
  const having = [...copies].flatMap(([id, { accepted }]) =>
    sameVersion(accepted?.version, version) ? id : [],
  );
  return { path, version, contentBytes, homes, copies: having.sort((a, b) => a - b) };
}

function checkPath(path: string): void {
  const bytes = Buffer.from(path, 'utf8');
  const isText = bytes.toString('utf8') === path && bytes.every((byte) => byte >= 0x20);
  const parts = path.split('/');
  const isPath = parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (bytes.length <= SLOT_PATH_BYTES_MAX && isText && isPath) {
    if (!isSystemPath(path)) return;
    throw new DfsError('BAD_ARGUMENT', `Cannot use slot "${path}": it is the volume's own`);
  }
  const state = `a path has 1 to ${SLOT_PATH_BYTES_MAX} bytes, as in "leases/shard-7"`;
  throw new DfsError('BAD_ARGUMENT', `Cannot use slot "${path}": ${state}`);
}

/** Of two that fight for a slot one is soon faster. */
function pauseAtRandom(attempt: number): Promise<void> {
  const longest = Math.min(PAUSE_MS_MAX, 4 * 2 ** attempt);
  return new Promise((resolve) => setTimeout(resolve, Math.random() * longest));
}
