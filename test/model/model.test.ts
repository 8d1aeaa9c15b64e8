import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { MIB } from '../../src/base/limits.ts';
import { Program } from '../harness/processes.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

const OPERATIONS = Number(process.env.DFS_MODEL_OPERATIONS ?? 100_000);
const ROUND = 8000;
const COMMIT_EVERY_MS = 300;
/** So many make more data than the cache holds. */
const OPERATIONS_THAT_EVICT = 50_000;

/** What happens between two rounds of operations; open files survive only the first three. */
const EVENTS = ['nothing', 'commit', 'kill', 'remount', 'recover', 'recover-degraded'] as const;
type Event = (typeof EVENTS)[number];

/** A volume, a native folder and the program that works on both. */
class Model {
  /** Chunks the daemons fetched because their blocks had been evicted, or were not cached yet. */
  fetches = 0;
  readonly #volume: TestVolume;
  readonly #driver: Program;
  readonly #dice: Dice;

  constructor(volume: TestVolume, seed: number) {
    this.#volume = volume;
    this.#dice = new Dice(seed);
    const args = [volume.subfolder('native'), volume.mountPoint, String(seed)];
    this.#driver = new Program('model_ops.py', args);
  }

  /** Operations, with commits and sometimes a kill of the daemon in the middle of them. */
  async round(count: number): Promise<void> {
    const running = this.#driver.ask({ do: 'run', count }, 300_000);
    let isOver = false;
    const ended = running.finally(() => {
      isOver = true;
    });
    // Looked at below; until then a failure must not count as unhandled.
    ended.catch(() => undefined);
    const kills = this.#dice.below(4) === 0;
    while (!isOver) {
      await Promise.race([pause(COMMIT_EVERY_MS), ended.catch(() => undefined)]);
      if (isOver) break;
      if (kills && this.#dice.below(3) === 0) {
        await this.#volume.killDaemon();
        await this.#volume.serving();
      } else void this.#volume.commit().catch(() => undefined);
    }
    await ended;
    const { cache } = (await this.#volume.call('GET', '/stats')) as { cache: { fetches: number } };
    this.fetches += cache.fetches;
  }

  async happen(event: Event): Promise<void> {
    const volume = this.#volume;
    if (event === 'commit') await volume.commit();
    if (event === 'kill') {
      await volume.killDaemon();
      await volume.serving();
    }
    if (!['remount', 'recover', 'recover-degraded'].includes(event)) return;
    await this.#driver.ask({ do: 'close' });
    await volume.unmount();
    if (event === 'recover-degraded') {
      const lost = this.#dice.below(volume.disks.length);
      const report = await volume.recover(volume.disks.filter((_, index) => index !== lost));
      expect(report.lost).toEqual([]);
      await volume.mount({ readOnly: true });
      await this.compare();
      await volume.unmount();
    }
    if (event !== 'remount') {
      const report = await volume.recover();
      expect(report.lost).toEqual([]);
      expect(report.degradedChunks).toBe(0);
    }
    await volume.mount();
  }

  async compare(): Promise<number> {
    const { entries } = await this.#driver.ask({ do: 'compare' }, 300_000);
    return entries as number;
  }

  pickEvent(): Event {
    return this.#dice.pick(EVENTS);
  }

  async close(): Promise<void> {
    await this.#driver.end();
  }
}

function spans(times: number[]): number[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? time));
}

describe.skipIf(!canMount)('a mount and a native folder give equal answers', () => {
  test.each([
    { scheme: 'replica:2', operations: OPERATIONS },
    { scheme: 'ec:2+1', operations: Math.ceil(OPERATIONS / 5) },
  ])(
    'to $operations random operations with $scheme',
    async ({ scheme, operations }) => {
      const seed = seedOf('test/model/model.test.ts');
      const volume = await TestVolume.create({ scheme, cacheBytes: 64 * MIB });
      let model: Model | undefined;
      try {
        await volume.mount();
        model = new Model(volume, seed);
        for (let done = 0; done < operations; done += ROUND) {
          const event = model.pickEvent();
          const times = [Date.now()];
          await model.round(Math.min(ROUND, operations - done));
          times.push(Date.now());
          await model.happen(event);
          times.push(Date.now());
          const entries = await model.compare();
          times.push(Date.now());
          if (process.env.DFS_VERBOSE) console.log({ done, event, entries, times: spans(times) });
        }
        await model.happen('recover-degraded');
        await model.compare();
        if (operations >= OPERATIONS_THAT_EVICT) expect(model.fetches).toBeGreaterThan(0);
      } catch (error) {
        console.log(volume.log);
        throw error;
      } finally {
        await model?.close();
        await volume.dispose();
      }
    },
    OPERATIONS * 10 + 120_000,
  );
});
