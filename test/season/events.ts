import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { FaultRule } from '../faultfs/mod.ts';
import type { Dice } from '../harness/seed.ts';
import type { Bed, SeasonDisk } from './bed.ts';
import { dfsctl, dfsctlWell } from './verbs.ts';

/** Something that happens to a volume. */
export interface SeasonEvent {
  readonly name: string;
  /** How often it comes, beside the others. */
  readonly weight: number;
  readonly isPossible: (bed: Bed) => boolean;
  /** What exactly happened, for the record. */
  readonly run: (bed: Bed, dice: Dice) => Promise<string>;
}

const SCHEMES: readonly string[] = ['replica:2', 'replica:3', 'ec:4+2'];
/** So many disks always work: enough for ec:4+2 with one to spare. */
const WORKING_MIN = 7;
const FILLED = 0.97;
const FAILURES: readonly Omit<FaultRule, 'devices'>[] = [
  { operation: 'any', kind: 'EIO' },
  { operation: 'any', kind: 'EIO', from: 20 },
  { operation: 'write', kind: 'EIO' },
  { operation: 'sync', kind: 'drop' },
];

function always(): boolean {
  return true;
}

function isWhole(bed: Bed): boolean {
  return bed.hurt.length === 0;
}

function canLose(bed: Bed): boolean {
  return isWhole(bed) && bed.working.length > WORKING_MIN && healthyDisks(bed).length > 0;
}

/** Disks that nothing else is happening to. */
function healthyDisks(bed: Bed): SeasonDisk[] {
  return bed.working.filter((disk) => !disk.isDraining && disk.ballast === undefined);
}

async function commit(bed: Bed): Promise<void> {
  await dfsctlWell(['commit', bed.volume.mountPoint]);
}

async function askToDrain(bed: Bed, disk: SeasonDisk, deadlineMs?: number): Promise<string> {
  const args = ['diskmap', 'remove', bed.volume.mountPoint, String(disk.id), '--expert'];
  const { status, errors } = await dfsctl(args, deadlineMs);
  return status === 0 ? 'asked' : `asked in vain: ${errors.trim()}`;
}

async function isDraining(bed: Bed, disk: SeasonDisk): Promise<boolean> {
  const found = (await bed.status()).disks.find(({ id }) => id === disk.id);
  return found === undefined || (found as { mapState?: string }).mapState === 'draining';
}

/** The disk is out of the map: the device is a spare again, with nothing on it. */
function becomeSpare(disk: SeasonDisk): void {
  rmSync(join(disk.folder, 'dfs'), { recursive: true, force: true });
  disk.id = undefined;
  disk.isDraining = false;
}

