import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { createPlacer, type DiskMap } from '../diskmap/mod.ts';
import type { CommittedMeta, Head } from '../meta/mod.ts';
import { type ChunkStore, type SlotDisk, Slots } from '../store/mod.ts';
import { noteOnDisk } from './disk-notes.ts';
import type { EpochLogs } from './epoch-logs.ts';
import {
  type FoundNote,
  olderThanNoted,
  readHeadNote,
  type SlotDisks,
  writeHeadNote,
} from './head-note.ts';
import { diskPaths, type VolumeDisk } from './volume-disk.ts';

/** What the slots of a volume are opened with. */
export interface VolumeSlotsOptions {
  readonly disks: readonly VolumeDisk[];
  readonly chunks: Pick<ChunkStore, 'inService'>;
  readonly logs: Pick<EpochLogs, 'fail' | 'heard'>;
  readonly log: Log;
}

/** What slots need to know of the volume, as it is at any time. */
export interface SlotsVolume {
  readonly map: DiskMap;
  readonly disks: readonly VolumeDisk[];
  /** The newest published epoch. */
  readonly head: Head;
}

/** How often it is looked whether there is something to do. */
const LOOK_MS = 5000;
/** After so many looks a rebalance that failed is tried again. */
const LOOKS_BETWEEN_TRIES = 12;

/**
 * The slots of a volume, and what has to be done for them from time to time: when commits rest, the
 * disks are told of the newest epoch; when the map or the disks that answer have changed, slots
 * are moved. Nobody waits for either.
 *
 * Invariant: what disks are told was published before. So a volume that finds less has lost it.
 */
export class VolumeSlots {
  readonly #options: VolumeSlotsOptions;
  /** What was noted last, or found. */
  #noted: FoundNote | undefined;
  #older: string | undefined;
  #volume: SlotsVolume | undefined;
  #slots: Slots | undefined;
  #mapVersion = 0;
  /** Of this life; ballots of notes have it. */
  #incarnation = 0;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  /** The newest epoch at the last look. */
  #seenEpoch = 0;
  /** Map and disks for which slots are where they belong. */
  #balancedFor = '';
  #failedFor = '';
  /** Map and disk that are known to have what every disk has. */
  readonly #described = new Set<string>();
  #looksToTry = 0;

  private constructor(options: VolumeSlotsOptions, noted: FoundNote | undefined) {
    this.#options = options;
    this.#noted = noted;
    // Its number is taken, whether it can be found or not.
    if (noted !== undefined) options.logs.heard({ ...noted, epoch: noted.counter });
  }

  /** Asks the disks which epoch they have heard was published. */
  static async open(options: VolumeSlotsOptions): Promise<VolumeSlots> {
    const { disks, log } = options;
    return new VolumeSlots(options, await readHeadNote(slotDisks(disks), log));
  }

  /** Identity of the record of that epoch. */
  get published(): Buffer | undefined {
    return this.#noted?.recordId;
  }

  /** Why the committed state is older than it should be; undefined when it is not. */
  get older(): string | undefined {
    return this.#older;
  }

