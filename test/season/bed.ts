import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { volumeTag } from '../../src/diskmap/mod.ts';
import { requireConfig, writeConfig } from '../../src/home/mod.ts';
import { type StatusReport } from '../../src/node/mod.ts';
import { NodeProgram } from '../databases/program.ts';
import { FaultFs, type FaultRule } from '../faultfs/mod.ts';
import { until } from '../harness/processes.ts';
import type { Dice } from '../harness/seed.ts';
import { TestVolume } from '../harness/volume.ts';
import { type PiecesFound, readPieces } from './pieces.ts';
import { dfsctl, dfsctlWell, hasVerb } from './verbs.ts';

const MIB: number = 2 ** 20;
const BUCKET_BYTES: number = 4 * MIB;
const CACHE_BYTES: number = 256 * MIB;
const SIZES_MIB: readonly number[] = [96, 128, 192, 256];
const DISKS_AT_START = 10;
const DEVICES = 16;
const WORK_MS = 300_000;
const STATUS_MS = 60_000;

/** A device, and what the season knows of it. */
export interface SeasonDisk {
  readonly device: string;
  readonly folder: string;
  /** In the map; undefined while it is a spare. */
  id: number | undefined;
  /** The fault that keeps it from working. */
  rule: number | undefined;
  /** The volume has declared it failed, or a person has. */
  isFailed: boolean;
  isFailedByHand: boolean;
  isDraining: boolean;
  ballast: string | undefined;
  /** Bits were turned over on it, and not looked for since. */
  isFlipped: boolean;
}

/** Verbs of this version; without them some events do not come. */
export interface Verbs {
  readonly add: boolean;
  readonly fail: boolean;
  readonly remove: boolean;
  readonly work: boolean;
  readonly scrub: boolean;
  readonly scheme: boolean;
  /** Disks take pieces up to a limit, which status knows. */
  readonly limit: boolean;
}

/** A volume on devices that can fail, a load on it, and all that is done to them. */
export class Bed {
  readonly devices: FaultFs;
  readonly volume: TestVolume;
  readonly disks: readonly SeasonDisk[];
  readonly verbs: Verbs;
  scheme = 'replica:2';
  #load: NodeProgram | undefined;

  private constructor(parts: Pick<Bed, 'devices' | 'volume' | 'disks' | 'verbs'>) {
    this.devices = parts.devices;
    this.volume = parts.volume;
    this.disks = parts.disks;
    this.verbs = parts.verbs;
  }

  /** Makes the volume, mounts it and starts the load. */
  static async start(dice: Dice, folder?: string): Promise<Bed> {
    const names = Array.from({ length: DEVICES }, (_, index) => `disk${index + 1}`);
    const sizes = names.map((name, index) => {
      return [name, (SIZES_MIB[index % SIZES_MIB.length] as number) * MIB] as const;
    });
    const place = folder === undefined ? {} : { folder };
    const devices = await FaultFs.start({ devices: Object.fromEntries(sizes), ...place });
    let volume: TestVolume | undefined;
    try {
      const disks = names.map((device, index): SeasonDisk => {
        const faults = { rule: undefined, isFailed: false, isFailedByHand: false };
        const state = { ...faults, ballast: undefined, isDraining: false };
        const id = index < DISKS_AT_START ? index + 1 : undefined;
        return { device, folder: devices.device(device), id, ...state, isFlipped: false };
      });
      const diskFolders = disks.flatMap((disk) => (disk.id === undefined ? [] : [disk.folder]));
      const made = { diskFolders, bucketBytes: BUCKET_BYTES, cacheBytes: CACHE_BYTES };
      volume = await TestVolume.create({ scheme: 'replica:2', ...made });
      const bed = new Bed({ devices, volume, disks, verbs: await findVerbs(volume.home) });
      await bed.hurry();
      await volume.mount();
      await bed.#startLoad(dice.below(2 ** 30));
      return bed;
    } catch (error) {
      await volume?.dispose();
      await devices.stop();
      throw error;
    }
  }

