import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MIB } from '../../src/base/limits.ts';
import { Program, run } from '../harness/processes.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

const CUTS = Number(process.env.DFS_CUTS ?? 4);
const ROLES = ['pair', 'wal', 'delete', 'names'] as const;
const COMMIT_EVERY_MS = 200;
/** More steps than any writer makes in a test. */
const MOST = 1_000_000;
const FILE = 'test/recovery/instant.test.ts';
const copy = promisify(execFile);

/** Writers, commits beside them, and what was done before the last commit that succeeded. */
class Life {
  readonly #volume: TestVolume;
  readonly #name: string;
  readonly #instants: Program;
  readonly #writers = new Map<string, Program>();
  #isOver = false;
  /** Steps of each writer that a commit has, by role. */
  readonly committed = new Map<string, number>();
  epoch = 0;

  constructor(volume: TestVolume, name: string) {
    this.#volume = volume;
    this.#name = name;
    this.#instants = new Program('instants.py', ['write', this.#folder('instants')]);
    for (const role of ROLES) {
      this.#writers.set(role, new Program('writers.py', [role, this.#folder(role)]));
    }
  }

  #folder(role: string): string {
    return join(this.#volume.mountPoint, `${this.#name}-${role}`);
  }

  #steps(): Map<string, number> {
    const steps = new Map<string, number>();
    for (const [role, writer] of this.#writers) steps.set(role, Number(writer.latest.done ?? 0));
    return steps.set('instants', Number(this.#instants.latest.step ?? 0));
  }

  async run(ms: number): Promise<void> {
    const all = [this.#instants, ...this.#writers.values()];
    await Promise.all(all.map((program) => program.next()));
    // From here on every recovery has the folders.
    await this.#commit();
    const end = Date.now() + ms;
    const commits = this.#commitUntilOver();
    while (Date.now() < end) {
      await pause(Math.min(20, ms));
      expect(all.filter((program) => program.isOver)).toEqual([]);
    }
    this.#isOver = true;
    await this.#volume.killAll();
    await commits;
    await this.end();
  }

  async #commitUntilOver(): Promise<void> {
    while (!this.#isOver) {
      await pause(COMMIT_EVERY_MS);
      await this.#commit().catch((error: unknown) => {
        if (!this.#isOver) throw error;
      });
    }
  }

  async #commit(): Promise<void> {
    const steps = this.#steps();
    this.epoch = await this.#volume.commit();
    for (const [role, count] of steps) this.committed.set(role, count);
  }

  /** Looks at the mount, which shows some epoch. */
  async check(): Promise<unknown> {
    const least = String(this.committed.get('instants') ?? 0);
    const { step } = await run('instants.py', ['check', this.#folder('instants'), least]);
    for (const role of ROLES) {
      const count = String(this.committed.get(role) ?? 0);
      await run('writers.py', ['check', role, this.#folder(role), count, String(MOST)]);
    }
    return step;
  }

  async end(): Promise<void> {
    await Promise.all([this.#instants, ...this.#writers.values()].map((writer) => writer.end()));
  }
}

describe.skipIf(!canMount)('disks that are taken away at any moment', () => {
  let volume: TestVolume;
  let life: Life | undefined;

  beforeEach(async () => {
    volume = await TestVolume.create({ cacheBytes: 256 * MIB });
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(volume.log);
    await life?.end();
    life = undefined;
    await volume.dispose();
  });

  test(`hold one instant of the volume, ${CUTS} times, also with a disk missing`, async () => {
    const dice = new Dice(seedOf(FILE));
    await volume.mount();
    for (let cut = 0; cut < CUTS; cut++) {
      life = new Life(volume, `life${cut}`);
      await life.run(300 + dice.below(2000));
      await moveDisks(volume, cut);
      const lost = dice.below(volume.disks.length);
      const degraded = await volume.recover(volume.disks.filter((_, index) => index !== lost));
      expect(degraded.lost).toEqual([]);
      expect(degraded.epoch).toBeGreaterThanOrEqual(life.epoch);
      await volume.mount({ readOnly: true });
      const step = await life.check();
      await volume.unmount();
      const whole = await volume.recover();
      expect(whole.lost).toEqual([]);
      expect(whole.epoch).toBeGreaterThanOrEqual(degraded.epoch);
      await volume.mount();
      const again = await life.check();
      if (whole.epoch === degraded.epoch) expect(again).toBe(step);
      if (process.env.DFS_VERBOSE) console.log({ cut, lost, epoch: whole.epoch, step: again });
    }
  }, 300_000);
});

/** Copies every disk to a new place, as if it went to another machine, and forgets the old one. */
async function moveDisks(volume: TestVolume, number: number): Promise<void> {
  const moved: string[] = [];
  for (const [index, disk] of volume.disks.entries()) {
    const place = join(volume.folder, `copy${number}-${index + 1}`);
    await copy('cp', ['-a', '--sparse=always', disk, place]);
    rmSync(disk, { recursive: true });
    moved.push(place);
  }
  volume.disks = moved;
}
