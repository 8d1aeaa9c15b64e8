/**
 * Placement in simulation: `npm run placement -- --disks 10000 --rooms 4 --chunks 1e7 --seed 1`.
 * Prints how evenly pieces lie, what a change of the hardware moves, how long a lookup takes, and
 * how probably schemes lose data; with --json FILE also as JSON. The status is 1 when two pieces
 * of a chunk shared a failure domain. docs/placement.md has the figures of a run.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { describeMachine } from '../bench/report.ts';
import { type Cluster, makeCluster } from './cluster.ts';
import { timeLookups } from './lookup-time.ts';
import { ASSUMED, type Assumptions, lossOf } from './loss.ts';
import { changesOf, measureMovement } from './movement.ts';
import { measureSpread } from './spread.ts';
import { lookupTable, lossTable, movementTable, spreadTable } from './tables.ts';

interface Options {
  disks: string;
  rooms: string;
  chunks: string;
  seed: string;
  uneven?: boolean;
  afr: string;
  diskTb: string;
  only?: string;
  json?: string;
}

const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));
const PIECES_PLACED = [1, 3, 6];
const DISKS_TIMED = [10, 100, 1000, 10_000];
const SCHEMES: readonly (readonly [disks: number, schemes: readonly string[]])[] = [
  [3, ['replica:2', 'replica:3', 'ec:2+1']],
  [10, ['replica:2', 'replica:3', 'ec:4+2', 'ec:6+2']],
  [30, ['replica:2', 'replica:3', 'ec:4+2', 'ec:8+2', 'ec:8+3']],
  [10_000, ['replica:2', 'replica:3', 'ec:4+2', 'ec:8+3', 'ec:8+4']],
];
/** Shares of the disks that rebuilding gets, for the table by rebuild time. */
const SHARES = [1, 0.5, 0.1, 0.02];

function numberOf(text: string, what: string, range: { min: number; max: number }): number {
  const value = Number(text);
  const { min, max } = range;
  if (text.trim() !== '' && value >= min && value <= max) return value;
  const state = `${min} to ${max} is possible`;
  throw new DfsError('BAD_ARGUMENT', `Cannot use "${text}" for ${what}: ${state}`);
}

function wholeOf(text: string, what: string, range: { min: number; max: number }): number {
  const value = numberOf(text, what, range);
  if (Number.isInteger(value)) return value;
  throw new DfsError('BAD_ARGUMENT', `Cannot use "${text}" for ${what}: give a whole number`);
}

function say(title: string, lines: readonly string[]): void {
  console.log(`${title}\n\n${lines.join('\n')}\n`);
}

function simulatePlacement(cluster: Cluster, run: { chunks: number; seed: number }): object {
  const { chunks, seed } = run;
  const map = makeCluster(cluster);
  // All chunks with three pieces, a tenth with others: a lookup takes microseconds.
  const tenth = Math.ceil(chunks / 10);
  const spread = PIECES_PLACED.filter((pieces) => pieces <= cluster.disks).map((pieces) => {
    return measureSpread(map, { pieces, chunks: pieces === 3 ? chunks : tenth, seed });
  });
  say('Spread: the worst node of a level from its share (what chance gives)', spreadTable(spread));
  const movement = changesOf(map).flatMap((change) => {
    const counts = PIECES_PLACED.filter((pieces) => pieces <= cluster.disks);
    return counts.map((pieces) => measureMovement(change, { pieces, chunks: tenth, seed }));
  });
  say('Movement, over what had to move', movementTable(movement));
  return { spread, movement };
}

function timeAll(cluster: Cluster, seed: number): object {
  const sizes = [...new Set([...DISKS_TIMED, cluster.disks])].sort((a, b) => a - b);
  const lookups = [false, true].flatMap((isUneven) => {
    return sizes.map((disks) => {
      return timeLookups({ disks, rooms: Math.min(cluster.rooms, disks), isUneven }, seed);
    });
  });
  say('CPU time of a lookup by number of pieces, fastest of 9 rounds', lookupTable(lookups));
  return { lookups };
}