  /** Times of days become seconds. */
  async hurry(): Promise<void> {
    const { home } = this.volume;
    const times = { commitIntervalMs: 1000, rebuildAfterMs: 3000, retentionMs: 0 };
    await writeConfig(home, { ...(await requireConfig(home)), ...times, garbageGraceMs: 1000 });
  }

  async #startLoad(seed: number): Promise<void> {
    await dfsctlWell(['commit', this.volume.mountPoint]);
    const folder = join(this.volume.mountPoint, 'load');
    mkdirSync(folder);
    this.#load = new NodeProgram('season-load-main.js', [folder, String(seed)]);
    await this.#answer();
    await this.order('go');
  }

  async #answer(): Promise<Record<string, unknown>> {
    if (this.#load === undefined) throw new Error('Cannot ask the load: it does not run');
    const answer = await this.#load.next();
    if (answer.failed !== undefined)
      throw new Error(`The load failed: ${JSON.stringify(answer.failed)}`);
    return answer;
  }

  /** Tells the load what to do: go, stop, check or shrink. */
  async order(order: 'go' | 'stop' | 'check' | 'shrink'): Promise<Record<string, unknown>> {
    this.#load?.send(order);
    return await this.#answer();
  }

  /** Does something that a running load would not survive. */
  async whileStill<T>(work: () => Promise<T>): Promise<T> {
    await this.order('stop');
    const result = await work();
    await this.order('go');
    return result;
  }

  async status(): Promise<StatusReport> {
    return JSON.parse(await dfsctlWell(['status', this.volume.home, '--json'])) as StatusReport;
  }

  /** The same as its control API says it, which is what dfsctl shows, without its start. */
  async statusNow(): Promise<StatusReport> {
    return (await this.volume.call('GET', '/status')) as unknown as StatusReport;
  }

  /** Disks of the volume, whatever their state. */
  get members(): SeasonDisk[] {
    return this.disks.filter((disk) => disk.id !== undefined);
  }

  /** Those that work. */
  get working(): SeasonDisk[] {
    return this.members.filter((disk) => disk.rule === undefined);
  }

  /** Those some of whose pieces may be lost, as far as is known before everything has settled. */
  get hurt(): SeasonDisk[] {
    return this.members.filter(
      (disk) => disk.isFlipped || (disk.rule !== undefined && !disk.isFailed),
    );
  }

  async fault(disk: SeasonDisk, rule: Omit<FaultRule, 'devices'>): Promise<void> {
    disk.rule = await this.devices.setFault({ ...rule, devices: [disk.device] });
  }

  /**
   * Waits until background work has nothing left to do and no chunk in use misses a piece on the
   * disks that work; what has failed is then no loss any more.
   */
  async settle(): Promise<void> {
    let missing: readonly string[] = [];
    const isSettled = async (): Promise<boolean> => {
      // It fails when something has to wait for a disk that may come back.
      await dfsctl(['work', 'wait', this.volume.mountPoint], WORK_MS);
      // Chunks that came since are not work that was waited for.
      ({ missing } = await this.pieces());
      return missing.length === 0;
    };
    await until('work is done and every piece there', isSettled, WORK_MS).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}; ${missing.length} chunks miss pieces: ${missing[0]}`);
      },
    );
    for (const disk of this.members) if (disk.rule !== undefined) disk.isFailed = true;
  }

  /** Verifies every piece; what was turned over is found and built anew. */
  async scrub(): Promise<void> {
    const beganMs = Date.now();
    // It fails when something has to wait, for a disk that is full or away: pieces tell.
    const { errors } = await dfsctl(['scrub', 'start', this.volume.mountPoint, '--wait'], WORK_MS);
    const { work } = await this.status();
    if ((work?.scrub.lastFullMs ?? 0) < beganMs)
      throw new Error(`the scrub is not over: ${errors}`);
    await this.settle();
    for (const disk of this.members) disk.isFlipped = false;
  }

  /** Takes what is committed out of the cache. */
  async drop(): Promise<void> {
    await dfsctlWell(['cache', 'drop', this.volume.mountPoint]);
  }

  /** Whether so few bytes of pieces are left on the disks, or soon are. */
  async waitForSpace(bytes: number): Promise<boolean> {
    const isBack = async (): Promise<boolean> => (await this.pieces()).bytes <= bytes;
    // Snapshots keep what was removed until two later ones are written, a minute apart at least.
    return await until('space is back', isBack, 2 * WORK_MS).then(
      () => true,
      () => false,
    );
  }

  /** Reads all bucket files of the disks that work. */
  async pieces(): Promise<PiecesFound> {
    const { volumeUuid } = await requireConfig(this.volume.home);
    const disks = this.working.map(({ id, folder }) => ({ id: id as number, folder }));
    return await readPieces(this.volume.home, disks, volumeTag(volumeUuid));
  }

  /** The volume is mounted anew, with a new daemon. */
  async remount(): Promise<void> {
    await this.volume.unmount();
    await this.volume.mount();
  }

  /** Waits until status says of every disk one of the states it must; of which it does not. */
  async disksNotAs(expected: (disk: SeasonDisk) => readonly string[]): Promise<string[]> {
    let wrong: string[] = [];
    const isAsExpected = async (): Promise<boolean> => {
      // A new daemon answers a little later.
      const disks = (await this.statusNow().catch(() => undefined))?.disks;
      if (disks === undefined) return false;
      wrong = this.members.flatMap((disk) => {
        const state = disks.find((one) => one.id === disk.id)?.state ?? 'not there';
        const states = expected(disk);
        if (states.includes(state)) return [];
        return [`status says ${state} of disk ${disk.id}, not ${states.join(' or ')}`];
      });
      return wrong.length === 0;
    };
    await until('status is right', isAsExpected, STATUS_MS).catch(() => undefined);
    return wrong;
  }

  /** The same of one disk; rejects if it does not come to be. */
  async diskIs(disk: SeasonDisk, states: readonly string[]): Promise<void> {
    const any = ['up', 'full', 'down', 'missing'];
    const [wrong] = await this.disksNotAs((one) => (one === disk ? states : any));
    if (wrong !== undefined) throw new Error(wrong);
  }

  /** The device works again, with the room it had. */
  async mend(disk: SeasonDisk): Promise<void> {
    if (disk.rule !== undefined) await this.devices.clearFault(disk.rule);
    disk.rule = undefined;
    if (disk.ballast !== undefined) rmSync(disk.ballast, { force: true });
    disk.ballast = undefined;
    if (!disk.isFailedByHand) return;
    const args = ['diskmap', 'fail', this.volume.mountPoint, String(disk.id), '--cancel'];
    await dfsctlWell(args);
    disk.isFailedByHand = false;
  }

  /** Waits until a disk that is drained is out of the map. */
  async diskGone(disk: SeasonDisk): Promise<void> {
    const isGone = async (): Promise<boolean> => {
      const disks = (await this.statusNow().catch(() => undefined))?.disks ?? [];
      return disks.length > 0 && !disks.some(({ id }) => id === disk.id);
    };
    await until(`disk ${disk.id} is drained`, isGone, WORK_MS);
  }

  async stop(): Promise<void> {
    await this.#load?.end();
    await this.volume.dispose();
    await this.devices.stop();
  }
}

async function findVerbs(home: string): Promise<Verbs> {
  const names = ['diskmap add', 'diskmap fail', 'diskmap remove', 'work', 'scrub', 'scheme'];
  const [add, fail, remove, work, scrub, scheme] = await Promise.all(names.map(hasVerb));
  const has = (verb: boolean | undefined): boolean => verb === true;
  return {
    add: has(add),
    fail: has(fail),
    remove: has(remove),
    work: has(work),
    scrub: has(scrub),
    scheme: has(scheme),
    limit: (await dfsctlWell(['status', home, '--json'])).includes('"nearlyFull"'),
  };
}
