import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openVolume } from '../../src/api/mod.ts';
import { requireConfig, writeConfig } from '../../src/home/mod.ts';
import { recoverVolume } from '../../src/node/mod.ts';
import type { CutPolicy, Mark, NameModel } from '../faultfs/mod.ts';
import type { Dice } from '../harness/seed.ts';
import { TestVolume } from '../harness/volume.ts';
import type { Known, Load } from './load.ts';
import { NodeProgram } from './program.ts';
import { DISKS, type Plan, type Recording } from './rig.ts';

const POLICIES: readonly CutPolicy[] = ['lose', 'keep', 'prefix', 'subset', 'torn', 'any', 'any'];
const LOSSES = ['nothing', 'nothing', 'home', 'home and a disk'] as const;
const CACHE_BYTES: number = 2 ** 28;

/** A power cut, what else is lost with it, and how the databases are looked at. */
export interface Point {
  sequence: number;
  seed: number;
  policy: CutPolicy;
  names: NameModel;
  loss: (typeof LOSSES)[number];
  /** Which disk is lost. */
  disk: number;
  /** Databases are opened on a mount; else on copies of what the volume has. */
  isMounted: boolean;
}

/** A point anywhere in a recording, more often where something was acknowledged. */
export function choosePoint(dice: Dice, recording: Recording, mountedOneIn: number): Point {
  const { from, to, marks } = recording;
  const anywhere = from + 1 + dice.below(to - from);
  const isAtMark = dice.below(2) === 0 && marks.length > 0;
  const near = isAtMark ? dice.pick(marks).sequence + dice.pick([0, 0, 1, 2, 5, -1]) : anywhere;
  return {
    sequence: Math.max(from + 1, Math.min(to, near)),
    seed: dice.below(2 ** 31),
    policy: dice.pick(POLICIES),
    names: dice.pick(['strict', 'ext4'] as const),
    loss: dice.pick(LOSSES),
    disk: dice.below(DISKS.length),
    isMounted: dice.below(mountedOneIn) === 0,
  };
}

/** What must be there of a load after a cut, by what was marked before it. */
export function knownOf(load: Load, given: { plan: Plan; point: Point; marks: Mark[] }): Known {
  const { plan, point, marks } = given;
  const before = marks.filter(({ sequence }) => sequence <= point.sequence);
  const commit = before.findLast(({ text }) => text.startsWith('committed '));
  const last = (sequence: number): number => {
    const own = (mark: Mark): boolean => mark.sequence <= sequence && nameIn(mark) === load.name;
    return numberIn(before.findLast(own));
  };
  const acknowledged = last(point.sequence);
  const isHomeLost = point.loss !== 'nothing';
  const isStrong = plan.mode === 'strong' || plan.marked.includes(load.name);
  const isSynced = load.isSynced && (!isHomeLost || isStrong);
  const least = isSynced ? acknowledged : last(numberIn(commit));
  return { least, acknowledged, isInstant: isHomeLost };
}

function nameIn({ text }: Mark): string {
  return text.split(' ')[0] ?? '';
}

function numberIn(mark: Mark | undefined): number {
  return Number(mark?.text.split(' ')[1] ?? 0);
}