/** What can happen in a season. */
export const EVENTS: readonly SeasonEvent[] = [
  {
    name: 'work',
    weight: 4,
    isPossible: always,
    run: async (_, dice) => {
      const ms = 200 + dice.below(1500);
      await pause(ms);
      return `${ms} ms`;
    },
  },
  {
    name: 'commit',
    weight: 3,
    isPossible: always,
    run: async (bed) => {
      await commit(bed);
      return '';
    },
  },
  {
    name: 'cold',
    weight: 3,
    isPossible: always,
    run: async (bed) => {
      await bed.drop();
      return '';
    },
  },
  {
    name: 'daemon killed',
    weight: 2,
    isPossible: always,
    run: async (bed, dice) => {
      if (dice.below(2) === 0) await bed.volume.killDaemon();
      else await Promise.all([bed.volume.killDaemon(), dfsctl(['commit', bed.volume.mountPoint])]);
      await bed.volume.serving();
      return '';
    },
  },
  {
    name: 'all killed',
    weight: 1,
    isPossible: always,
    run: async (bed) => {
      await bed.whileStill(async () => {
        await bed.volume.killAll();
        await bed.volume.mount();
      });
      return '';
    },
  },
  {
    name: 'remount',
    weight: 1,
    isPossible: always,
    run: async (bed) => {
      await bed.whileStill(() => bed.remount());
      return '';
    },
  },
  {
    name: 'recovered into a new HOME',
    weight: 1,
    isPossible: (bed) => bed.members.every((disk) => disk.rule === undefined && !disk.isFlipped),
    run: async (bed) => {
      return await bed.whileStill(async () => {
        await bed.volume.unmount();
        const folders = bed.members.map((disk) => disk.folder);
        const report = await bed.volume.recover(folders);
        await bed.hurry();
        await bed.volume.mount();
        return `epoch ${report.epoch}`;
      });
    },
  },
  {
    name: 'garbage',
    weight: 1,
    isPossible: always,
    run: async (bed) => {
      const { removed, bytes } = await bed.order('shrink');
      await bed.order('go');
      return `${String(removed)} files, ${String(bytes)} bytes`;
    },
  },
  {
    name: 'disk fails',
    weight: 4,
    isPossible: canLose,
    run: async (bed, dice) => {
      const disk = dice.pick(healthyDisks(bed));
      const rule = dice.pick(FAILURES);
      await bed.fault(disk, rule);
      // What nobody writes to is not known to fail.
      await commit(bed);
      return `${disk.id}: ${rule.operation} ${rule.kind}`;
    },
  },
  {
    name: 'disk returns',
    weight: 5,
    isPossible: (bed) => bed.members.some((disk) => disk.rule !== undefined),
    run: async (bed, dice) => {
      const disk = dice.pick(bed.members.filter((one) => one.rule !== undefined));
      await bed.mend(disk);
      // Without a prober only a mount takes it in again.
      if (!bed.verbs.add) await bed.whileStill(() => bed.remount());
      await bed.diskIs(disk, ['up', 'full']);
      disk.isFailed = false;
      return String(disk.id);
    },
  },
  {
    name: 'disk fails for good',
    weight: 1,
    isPossible: (bed) => {
      return bed.verbs.fail && bed.hurt.some((disk) => disk.rule !== undefined);
    },
    run: async (bed) => {
      const disk = bed.hurt.find((one) => one.rule !== undefined) as SeasonDisk;
      await dfsctlWell(['diskmap', 'fail', bed.volume.mountPoint, String(disk.id)]);
      disk.isFailedByHand = true;
      return String(disk.id);
    },
  },
  {
    name: 'settle',
    weight: 4,
    isPossible: (bed) => bed.verbs.work,
    run: async (bed) => {
      await bed.settle();
      return '';
    },
  },
  {
    name: 'bits flip',
    weight: 3,
    isPossible: (bed) => bed.verbs.scrub && isWhole(bed) && healthyDisks(bed).length > 0,
    run: async (bed, dice) => {
      const disk = dice.pick(healthyDisks(bed));
      const flip = { device: disk.device, path: 'buckets/', seed: dice.below(2 ** 31), count: 5 };
      const flips = await bed.devices.flip(flip);
      disk.isFlipped = true;
      return `${disk.id}: ${flips.map(({ path, offset }) => `${path}+${offset}`).join(' ')}`;
    },
  },
  {
    name: 'scrub',
    weight: 2,
    isPossible: (bed) => bed.verbs.scrub,
    run: async (bed) => {
      await bed.scrub();
      return '';
    },
  },
  {
    name: 'disk added',
    weight: 2,
    isPossible: (bed) => bed.verbs.add && bed.disks.some((disk) => disk.id === undefined),
    run: async (bed, dice) => {
      const disk = dice.pick(bed.disks.filter((one) => one.id === undefined));
      const known = new Set((await bed.status()).disks.map(({ id }) => id));
      await dfsctlWell(['diskmap', 'add', bed.volume.mountPoint, disk.folder, '--yes']);
      const now = (await bed.status()).disks;
      disk.id = now.find(({ id }) => !known.has(id))?.id;
      if (disk.id === undefined) throw new Error('diskmap add added nothing');
      return String(disk.id);
    },
  },
  {
    name: 'disk drained',
    weight: 2,
    isPossible: (bed) => bed.verbs.remove && bed.verbs.work && canLose(bed),
    run: async (bed, dice) => {
      const disk = dice.pick(healthyDisks(bed));
      // Interrupted once or twice: who asks may hear nothing, and asks again.
      const [first] = await Promise.all([
        askToDrain(bed, disk, 2000 + dice.below(3000)),
        dice.below(2) === 0 ? bed.volume.killDaemon() : undefined,
      ]);
      await bed.volume.serving();
      if (!(await isDraining(bed, disk))) await askToDrain(bed, disk);
      disk.isDraining = true;
      if (dice.below(3) === 0) {
        await bed.whileStill(async () => {
          await bed.volume.killAll();
          await bed.volume.mount();
        });
      }
      await bed.diskGone(disk);
      const id = disk.id;
      becomeSpare(disk);
      return `${id}, ${first}`;
    },
  },
  {
    name: 'disk fills up',
    weight: 2,
    isPossible: (bed) => {
      return (
        bed.verbs.limit && bed.disks.every((disk) => disk.ballast === undefined) && canLose(bed)
      );
    },
    run: async (bed, dice) => {
      const disk = dice.pick(healthyDisks(bed));
      disk.ballast = join(disk.folder, 'ballast');
      const { bsize, blocks, bavail } = statfsSync(disk.folder);
      const bytes = Math.floor(bavail - blocks * (1 - FILLED)) * bsize;
      if (bytes > 0) writeFileSync(disk.ballast, Buffer.alloc(bytes, 0xb1));
      await commit(bed);
      return `${disk.id}: ${bytes} bytes`;
    },
  },
  {
    name: 'disk has room again',
    weight: 2,
    isPossible: (bed) => bed.working.some((disk) => disk.ballast !== undefined),
    run: async (bed) => {
      const disk = bed.working.find((one) => one.ballast !== undefined) as SeasonDisk;
      await bed.mend(disk);
      await commit(bed);
      return String(disk.id);
    },
  },
  {
    name: 'scheme set',
    weight: 1,
    isPossible: (bed) => bed.verbs.scheme && isWhole(bed),
    run: async (bed, dice) => {
      const scheme = dice.pick(SCHEMES.filter((one) => one !== bed.scheme));
      await dfsctlWell(['scheme', 'set', scheme, bed.volume.mountPoint]);
      bed.scheme = scheme;
      return scheme;
    },
  },
];
