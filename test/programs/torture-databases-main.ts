/**
 * Databases on devices that lose power, for as long as one likes:
 *
 *     torture-databases-main.js [--minutes N] [--seed S] [--points P] [--mounted-one-in M] [--large]
 *
 * With --large PostgreSQL is one of them. Prints a line for each run and each problem; ends with 1
 * when there was one.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runSeed } from '../databases/run-seed.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    points: { type: 'string', default: '40' },
    large: { type: 'boolean', default: false },
    'mounted-one-in': { type: 'string', default: '8' },
  },
});
const end = Date.now() + Number(values.minutes) * 60_000;
const folder = mkdtempSync(join(process.env.DFS_TEST_FOLDER ?? tmpdir(), 'dfs-databases-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
let points = 0;
let bad = 0;
let seeds = 0;
let seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
do {
  const report = await runSeed({
    seed,
    folder,
    points: Number(values.points),
    isLarge: values.large,
    mountedOneIn: Number(values['mounted-one-in']),
    onProblem: (text) => console.log(text),
  });
  seeds++;
  points += report.points;
  bad += report.problems.length;
  console.log(`seed ${seed}: ${report.summary}`);
  seed++;
} while (Date.now() < end && values.seed === undefined);
console.log(`${seeds} seeds, ${points} points, ${bad} problems`);
process.exitCode = bad > 0 ? 1 : 0;