/** Writes the state of a point into `state`, opens the volume and every database: what is wrong. */
export async function checkPoint(
  recording: Recording,
  plan: Plan,
  point: Point,
  folder: string,
): Promise<string[]> {
  const state = join(folder, 'state');
  mkdirSync(state);
  try {
    const { sequence, seed, policy, names } = point;
    await recording.devices.crashState({ sequence, seed, policy, names, target: state });
    const home = await restore(state, point);
    const look = { home, state, plan, point, recording };
    if (!point.isMounted) return await checkCopies(look);
    const problems = await checkMounted(look);
    if (problems.length > 0 || point.loss !== 'nothing') return problems;
    // What the databases made of it is committed, and HOME is lost after all.
    const later = { ...point, loss: 'home and a disk' } as const;
    await restore(state, later);
    return await checkCopies({ ...look, isCommitted: true });
  } catch (error) {
    return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
}

/** HOME as the next boot of the machine has it, or a new one from the disks. */
async function restore(state: string, point: Point): Promise<string> {
  const home = join(state, 'home');
  const disks = DISKS.map((name) => join(state, name));
  if (point.loss === 'nothing') {
    const config = await requireConfig(home);
    const moved = config.disks.map((disk) => ({ ...disk, path: disks[disk.id - 1] ?? '' }));
    await writeConfig(home, { ...config, disks: moved });
    if (existsSync(join(home, 'boot-id'))) writeFileSync(join(home, 'boot-id'), 'another\n');
    return home;
  }
  rmSync(home, { recursive: true, force: true });
  const left = disks.filter((_, index) => point.loss === 'home' || index !== point.disk);
  for (const disk of disks) if (!left.includes(disk)) rmSync(disk, { recursive: true });
  const options = { cacheBytes: CACHE_BYTES, log: () => undefined, onProgress: () => undefined };
  const report = await recoverVolume({ home, disks: left, ...options });
  if (report.lost.length > 0) throw new Error(`recover lost ${JSON.stringify(report.lost)}`);
  return home;
}

interface Look {
  home: string;
  state: string;
  plan: Plan;
  point: Point;
  recording: Recording;
  /** The databases were opened before, and that was committed. */
  isCommitted?: boolean;
}

/** Opens the databases on copies, out of the volume opened without a mount. */
async function checkCopies(look: Look): Promise<string[]> {
  const { home, state, plan } = look;
  const copies = join(state, 'copies');
  await using volume = await openVolume(home, { storeThread: false, commitAtEnd: false });
  for (const { name } of plan.loads) await copyOut(`/${name}`, join(copies, name));
  return await checkAll(look, copies, (load, folder, known) => load.check(folder, known));

  async function copyOut(from: string, to: string): Promise<void> {
    mkdirSync(to, { recursive: true });
    await keepOwner(from, to);
    for (const entry of await volume.readdir(from, { withFileTypes: true })) {
      const [source, target] = [`${from}/${entry.name}`, join(to, entry.name)];
      if (entry.isDirectory()) await copyOut(source, target);
      else if (entry.isFile()) {
        writeFileSync(target, await volume.readFile(source));
        await keepOwner(source, target);
      }
    }
  }

  async function keepOwner(from: string, to: string): Promise<void> {
    const { uid, gid, mode } = await volume.stat(from);
    if (uid === 0) return;
    chownSync(to, uid, gid);
    chmodSync(to, mode & 0o7777);
  }
}

/** Opens the databases on a mount, each in a process of its own. */
async function checkMounted(look: Look): Promise<string[]> {
  const { home, plan } = look;
  const volume = await TestVolume.create({ isMade: true, home, diskFolders: [] });
  try {
    await volume.mount({ mode: plan.mode });
    chmodSync(volume.folder, 0o755);
    const problems = await checkAll(look, volume.mountPoint, async ({ name }, folder, known) => {
      const program = new NodeProgram('database-check-main.js', [
        name,
        folder,
        JSON.stringify(known),
      ]);
      try {
        return (await program.next()).problems as string[];
      } finally {
        await program.end();
      }
    });
    // What goes on with the disks must not meet a process that is still ending.
    if (look.point.loss === 'nothing') await volume.unmount();
    return problems;
  } finally {
    await volume.dispose();
  }
}

async function checkAll(
  { plan, point, recording: { marks }, isCommitted = false }: Look,
  folder: string,
  check: (load: Load, folder: string, known: Known) => Promise<string[]>,
): Promise<string[]> {
  const problems: string[] = [];
  for (const load of plan.loads) {
    const known = knownOf(load, { plan, point, marks });
    // What was not of one instant after the power cut was committed as it was.
    if (isCommitted) known.isInstant = false;
    const found = await check(load, join(folder, load.name), known).catch((error: unknown) => [
      `cannot be opened: ${wordsOf(error)}`,
    ]);
    for (const problem of found) {
      problems.push(`${load.name}: ${problem} (${JSON.stringify(known)})`);
    }
  }
  return problems;
}

/** LevelDB says why only in the cause. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
