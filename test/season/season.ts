/**
 * A season in the life of a volume: random events by a seed while a load runs that knows every byte,
 * and after each a look at whether status tells the truth. At the end all must be right.
 */
import { Dice } from '../harness/seed.ts';
import { Bed } from './bed.ts';
import { EVENTS, type SeasonEvent } from './events.ts';
import { findUntruths } from './truth.ts';

/** How a season is run. */
export interface SeasonOptions {
  readonly events: number;
  readonly seed: number;
  /** Names of events that may come; all without. */
  readonly only?: readonly string[];
  /** Where the devices are made; the folder for temporary files without. */
  readonly folder?: string;
  readonly onEvent: (line: SeasonLine) => void;
  /** No further event comes once it is true. */
  readonly isOver?: () => boolean;
}

/** One event, as it is printed. */
export interface SeasonLine {
  readonly at: number;
  readonly event: string;
  readonly what: string;
  readonly ms: number;
  readonly untruths: readonly string[];
}

/** How a season went. */
export interface SeasonReport {
  readonly seed: number;
  readonly events: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly untruths: readonly string[];
  /** What is wrong at the end. */
  readonly wrong: readonly string[];
  readonly files: number;
  readonly bytes: number;
  readonly steps: number;
  readonly chunks: number;
  readonly seconds: number;
}

function pickEvent(bed: Bed, dice: Dice, only: readonly string[] | undefined): SeasonEvent {
  const possible = EVENTS.filter((event) => {
    return (only === undefined || only.includes(event.name)) && event.isPossible(bed);
  });
  const tickets = possible.flatMap((event) => new Array<SeasonEvent>(event.weight).fill(event));
  return dice.pick(tickets);
}

/** Runs a season; rejects when the load meets a wrong byte, or a verb fails that must not. */
export async function runSeason(options: SeasonOptions): Promise<SeasonReport> {
  const { events, seed, only, folder, onEvent, isOver } = options;
  const start = Date.now();
  const dice = new Dice(seed);
  const bed = await Bed.start(dice, folder);
  const counts: Record<string, number> = {};
  const untruths: string[] = [];
  const seen = { mapVersion: 0 };
  let at = 0;
  let running = 'start';
  try {
    for (; at < events && isOver?.() !== true; at++) {
      const event = pickEvent(bed, dice, only);
      running = event.name;
      const began = Date.now();
      const what = await event.run(bed, dice);
      const found = await findUntruths(bed, seen);
      await bed.devices.settle();
      counts[event.name] = (counts[event.name] ?? 0) + 1;
      untruths.push(...found.map((one) => `after event ${at}, ${event.name}: ${one}`));
      onEvent({ at, event: event.name, what, ms: Date.now() - began, untruths: found });
    }
    running = 'the end';
    const end = await finish(bed);
    const seconds = Math.round((Date.now() - start) / 1000);
    return { seed, events: at, counts, untruths, ...end, seconds };
  } catch (error) {
    const { log } = bed.volume;
    throw new Error(`Event ${at}, ${running}, seed ${seed}: ${String(error)}\n${log}`);
  } finally {
    await bed.stop();
  }
}

type End = Pick<SeasonReport, 'wrong' | 'files' | 'bytes' | 'steps' | 'chunks'>;

/** Lets everything come to rest, and looks at all of it. */
async function finish(bed: Bed): Promise<End> {
  const wrong: string[] = [];
  for (const disk of bed.members) await bed.mend(disk);
  const files = await bed.order('stop');
  if (!bed.verbs.add) await bed.remount();
  await bed.volume.commit();
  for (const disk of bed.members) await bed.diskIs(disk, ['up', 'full']);
  if (bed.verbs.scrub) await bed.scrub();
  if (bed.verbs.work) wrong.push(...(await findUnsettled(bed)));
  await bed.drop();
  const { checked, bytes } = await bed.order('check');
  const { missing, chunks } = await bed.pieces();
  if (missing.length > 0) wrong.push(`${missing.length} chunks miss pieces: ${missing[0]}`);
  if (bed.verbs.work) wrong.push(...(await findKept(bed)));
  return {
    wrong,
    files: Number(checked),
    bytes: Number(bytes),
    steps: Number(files.steps),
    chunks,
  };
}

/** All work is done: status must say so, and an independent reading must agree. */
async function findUnsettled(bed: Bed): Promise<string[]> {
  await bed.settle();
  const { health, problems } = await bed.status();
  return health === 'healthy' ? [] : [`settled, but ${health}: ${problems.join('; ')}`];
}

/** Removes what can be, and looks whether its space comes back. */
async function findKept(bed: Bed): Promise<string[]> {
  const before = (await bed.pieces()).bytes;
  const { bytes } = await bed.order('shrink');
  await bed.volume.commit();
  const isBack = await bed.waitForSpace(before - Number(bytes));
  return isBack ? [] : [`${String(bytes)} bytes of files were removed, but stay on the disks`];
}