  /**
   * Compares what the disks lead to with what they have heard of. UNAVAILABLE, with the state
   * closed, when it is older and the volume shall be written, unless that is allowed.
   */
  check(committed: CommittedMeta, options: { readOnly: boolean; takesOlder?: boolean }): void {
    const head = committed.head();
    this.#older = head && olderThanNoted(head, this.#noted);
    if (this.#older === undefined || options.readOnly || options.takesOlder === true) return;
    committed.close();
    const help = `bring the others back, or take epoch ${head?.epoch} with dfsctl recover into a new HOME`;
    throw new DfsError('UNAVAILABLE', `Cannot open the volume: ${this.#older}; ${help}`);
  }

  /**
   * Begins to look after the slots of an open volume, with a number of this life that is above all
   * before it. An older state that was taken takes the place of the later one.
   */
  async start(volume: SlotsVolume, incarnation: number): Promise<void> {
    this.#volume = volume;
    this.#incarnation = incarnation;
    if (this.#older !== undefined) await this.#note(volume.head);
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
    this.#timer.unref();
  }

  /** Slots under the map in use; CLOSED unless the volume is open to be written. */
  get current(): Slots {
    const { map } = this.#open;
    const { logs, log } = this.#options;
    if (this.#slots === undefined) {
      const disk = (id: DiskId): SlotDisk | undefined => this.#disks().get(id);
      const onFailure = (id: DiskId, error: unknown): void => logs.fail(id, error);
      this.#slots = new Slots({ placer: createPlacer(map), disk, onFailure, log });
    } else if (map.version !== this.#mapVersion) {
      this.#slots.useMap(createPlacer(map));
    }
    this.#mapVersion = map.version;
    return this.#slots;
  }

  /** Does what is due; what goes wrong is in the log, and tried again. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** Moves slots to where the map says, if they are not there; whether they are. */
  async settle(): Promise<boolean> {
    if (this.#volume === undefined) return false;
    this.#looksToTry = 0;
    // A look that is under way may have begun under another map.
    await this.#looking;
    await this.look();
    return this.current.isSettled;
  }

  /** Ends; unless `dying`, the disks know then what they should. */
  async close(options: { dying: boolean }): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
    if (this.#volume !== undefined && !options.dying) {
      await this.#note(this.#volume.head);
      await this.#describe();
    }
    this.#volume = undefined;
  }

  get #open(): SlotsVolume {
    if (this.#volume !== undefined) return this.#volume;
    throw new DfsError('CLOSED', 'Cannot use slots: the volume is not open, or only to be read');
  }

  async #look(): Promise<void> {
    try {
      const { head } = this.#open;
      if (head.epoch === this.#seenEpoch) await this.#note(head);
      this.#seenEpoch = head.epoch;
      await this.#describe();
      await this.#rebalance();
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#options.log('warn', 'slots not looked after', { message: messageOf(error) });
    }
  }

  /** Tells the disks which epoch is the newest, unless they know. */
  async #note(head: Head): Promise<void> {
    const { epoch, recordId, cutTimeMs } = head;
    if (epoch === 0 || this.#noted?.recordId.equals(recordId) === true) return;
    const counter = Math.max(epoch, this.#noted?.counter ?? 0);
    const note = { epoch, recordId, cutTimeMs, counter, incarnation: this.#incarnation };
    const done = await writeHeadNote(note, this.#disks(), this.#options.log);
    if (done.size > 0) this.#noted = note;
  }

  /** Gives every disk what it should say of itself and of the volume. */
  async #describe(): Promise<void> {
    const { map, disks } = this.#open;
    const slots = this.#disks();
    for (const { entry, path } of disks) {
      const disk = slots.get(entry.id);
      const described = `${map.version} ${map.createdAt} ${entry.id} ${entry.uuid}`;
      if (disk === undefined || path === undefined || this.#described.has(described)) continue;
      const files = diskPaths(path);
      if (await noteOnDisk({ files, slots: disk }, map, this.#options.log)) {
        this.#described.add(described);
      }
    }
  }

  async #rebalance(): Promise<void> {
    const slots = this.current;
    const state = `${this.#mapVersion}: ${[...this.#disks().keys()].join(' ')}`;
    if (state === this.#balancedFor) return;
    if (state === this.#failedFor && this.#looksToTry-- > 0) return;
    try {
      await slots.rebalance();
      this.#balancedFor = state;
    } catch (error) {
      if (!(error instanceof DfsError) || error instanceof InvariantError) throw error;
      if (state !== this.#failedFor) {
        this.#options.log('warn', 'slots not settled', { message: error.message });
      }
      this.#failedFor = state;
      this.#looksToTry = LOOKS_BETWEEN_TRIES;
    }
  }

  /** The slots of disks that can be asked. */
  #disks(): SlotDisks {
    const up = new Set(this.#options.chunks.inService);
    return slotDisks(this.#open.disks.filter(({ entry }) => up.has(entry.id)));
  }
}

/** The slots of those disks that are open. */
function slotDisks(disks: readonly VolumeDisk[]): SlotDisks {
  return new Map(
    disks.flatMap(({ entry, buckets }) => (buckets ? [[entry.id, buckets.slots] as const] : [])),
  );
}
