import type { DiskId } from '../base/ids.ts';
import { hashChunk, parseScheme, survives } from '../chunk/mod.ts';
import type { Placer } from '../diskmap/mod.ts';

/** Which disks take part in a slot, under one version of the map. */
export interface SlotPlaces {
  readonly mapVersion: number;
  /** Where its copies belong. */
  readonly homes: readonly DiskId[];
  /** How many homes decide. */
  readonly majority: number;
  /** Every slot lies where this map says: nobody else needs to be asked. */
  readonly isSettled: boolean;
  /** Disks that may have a copy of before the map changed; none once slots are settled. */
  readonly elsewhere: readonly DiskId[];
  /** Disks whose copies count while slots are not settled, and how many may be silent. */
  readonly missed: ReadonlySet<DiskId>;
  readonly silentMax: number;
}

/** What is known once every slot lies where a version of the map says. */
export interface Settlement {
  readonly mapVersion: number;
  /** The least number of homes that decide about a slot under that map. */
  readonly majority: number;
  /** Disks of that map that it places nothing on: what they have does not count any more. */
  readonly idle: ReadonlySet<DiskId>;
}

/** Computes where slots are; pure, but for the settlement that it is told of. */
export class SlotPlacer {
  readonly mapVersion: number;
  /** Every disk of the map that may have slots. */
  readonly disks: readonly DiskId[];
  /** What will be known when slots are settled under this map. */
  readonly settlement: Settlement;
  readonly #placer: Placer;
  readonly #copies: number;
  readonly #inService: ReadonlySet<DiskId>;
  #missed: ReadonlySet<DiskId>;
  #settled: Settlement | undefined;

  constructor(placer: Placer) {
    const { map } = placer;
    const inService = map.disks.filter(({ state }) => state === 'in').map(({ id }) => id);
    this.#placer = placer;
    this.mapVersion = map.version;
    this.disks = map.disks.filter(({ state }) => state !== 'removed').map(({ id }) => id);
    this.#copies = Math.min(2 * survives(parseScheme(map.scheme)) + 1, inService.length);
    this.#inService = new Set(inService);
    const majority = majorityOf(this.#copies);
    const idle = new Set(this.disks.filter((id) => !this.#inService.has(id)));
    this.settlement = { mapVersion: map.version, majority, idle };
    this.#missed = new Set(this.disks);
  }

  get isSettled(): boolean {
    return this.#settled?.mapVersion === this.mapVersion;
  }

  /** The least number of homes that decide about any slot. */
  get majority(): number {
    return this.settlement.majority;
  }

  /**
   * How many disks that are missed may be silent, so that of a slot that is not at home yet at least
   * one of the disks that decided about it was heard. Maps between the settled one and this may
   * have had smaller majorities: then they are taken to be as small as this one's.
   */
  get silentMax(): number {
    const settled = this.#settled;
    if (settled?.mapVersion === this.mapVersion - 1) return settled.majority - 1;
    return Math.min(this.majority, settled?.majority ?? this.majority) - 1;
  }

  /** Disks whose silence matters while slots are not settled. */
  get missed(): ReadonlySet<DiskId> {
    return this.#missed;
  }

  /** Takes note of a settlement under this map or one before it; older ones than known do nothing. */
  settled(settlement: Settlement): void {
    if (settlement.mapVersion <= (this.#settled?.mapVersion ?? 0)) return;
    if (settlement.mapVersion > this.mapVersion) return;
    this.#settled = settlement;
    const isMissed = (id: DiskId): boolean => this.#inService.has(id) || !settlement.idle.has(id);
    this.#missed = new Set(this.disks.filter(isMissed));
  }

  places(path: string): SlotPlaces {
    const { mapVersion, isSettled, missed, silentMax } = this;
    const placed = this.#copies === 0 ? [] : this.#placer.place(slotKey(path), this.#copies);
    const homes = placed.flatMap((placement) => placement?.disk.id ?? []);
    const majority = majorityOf(homes.length);
    const elsewhere = isSettled ? [] : this.disks.filter((id) => !homes.includes(id));
    return { mapVersion, homes, majority, isSettled, elsewhere, missed, silentMax };
  }
}

/** Whether a path is the volume's own: such objects are on every disk, and not placed. */
export function isSystemPath(path: string): boolean {
  return path.startsWith('system/');
}

/** What a slot is placed by: the BLAKE3-256 of its path. */
function slotKey(path: string): Buffer {
  return hashChunk(Buffer.from(path, 'utf8'));
}

function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}