function computeLoss(assumed: Assumptions): object {
  const bySchemes = SCHEMES.flatMap(([disks, schemes]) => {
    return schemes.map((scheme) => lossOf(scheme, disks, assumed));
  });
  const { annualFailureRate: rate, diskBytes, filled } = assumed;
  const of = `AFR ${percentOf(rate)}, ${diskBytes / 1e12} TB, ${percentOf(filled)} full`;
  say(`Loss by scheme (${of})`, lossTable(bySchemes));
  const byTime = SHARES.flatMap((share) => {
    return ['replica:2', 'replica:3', 'ec:4+2'].map((scheme) => {
      return { share, ...lossOf(scheme, 10, { ...assumed, share }) };
    });
  });
  say('Loss by rebuild time, 10 disks', lossTable(byTime));
  return { assumed, bySchemes, byTime };
}

function percentOf(part: number): string {
  return `${Number((100 * part).toFixed(2))}%`;
}

function run(options: Options): boolean {
  const disks = wholeOf(options.disks, '--disks', { min: 1, max: 60_000 });
  const rooms = wholeOf(options.rooms, '--rooms', { min: 1, max: Math.min(disks, 255) });
  const chunks = wholeOf(options.chunks, '--chunks', { min: 1, max: 1e10 });
  const seed = wholeOf(options.seed, '--seed', { min: 0, max: 2 ** 31 });
  const cluster = { disks, rooms, isUneven: options.uneven === true };
  const assumed = {
    ...ASSUMED,
    annualFailureRate: numberOf(options.afr, '--afr', { min: 1e-6, max: 0.99 }),
    diskBytes: 1e12 * numberOf(options.diskTb, '--disk-tb', { min: 0.001, max: 1000 }),
  };
  const parts: Record<string, () => object> = {
    placement: () => simulatePlacement(cluster, { chunks, seed }),
    lookups: () => timeAll(cluster, seed),
    loss: () => computeLoss(assumed),
  };
  const wanted = options.only?.split(',') ?? Object.keys(parts);
  const machine = describeMachine(REPOSITORY);
  const { date, commit, processor, node } = machine;
  console.log(`${date}, commit ${commit ?? 'unknown'}, ${processor}, Node ${node}\n`);
  const results: Record<string, object> = {};
  for (const name of wanted) {
    const part = parts[name];
    if (part === undefined) {
      const known = Object.keys(parts).join(', ');
      throw new DfsError('BAD_ARGUMENT', `Cannot run part "${name}": there are ${known}`);
    }
    results[name] = part();
  }
  if (options.json !== undefined) {
    const report = { machine, options: { ...cluster, chunks, seed }, ...results };
    writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  }
  const { spread } = (results.placement ?? { spread: [] }) as { spread: { violations: number }[] };
  return spread.every((one) => one.violations === 0);
}

const program = new Command('placement')
  .option('--disks <number>', 'disks of the cluster', '10000')
  .option('--rooms <number>', 'rooms they stand in', '4')
  .option('--chunks <number>', 'chunks to place', '1e7')
  .option('--seed <number>', 'of the chunks', '1')
  .option('--uneven', 'disks of four sizes')
  .option(
    '--afr <part>',
    'part of the disks that fail in a year',
    String(ASSUMED.annualFailureRate),
  )
  .option('--disk-tb <size>', 'size of a disk in TB', String(ASSUMED.diskBytes / 1e12))
  .option('--only <parts>', 'of placement,lookups,loss')
  .option('--json <file>', 'write the figures there')
  .action((options: Options) => {
    try {
      process.exitCode = run(options) ? 0 : 1;
    } catch (error) {
      console.error(messageOf(error));
      process.exitCode = 1;
    }
  });
program.parse();
