import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import type { DiskState } from '../../src/diskmap/mod.ts';
import type { Slots } from '../../src/store/mod.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { isLinearizable, type SlotCall } from './linear.ts';
import { SlotNetwork } from './slot-network.ts';
import { allIn, memoryDisks, slotPlacer, slotsOver, text } from './slots-fixture.ts';

// Writers change one slot over disks that lose calls and answers, or are silent for a while; writers
// die with calls under way and others take their place. Whatever was seen must have an order.

const FILE = 'test/store/slots-linear.test.ts';
const PATH = 'leases/a';
const seed = seedOf(FILE);

/** What a writer has last seen of the slot. */
interface Seen {
  version: { counter: number; incarnation: number } | undefined;
  content: string | undefined;
}

/** The calls of all writers, and what they came to. */
class History {
  readonly calls: SlotCall[] = [];
  /** Contents by version: no version may ever have two. */
  readonly contents = new Map<string, string | undefined>();
  step = 0;
  #contentCount = 0;

  get(slots: Slots, seen: Seen): Promise<void> {
    const call: SlotCall = { kind: 'get', began: this.step };
    return this.#run(call, async () => {
      const slot = await slots.get(PATH);
      this.#saw(seen, slot?.version, text(slot));
      this.calls.push({ ...call, ended: this.step, found: text(slot) });
    });
  }

  /** Writes, or deletes, what the writer has seen last. */
  put(slots: Slots, seen: Seen, deletes: boolean): Promise<void> {
    const { version, content: expected } = seen;
    const isDelete = deletes && version !== undefined;
    const content = isDelete ? undefined : `content ${++this.#contentCount}`;
    const call: SlotCall = { kind: 'put', began: this.step, expected, content };
    this.calls.push(call);
    return this.#run(call, async () => {
      const outcome =
        content === undefined && version !== undefined
          ? await slots.delete(PATH, version)
          : await slots.put(PATH, Buffer.from(content ?? ''), version);
      call.ended = this.step;
      call.isDone = outcome.isDone;
      if (outcome.isDone) {
        this.#saw(seen, isDelete ? undefined : outcome.version, content);
      } else {
        call.found = text(outcome.found);
        this.#saw(seen, outcome.found?.version, call.found);
      }
    });
  }

  #saw(seen: Seen, version: Seen['version'], content: string | undefined): void {
    Object.assign(seen, { version, content });
    if (version === undefined) return;
    const key = `${version.counter}.${version.incarnation}`;
    if (this.contents.has(key)) expect(this.contents.get(key)).toBe(content);
    this.contents.set(key, content);
  }

  async #run(_call: SlotCall, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const expected = ['UNAVAILABLE', 'BUSY'];
      if (!(error instanceof DfsError) || !expected.includes(error.code)) throw error;
    }
  }

  check(): void {
    const shown = this.calls.map((call) => JSON.stringify(call)).join('\n');
    expect(isLinearizable(this.calls, undefined), shown).toBe(true);
  }
}

/** A writer that makes one call after the other, until it is left alone. */
interface Life {
  readonly slots: Slots;
  readonly seen: Seen;
  running: Promise<void> | undefined;
}

/** Moves all slots; what an earlier life still had under way may come in between some times. */
async function movedAtLast(slots: Slots): Promise<void> {
  for (let tries = 10; ; tries--) {
    try {
      await slots.rebalance();
      return;
    } catch (error) {
      if (tries === 0 || !(error instanceof DfsError) || error.code !== 'UNAVAILABLE') throw error;
    }
  }
}

/** Lets the network go on without losses until the call has ended. */
async function settle(network: SlotNetwork, history: History, call: Promise<void>): Promise<void> {
  let isOver = false;
  const over = call.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    history.step++;
    await network.step(true);
    await nextTurn();
  }
  await over;
}

test('writers that fight, fail and die never see a slot out of order', async () => {
  let made = 0;
  const run = fc.asyncProperty(fc.nat(), fc.constantFrom(3, 4, 5), async (number, count) => {
    const dice = new Dice(number);
    const network = new SlotNetwork(dice, memoryDisks(count));
    const scheme = count === 5 ? 'replica:3' : 'replica:2';
    const placer = slotPlacer(1, allIn(count), scheme);
    const history = new History();
    const born = (): Life => {
      const seen = { version: undefined, content: undefined };
      return { slots: slotsOver(network.disks, placer), seen, running: undefined };
    };
    const lives = [born(), born(), born()];
    for (; history.step < 400 && history.calls.length < 16; history.step++) {
      const at = dice.below(lives.length);
      const life = lives[at] as Life;
      const event = dice.below(40);
      if (event === 0) lives[at] = born();
      else if (event === 1) network.toggle(dice.below(count));
      else if (event === 2) network.heal();
      else if (life.running === undefined && event < 20) {
        const reads = dice.below(3) === 0;
        const call = reads
          ? history.get(life.slots, life.seen)
          : history.put(life.slots, life.seen, dice.below(4) === 0);
        life.running = call.finally(() => {
          life.running = undefined;
        });
      } else await network.step(false);
      await nextTurn();
    }
    network.heal();
    for (const life of lives) if (life.running) await settle(network, history, life.running);
    const last = born();
    await settle(network, history, history.get(last.slots, last.seen));
    made += history.calls.filter(({ isDone }) => isDone === true).length;
    history.check();
  });
  await fc.assert(run, { numRuns: 250, seed });
  expect(made).toBeGreaterThan(250);
});

