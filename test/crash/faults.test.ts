import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { FaultFs, type FaultKind, type FaultOperation, type FaultRule } from '../faultfs/mod.ts';
import { Program, until } from '../harness/processes.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

// Each fault of the rig on each device while a load runs: callers are told the truth, no wrong byte
// is read, nothing hangs for longer than the deadline of a disk, status says what is wrong, and when
// the fault is over everything is committed.

const seed = seedOf('test/crash/faults.test.ts');
/** How many cases run, or which ("disk-hang,meta-full"), or "all". The seed picks. */
const CASES = process.env.DFS_FAULT_CASES ?? '5';
const LOAD_MS = 1000;
const DISKS = ['disk1', 'disk2', 'disk3'];

/** One disk; all disks; the files of HOME/cache; the metadata in HOME; everything. */
const PLACES = ['disk', 'disks', 'cache', 'meta', 'all'] as const;
type Place = (typeof PLACES)[number];
const FAULTS = ['write', 'read', 'sync', 'lie', 'full', 'slow', 'hang', 'flip'] as const;
type Fault = (typeof FAULTS)[number];

interface Case {
  place: Place;
  fault: Fault;
}

const KINDS: Record<Exclude<Fault, 'flip'>, [FaultOperation, FaultKind]> = {
  write: ['write', 'EIO'],
  read: ['read', 'EIO'],
  sync: ['sync', 'drop'],
  lie: ['sync', 'lie'],
  full: ['write', 'ENOSPC'],
  slow: ['any', 'slow'],
  hang: ['any', 'hang'],
};

const WHERE: Record<Place, Pick<FaultRule, 'devices' | 'path'>> = {
  disk: { devices: ['disk2'] },
  disks: { devices: DISKS },
  cache: { devices: ['home'], path: '^home/cache/' },
  meta: { devices: ['home'], path: '^home/(meta|committed)' },
  all: {},
};

/** Bits of one copy are flipped, not of all; and when HOME hangs there is nothing to go on with. */
function isPossible({ place, fault }: Case): boolean {
  if (fault === 'flip') return place === 'disk';
  return fault !== 'hang' || place === 'disk' || place === 'disks';
}

const ALL: Case[] = PLACES.flatMap((place) => FAULTS.map((fault) => ({ place, fault }))).filter(
  isPossible,
);

function picked(): Case[] {
  if (CASES === 'all') return ALL;
  const names = CASES.split(',');
  const named = ALL.filter(({ place, fault }) => names.includes(`${place}-${fault}`));
  if (named.length > 0) return named;
  const dice = new Dice(seed);
  const left = [...ALL];
  const count = Math.min(Number(CASES), left.length);
  return Array.from({ length: count }, () => left.splice(dice.below(left.length), 1)).flat();
}

function ruleOf({ place, fault }: Case, dice: Dice): FaultRule {
  const [operation, kind] = KINDS[fault as Exclude<Fault, 'flip'>];
  const rule: FaultRule = { ...WHERE[place], operation, kind, from: 1 + dice.below(6) };
  if (kind === 'slow') return { ...rule, ms: 2, jitterMs: 10, seed: dice.below(1000) };
  if (kind === 'hang') return { ...rule, from: 1 };
  // Metadata that cannot be read at all is lost.
  if (place === 'meta' && fault === 'read') return { ...rule, count: 3 };
  // Now and then, so that something goes on.
  if (place === 'all') return { ...rule, chance: 0.05, seed: dice.below(1000) };
  return rule;
}

/** The errors that callers may see: none when only disks fail, as the cache has the data. */
function mayFail({ place, fault }: Case, error: string): boolean {
  const isOfDisks = place === 'disk' || place === 'disks';
  if (fault === 'slow' || fault === 'lie' || fault === 'hang' || fault === 'flip') return false;
  // What is not in the cache can only come from disks.
  if (isOfDisks) return place === 'disks' && fault === 'read' && error.endsWith(' EIO');
  return fault === 'full' ? / (ENOSPC|EIO)$/.test(error) : error.endsWith(' EIO');
}

interface Report {
  errors: Record<string, number>;
  longest: Record<string, number>;
  steps: number;
}

interface Status {
  health: string;
  problems: string[];
  disks: { id: number; state: string; badPieces: number | null }[];
}

