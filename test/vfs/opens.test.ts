import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Ino } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import type { FileCache } from '../../src/cache/mod.ts';
import type { Inode, LiveMeta } from '../../src/meta/mod.ts';
import type { AccessTimes } from '../../src/vfs/access-times.ts';
import type { RequestContext } from '../../src/vfs/mod.ts';
import type { Modes } from '../../src/vfs/modes.ts';
import { getSlot, OpenSlots, putSlot } from '../../src/vfs/open-slots.ts';
import { HANDLE } from '../../src/vfs/open-table.ts';
import { Opens } from '../../src/vfs/opens.ts';
import { OpenKernel } from './open-kernel.ts';

const O_RDONLY = 0;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_DIRECT = 0o40000;
const LARGE = 2 ** 21;

type Step =
  | { do: 'open'; file: number; flags: number }
  | { do: 'create'; flags: number }
  | { do: 'close'; at: number; isMapped: boolean }
  | { do: 'release'; at: number }
  | { do: 'unmap'; at: number }
  | { do: 'change'; file: number; isWhole: boolean }
  | { do: 'evict'; file: number }
  | { do: 'empty'; file: number }
  | { do: 'crash'; unanswered: 'nothing' | 'reader' | 'writer' | 'release'; file: number };

/** A kernel, and daemons that take over from each other. */
class Scene {
  readonly kernel = new OpenKernel();
  readonly #path: string;
  readonly #inodes: Inode[] = [];
  /** Inodes whose content is not all in the cache. */
  readonly #partly = new Set<Ino>();
  /** Inodes that are lent, as far as the daemon has said. */
  readonly lent = new Set<Ino>();
  /** RELEASE requests on their way. */
  readonly #releases: { ino: Ino; handle: number; unique: number }[] = [];
  #left = new Set<Ino>();
  #onEnd: (ino: Ino) => void = () => undefined;
  #unique = 0;
  #last: ((resent: boolean) => void) | undefined;
  #opens: Opens;
  refused: string | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#opens = this.#daemon();
    this.#opens.mounted();
    for (let file = 0; file < 3; file++) this.#make();
  }

  #daemon(): Opens {
    const lending = {
      lend: ({ ino }: Inode) => {
        if (this.#partly.has(ino)) return undefined;
        this.#left.delete(ino);
        this.lent.add(ino);
        return String(ino);
      },
      lent: (ino: Ino) => void this.lent.add(ino),
      inherit: () => undefined,
      writing: () => undefined,
      returned: (ino: Ino) => {
        this.#left.add(ino);
        this.lent.delete(ino);
      },
      isLent: (ino: Ino) => this.#isLent(ino),
    };
    Object.defineProperty(lending, 'onEnd', {
      set: (call: (ino: Ino) => void) => {
        this.#onEnd = call;
      },
    });
    const opens = new Opens({
      meta: { inode: (ino: Ino) => this.#inodes.find((one) => one.ino === ino) } as LiveMeta,
      cache: { lending } as unknown as FileCache,
      accessTimes: { opened: () => true } as unknown as AccessTimes,
      modes: { mayBeStrong: () => false } as unknown as Modes,
      opensPath: this.#path,
      log: silentLog,
    });
    opens.connect(this.kernel);
    return opens;
  }

  #isLent(ino: Ino): boolean {
    if (this.kernel.isInUse(ino)) return true;
    if (this.#left.delete(ino)) this.#onEnd(ino);
    return false;
  }

  #make(): Inode {
    const ino = (this.#inodes.length + 100) as Ino;
    const inode = { ino, mode: 0o100644, sizeBytes: LARGE } as Inode;
    this.#inodes.push(inode);
    return inode;
  }

  #context(unique: number, resent: boolean): RequestContext {
    return { uid: 0, gid: 0, pid: 1, umask: 0, unique, resent };
  }

  /** Sends a request; what has no answer when its daemon dies is sent to the next one. */
  #send(request: (context: RequestContext, isAnswered: boolean) => void, isAnswered = true): void {
    this.#unique += 2;
    const unique = this.#unique;
    this.#last = (resent) => request(this.#context(unique, resent), true);
    request(this.#context(unique, false), isAnswered);
    if (isAnswered) this.#last = undefined;
  }

  run(step: Step): void {
    switch (step.do) {
      case 'open':
        this.#open(step.file, step.flags);
        break;
      case 'create':
        this.#create(step.flags);
        break;
      case 'close': {
        const open = this.kernel.closeOne(step.at, step.isMapped);
        if (open !== undefined) this.#releases.push({ ...open, unique: 0 });
        break;
      }
      case 'release':
        this.#release(step.at);
        break;
      case 'unmap':
        this.kernel.mappings.splice(step.at % Math.max(1, this.kernel.mappings.length), 1);
        break;
      case 'change':
        this.#change(this.#inode(step.file).ino, step.isWhole);
        break;
      case 'evict':
        this.#change(this.#inode(step.file).ino, false);
        break;
      case 'empty':
        this.#opens.emptied(this.#inode(step.file).ino);
        break;
      case 'crash':
        this.#crash(step.unanswered, step.file);
        break;
    }
  }

  /** A lent file stays whole. */
  #change(ino: Ino, isWhole: boolean): void {
    if (isWhole) this.#partly.delete(ino);
    else if (!this.#isLent(ino)) this.#partly.add(ino);
  }

  #inode(file: number): Inode {
    return this.#inodes[file % this.#inodes.length] as Inode;
  }

  #open(file: number, flags: number, isAnswered = true): void {
    const { ino } = this.#inode(file);
    this.#send((context, answered) => {
      const result = this.#opens.open(context, ino, flags);
      if (typeof result === 'number') throw new Error(`open: ${result}`);
      if (answered) this.refused ??= this.kernel.opened(ino, result);
    }, isAnswered);
  }

  #create(flags: number): void {
    const inode = this.#make();
    this.#send((context) => {
      const result = this.#opens.openNew(context, inode, flags, !context.resent);
      if (typeof result === 'number') throw new Error(`create: ${result}`);
      this.refused ??= this.kernel.opened(inode.ino, result.open);
    });
  }

  #release(at: number, isAnswered = true): void {
    const [one] = this.#releases.splice(at % Math.max(1, this.#releases.length), 1);
    if (one === undefined) return;
    this.#send((context) => this.#opens.release(context, one.ino, one.handle), isAnswered);
  }

  #crash(unanswered: 'nothing' | 'reader' | 'writer' | 'release', at: number): void {
    if (unanswered === 'reader') this.#open(at, O_RDONLY, false);
    if (unanswered === 'writer') this.#open(at, O_RDWR, false);
    if (unanswered === 'release') this.#release(at, false);
    this.#opens.close();
    this.#left = new Set();
    this.#opens = this.#daemon();
    this.#last?.(true);
    this.#last = undefined;
  }

  /** All is closed and unmapped, and nobody's cache file is known any more. */
  end(): void {
    this.kernel.mappings.length = 0;
    while (this.kernel.openCount > 0) this.run({ do: 'close', at: 0, isMapped: false });
    while (this.#releases.length > 0) this.run({ do: 'release', at: 0 });
    expect(this.lent).toEqual(new Set());
    for (const { ino } of this.#inodes) this.#opens.forget(ino);
    this.#opens.close();
  }
}

const flags = fc.oneof(
  { weight: 6, arbitrary: fc.constant(O_RDONLY) },
  { weight: 2, arbitrary: fc.constantFrom(O_WRONLY, O_RDWR, O_DIRECT, O_DIRECT | O_RDWR) },
);
const file = fc.nat(3);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('open' as const), file, flags }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('create' as const), flags }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('close' as const),
      at: fc.nat(),
      isMapped: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('release' as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unmap' as const), at: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('change' as const), file, isWhole: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('evict' as const), file }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('empty' as const), file }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      unanswered: fc.constantFrom('nothing', 'reader', 'writer', 'release'),
      file,
    }),
  },
);

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'dfs-opens-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'opens');
}