test('slots that are moved while disks come, go and fail never go back', async () => {
  let settled = 0;
  const run = fc.asyncProperty(fc.nat(), async (number) => {
    const dice = new Dice(number);
    const count = 6;
    const network = new SlotNetwork(dice, memoryDisks(count));
    const history = new History();
    let states: DiskState[] = allIn(count);
    let placer = slotPlacer(1, states);
    const born = (): Life => {
      const seen = { version: undefined, content: undefined };
      return { slots: slotsOver(network.disks, placer), seen, running: undefined };
    };
    /** At most one disk fails, is drained or comes back at a time, as one at a time is survived. */
    const change = (): void => {
      const at = dice.below(count);
      const state = dice.pick(['in', 'in', 'failed', 'draining'] as const);
      const next = states.map((one, index) => (index === at ? state : one));
      if (next.filter((one) => one === 'in').length < 3) return;
      states = next;
      placer = slotPlacer(placer.map.version + 1, states);
      life.slots.useMap(placer);
    };
    let life = born();
    let moving: Promise<void> | undefined;
    for (; history.step < 600 && history.calls.length < 16; history.step++) {
      const event = dice.below(60);
      if (event === 0) {
        life = born();
        moving = undefined;
      } else if (event === 1) network.toggle(dice.below(count));
      else if (event === 2) network.heal();
      else if (event === 3 && life.slots.isSettled) change();
      else if (event < 7 && moving === undefined) {
        const { slots } = life;
        moving = slots
          .rebalance()
          .catch((error: unknown) => {
            const expected = ['UNAVAILABLE', 'BUSY'];
            if (!(error instanceof DfsError) || !expected.includes(error.code)) throw error;
          })
          .then(() => {
            if (slots === life.slots) moving = undefined;
            if (slots.isSettled) settled++;
          });
      } else if (life.running === undefined && event < 25) {
        const { slots, seen } = life;
        const call =
          dice.below(3) === 0
            ? history.get(slots, seen)
            : history.put(slots, seen, dice.below(4) === 0);
        const { running } = { running: call };
        const mine = life;
        mine.running = running.finally(() => {
          mine.running = undefined;
        });
      } else await network.step(dice.below(3) > 0);
      await nextTurn();
    }
    network.heal();
    if (life.running !== undefined) await settle(network, history, life.running);
    if (moving !== undefined) await settle(network, history, moving);
    const last = born();
    await settle(network, history, history.get(last.slots, last.seen));
    await settle(network, history, movedAtLast(last.slots));
    await settle(network, history, history.get(last.slots, last.seen));
    history.check();
  });
  await fc.assert(run, { numRuns: 250, seed });
  expect(settled).toBeGreaterThan(100);
});

test('the check of orders finds what has none', () => {
  const put = { kind: 'put', expected: undefined, content: 'a', isDone: true } as const;
  const get = { kind: 'get', found: undefined } as const;
  const inOrder: SlotCall[] = [
    { ...put, began: 0, ended: 1 },
    { ...get, began: 2, ended: 3 },
  ];
  expect(isLinearizable(inOrder, undefined)).toBe(false);
  expect(isLinearizable([...inOrder].reverse(), undefined)).toBe(false);
  const atOnce: SlotCall[] = [
    { ...put, began: 0, ended: 3 },
    { ...get, began: 1, ended: 2 },
  ];
  expect(isLinearizable(atOnce, undefined)).toBe(true);
  const twice: SlotCall[] = [
    { ...put, began: 0, ended: 1 },
    { ...put, content: 'b', began: 0, ended: 1 },
  ];
  expect(isLinearizable(twice, undefined)).toBe(false);
  const halfThere: SlotCall[] = [
    { kind: 'put', expected: undefined, content: 'a', began: 0 },
    { ...get, found: 'a', began: 1, ended: 2 },
    { ...get, began: 3, ended: 4 },
  ];
  expect(isLinearizable(halfThere, undefined)).toBe(false);
});
