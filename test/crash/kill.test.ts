import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MIB } from '../../src/base/limits.ts';
import { kill9, Program, run } from '../harness/processes.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

const KILLS = Number(process.env.DFS_KILLS ?? 20);
const ROLES = ['append', 'names', 'wal', 'delete', 'mapped', 'truncate'] as const;
const PAUSE_MS = 700;
/** About how long a daemon takes to take over. */
const TAKEOVER_MS = 400;
const FILE = 'test/crash/kill.test.ts';

/** Writers at work on one volume. */
class Load {
  readonly #volume: TestVolume;
  readonly #writers = new Map<string, Program>();
  #committing = true;
  readonly #commits: Promise<void>;
  committed = 0;

  constructor(volume: TestVolume) {
    this.#volume = volume;
    for (const role of ROLES) {
      this.#writers.set(role, new Program('writers.py', [role, this.folder(role)]));
    }
    this.#commits = this.#commitAlways();
  }

  folder(role: string): string {
    return join(this.#volume.mountPoint, role);
  }

  /** Commits one after the other; while a daemon starts there is nobody to ask. */
  async #commitAlways(): Promise<void> {
    while (this.#committing) {
      try {
        await this.#volume.commit();
        this.committed++;
      } catch {
        await pause(20);
      }
    }
  }

  /** Resolves when every writer has begun. */
  async started(): Promise<void> {
    await Promise.all([...this.#writers.values()].map((writer) => writer.next()));
  }

  get ended(): string[] {
    return [...this.#writers].filter(([, writer]) => writer.isOver).map(([role]) => role);
  }

  /** Ends the writers, each of which checks what is there; the numbers of their steps. */
  async finish(): Promise<Map<string, number>> {
    this.#committing = false;
    await this.#commits;
    const counts = new Map<string, number>();
    for (const [role, writer] of this.#writers) {
      const { count, longest } = await writer.finish();
      if (process.env.DFS_VERBOSE) console.log({ role, count, longest });
      counts.set(role, count as number);
    }
    return counts;
  }

  /** For writers that lose their mount: the steps each was sure of. */
  async lastWords(): Promise<Map<string, number>> {
    this.#committing = false;
    const counts = new Map<string, number>();
    for (const [role, writer] of this.#writers) {
      let done = 0;
      for (;;) {
        try {
          done = (await writer.next(30_000)).done as number;
        } catch {
          break;
        }
      }
      counts.set(role, done);
      await writer.end();
    }
    await this.#commits;
    return counts;
  }

  async end(): Promise<void> {
    this.#committing = false;
    await Promise.all([...this.#writers.values()].map((writer) => writer.end()));
  }
}

async function check(volume: TestVolume, counts: Map<string, number>, slack: number): Promise<void> {
  for (const [role, count] of counts) {
    const folder = join(volume.mountPoint, role);
    await run('writers.py', ['check', role, folder, String(count), String(count + slack)]);
  }
}

describe.skipIf(!canMount)('kill -9 under load', () => {
  let volume: TestVolume;
  let load: Load | undefined;

  beforeEach(async () => {
    volume = await TestVolume.create({ cacheBytes: 256 * MIB });
    await volume.mount();
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(volume.log);
    await load?.end();
    load = undefined;
    await volume.dispose();
  });

  test(`${KILLS} kills of the daemon: programs see no error, nothing is lost or done twice`, async () => {
    const dice = new Dice(seedOf(FILE));
    load = new Load(volume);
    await load.started();
    for (let kill = 0; kill < KILLS; kill++) {
      await pause(dice.below(PAUSE_MS));
      let successor = await volume.killDaemon();
      // Some die while they take over, some of their successors, too.
      while (kill + 1 < KILLS && dice.below(3) > 0) {
        await pause(dice.below(TAKEOVER_MS));
        kill9(successor);
        kill++;
        if (dice.below(3) > 0) break;
        successor = await volume.killDaemon();
        kill++;
      }
      await volume.serving();
      expect(load.ended).toEqual([]);
    }
    const counts = await load.finish();
    expect(load.committed).toBeGreaterThan(0);
    await volume.unmount();
    await volume.mount();
    await check(volume, counts, 0);
    await volume.unmount();
    const report = await volume.recover();
    expect(report.lost).toEqual([]);
    await volume.mount();
    await check(volume, counts, 0);
  }, 300_000);

  test('kill of daemon and supervisor: what was acknowledged is there after the next mount', async () => {
    const dice = new Dice(seedOf(FILE));
    load = new Load(volume);
    await load.started();
    await pause(500 + dice.below(2000));
    await volume.killAll();
    const counts = await load.lastWords();
    await volume.mount();
    await check(volume, counts, 10_000);
    await volume.unmount();
    await volume.recover();
    await volume.mount();
    await check(volume, counts, 10_000);
  }, 300_000);
});