describe.skipIf(!canMount)('a volume on failing devices', () => {
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  async function start(): Promise<{ rig: FaultFs; volume: TestVolume; load: Program }> {
    const rig = await FaultFs.start({ devices: ['home', ...DISKS] });
    ends.push(() => rig.stop());
    const home = join(rig.device('home'), 'home');
    const diskFolders = DISKS.map((name) => rig.device(name));
    const volume = await TestVolume.create({ home, diskFolders });
    ends.push(() => volume.dispose());
    await volume.mount();
    const load = new Program('fault_load.py', [join(volume.mountPoint, 'load'), `${seed}`]);
    ends.push(() => load.end());
    await load.next();
    await volume.commit();
    return { rig, volume, load };
  }

  /** The fault is there while the load runs and somebody asks for a commit: did that succeed? */
  async function suffer(
    one: Case,
    { rig, volume }: { rig: FaultFs; volume: TestVolume },
    dice: Dice,
  ): Promise<boolean> {
    const dropped = async (): Promise<void> => {
      await volume.call('POST', '/cache/drop?ino=1').catch(() => undefined);
    };
    if (one.fault === 'flip') {
      const flip = { device: 'disk2', path: 'buckets/', seed: dice.below(2 ** 31), count: 20 };
      expect((await rig.flip(flip)).length).toBeGreaterThan(0);
    } else {
      await rig.setFault(ruleOf(one, dice));
    }
    if (one.fault === 'read' || one.fault === 'flip') await dropped();
    await pause(LOAD_MS);
    const committed = await volume.commit().then(
      () => true,
      () => false,
    );
    if (one.fault === 'read') await dropped();
    await pause(LOAD_MS / 2);
    return committed;
  }

  async function commits(volume: TestVolume): Promise<boolean> {
    return volume.commit().then(
      () => true,
      () => false,
    );
  }

  for (const [index, one] of picked().entries()) {
    const name = `goes on, tells the truth and loses nothing: ${one.place}-${one.fault}`;
    it(name, { timeout: 240_000 }, async () => {
      const dice = new Dice(seed + index);
      const { rig, volume, load } = await start();
      const committed = await suffer(one, { rig, volume }, dice);
      const report = (await load.ask({ do: 'report' })) as unknown as Report;
      // A daemon that cannot read its metadata may end, and the next one takes over.
      await volume.serving();
      const status = (await volume.call('GET', '/status')) as unknown as Status;
      const seen = JSON.stringify({ committed, ...report, problems: status.problems });
      console.log(`${one.place}-${one.fault} ${seen}`);
      for (const error of Object.keys(report.errors)) expect(mayFail(one, error), error).toBe(true);
      // The fault is still there: what hangs would do no further step.
      await until('the load goes on', async () => {
        const { steps } = (await load.ask({ do: 'report' })) as unknown as Report;
        return steps > report.steps;
      });
      // One disk of three can be done without, two of three cannot with two copies.
      if (one.place === 'disk' && one.fault === 'hang') {
        expect(status).toMatchObject({ health: 'degraded' });
        expect(status.disks.map(({ state }) => state)).toEqual(['up', 'down', 'up']);
      }
      if (one.place === 'disks' && ['write', 'full', 'hang'].includes(one.fault)) {
        expect([committed, status.health]).toEqual([false, 'failing']);
      }

      await rig.clearFault();
      // A disk or a log that failed for good is taken again by the next mount only.
      const isFinal = ['write', 'sync', 'hang'].includes(one.fault);
      if (isFinal) {
        load.send({ do: 'close' });
        await until('the volume is mounted anew', async () => {
          await volume.unmount();
          await volume.mount();
          return true;
        });
        expect((await load.next()).closed).toBe(true);
      }
      // The other pauses between two attempts are limited, too.
      await until('everything is committed', () => commits(volume), 60_000);
      expect(await load.ask({ do: 'sync' })).toEqual({ errors: {} });
      const all = await load.ask({ do: 'check' });
      expect(all).toEqual({ checked: all.of, of: all.of, errors: {} });
      await volume.commit();
      await volume.call('POST', '/cache/drop?ino=1');
      const cold = await load.ask({ do: 'check' });
      expect(cold).toEqual({ checked: cold.of, of: cold.of, errors: {} });
      await load.end();
      await volume.unmount();
    });
  }
});