describe('opens', () => {
  test.each(['reader', 'release'] as const)(
    'are counted once when the request is sent again: %s',
    (unanswered) => {
      const scene = new Scene(temporary());
      const open: Step = { do: 'open', file: 0, flags: O_RDONLY };
      scene.run(open);
      scene.run(open);
      scene.run({ do: 'close', at: 0, isMapped: false });
      scene.run({ do: 'crash', unanswered, file: 0 });
      scene.run(open);
      expect(scene.refused).toBeUndefined();
      scene.end();
    },
  );

  test('are never answered so that the kernel refuses them', () => {
    const path = temporary();
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        rmSync(path, { force: true });
        const scene = new Scene(path);
        for (const one of steps) {
          scene.run(one);
          expect(scene.refused).toBeUndefined();
        }
        scene.end();
        expect(scene.kernel.numbers).toBe(0);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('who makes a file only to write it', () => {
  const context = { uid: 0, gid: 0, pid: 1, umask: 0, unique: 2, resent: false };
  const small = { ino: 200 as Ino, mode: 0o100644, sizeBytes: 0 } as Inode;
  const forgotten: unknown[] = [];

  function begun(mapsUncached: boolean, isTakenOver = false): Opens {
    forgotten.length = 0;
    const lending = { lend: () => undefined, isLent: () => false };
    const opens = new Opens({
      meta: { inode: () => small } as unknown as LiveMeta,
      cache: { lending } as unknown as FileCache,
      accessTimes: { opened: () => true } as unknown as AccessTimes,
      modes: { mayBeStrong: () => false } as unknown as Modes,
      log: silentLog,
    });
    opens.kernel = {
      mapsUncached,
      forgetAttributes: () => undefined,
      forgetPages: async (...what) => void forgotten.push(what),
    };
    if (!isTakenOver) opens.mounted();
    return opens;
  }

  function made(opens: Opens, flags: number): number | undefined {
    const result = opens.openNew(context, small, flags, true);
    if (typeof result === 'number') throw new Error(`create: ${result}`);
    expect(result.open.isUncached ?? false).toBe(result.open.handle === HANDLE.UNCACHED);
    return result.open.handle;
  }

  function opened(opens: Opens, flags: number): number | undefined {
    const result = opens.open(context, small.ino, flags);
    if (typeof result === 'number') throw new Error(`open: ${result}`);
    return result.handle;
  }

  test('writes past the pages, and so does who opens it meanwhile', () => {
    const opens = begun(true);
    expect(made(opens, O_WRONLY)).toBe(HANDLE.UNCACHED);
    expect(opened(opens, O_RDONLY)).toBe(HANDLE.UNCACHED);
    opens.release(context, small.ino, HANDLE.UNCACHED);
    expect(opened(opens, O_RDWR)).toBe(HANDLE.UNCACHED);
    opens.release(context, small.ino, HANDLE.UNCACHED);
    opens.release(context, small.ino, HANDLE.UNCACHED);
    expect(opened(opens, O_WRONLY)).toBe(HANDLE.CACHED);
  });

  test('but not who also reads, nor where the kernel could not map it', () => {
    expect(made(begun(true), O_RDWR)).toBe(HANDLE.CACHED);
    expect(made(begun(false), O_WRONLY)).toBe(HANDLE.CACHED);
  });

  test('waits until mappings have no old pages, if anybody else may have one', async () => {
    const opens = begun(true);
    made(opens, O_WRONLY);
    expect(opens.wroteUncached(small.ino, 10, 20)).toBeUndefined();
    opened(opens, O_RDONLY);
    await opens.wroteUncached(small.ino, 10, 20);
    expect(forgotten).toEqual([[small.ino, { start: 10, end: 20 }]]);
  });

  test('also when a process before this one answered the opens', async () => {
    const opens = begun(true, true);
    await opens.wroteUncached(small.ino, 0, 1);
    expect(forgotten).toHaveLength(1);
    expect(opened(opens, O_RDONLY)).toBe(HANDLE.UNCACHED);
  });
});

describe('the file of passed opens', () => {
  const slot = { ino: 77 as Ino, lastRequest: 12_345_678_901, id: 9, readers: 3, direct: 1 };

  test('keeps slots, and gives those that are free to others', () => {
    const path = temporary();
    const first = OpenSlots.open(path);
    expect(first.found).toEqual([]);
    first.slots.put({ ...slot, readers: 0, direct: 0 });
    first.slots.put({ ...slot, ino: 78 as Ino });
    first.slots.free(77 as Ino);
    first.slots.put({ ...slot, ino: 79 as Ino });
    first.slots.put({ ...slot, ino: 78 as Ino, readers: 4 });
    first.slots.close();
    const second = OpenSlots.open(path);
    expect(second.found).toEqual([
      { ...slot, ino: 79 },
      { ...slot, ino: 78, readers: 4 },
    ]);
    second.slots.clear();
    second.slots.close();
    expect(OpenSlots.open(path).found).toEqual([]);
  });

  test('finds every flipped bit and every shorter slot', () => {
    const whole = Buffer.alloc(32);
    putSlot(whole, slot);
    expect(getSlot(whole)).toEqual(slot);
    for (let bit = 0; bit < 32 * 8; bit++) {
      const copy = Buffer.from(whole);
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => getSlot(copy)).toThrow('wrong checksum');
    }
    for (let bytes = 0; bytes < 32; bytes++) {
      expect(() => getSlot(whole.subarray(0, bytes))).toThrow(`a slot has ${bytes} bytes`);
    }
    expect(getSlot(Buffer.alloc(32))).toBeUndefined();
  });

  test('is not taken for one when it begins as another file, and begins anew when cut short', () => {
    const path = temporary();
    writeFileSync(path, Buffer.alloc(64, 1));
    expect(() => OpenSlots.open(path)).toThrow('does not begin as one');
    const newer = Buffer.alloc(64);
    newer.write('DFSOPEN\x02', 'latin1');
    writeFileSync(path, newer);
    expect(() => OpenSlots.open(path)).toThrow('newer');
    truncateSync(path, 31);
    expect(OpenSlots.open(path).found).toEqual([]);
  });
});
