/**
 * Plays seeds for the process that started it, one after the other: a message is a seed, the
 * answers are its points and then its end. A process of its own, because what a volume does to it
 * may be its death.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createLog } from '../../src/base/log.ts';
import { runKill } from './kill-run.ts';
import type { Answer, Order, WorkerOptions } from './messages.ts';
import { writeRecord } from './record.ts';
import { Rig } from './rig.ts';
import { runSeed, type SeedRun } from './run-seed.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as WorkerOptions;
const folder = mkdtempSync(join(options.folder, 'worker-'));
// Where volumes with a mount are made.
process.env.DFS_TEST_FOLDER = folder;
const LINES_MAX = 40;
let lines: string[] = [];
const log = createLog(
  (line) => {
    lines.push(line.trim());
    if (lines.length > LINES_MAX) lines.shift();
  },
  process.env.DFS_VERBOSE === undefined ? 'warn' : 'debug',
);

function answer(message: Answer): void {
  process.send?.(message);
}

async function play(rig: Rig, order: Order): Promise<void> {
  const run: SeedRun = { ...order, rig, folder, log };
  try {
    if (order.kills === true) {
      const report = await runKill({ seed: order.seed, log });
      answer({ kind: 'kill', report, log: report.problems.length > 0 ? lines : [] });
      lines = [];
      answer({ kind: 'end', seed: order.seed });
      return;
    }
    for await (const { report, path, model } of runSeed(run)) {
      const isBad = report.problems.length > 0;
      const kept = isBad ? options.keep : undefined;
      if (kept !== undefined) {
        const place = join(kept, `seed-${report.seed}-point-${report.index}`);
        rmSync(place, { recursive: true, force: true });
        cpSync(path, join(place, 'as-checked'), { recursive: true });
        await rig.write(report.point.cut, join(place, 'state'));
        writeRecord(place, { report, model });
      }
      answer({ kind: 'point', report, log: isBad ? lines : [] });
      lines = [];
    }
    answer({ kind: 'end', seed: order.seed });
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    answer({ kind: 'end', seed: order.seed, failure: text, log: lines });
  }
}

const rig = await Rig.start(folder);
let playing: Promise<void> = Promise.resolve();
process.on('message', (order: Order) => {
  playing = playing.then(() => play(rig, order));
});
process.once('disconnect', () => {
  void playing
    .then(() => rig.stop())
    .finally(() => {
      rmSync(folder, { recursive: true, force: true });
      process.exit(0);
    });
});
answer({ kind: 'ready' });
