import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { punchHole, seekData, seekHole } from '../../src/base/os/mod.ts';
import { publishFile, syncFolder } from '../../src/base/publish.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { canMount } from '../harness/volume.ts';
import { type CrashStateOptions, FaultFs } from './mod.ts';

const seed = seedOf('test/faultfs/power-cut.test.ts');
const CUTS = 60;

describe.skipIf(!canMount)('a power cut on the rig', () => {
  let rig: FaultFs;
  let states: string;
  let disk: string;
  let dice: Dice;

  beforeEach(async () => {
    dice = new Dice(seed);
    rig = await FaultFs.start({ devices: ['disk', 'other'] });
    disk = rig.device('disk');
    states = mkdtempSync(join(tmpdir(), 'dfs-states-'));
  });

  afterEach(async () => {
    await rig.stop();
    rmSync(states, { recursive: true, force: true });
  });

  /** The folder of the device after a cut, in a new folder each time. */
  async function stateOf(options: Omit<CrashStateOptions, 'target'>): Promise<string> {
    const target = mkdtempSync(join(states, 'state-'));
    await rig.crashState({ target, ...options });
    return join(target, 'disk');
  }

  async function* cuts(names: 'strict' | 'ext4' = 'strict'): AsyncGenerator<[string, number]> {
    const last = await rig.sequence();
    for (let index = 0; index < CUTS; index++) {
      const sequence = dice.below(last + 1);
      const state = await stateOf({ sequence, seed: dice.below(2 ** 31), names });
      yield [state, sequence];
      rmSync(state, { recursive: true });
    }
  }

  function mark(text: string): void {
    writeFileSync(rig.markPath, `${text}\n`, { flag: 'a' });
  }

  /** The number in the last mark up to an operation. */
  async function acknowledged(sequence: number): Promise<number> {
    const marks = (await rig.marks()).filter((one) => one.sequence <= sequence);
    return Number(marks.at(-1)?.text ?? 0);
  }

  it('never takes what a program synced by the rules', async () => {
    const log = openSync(join(disk, 'log'), 'a');
    await syncFolder(disk);
    for (let step = 1; step <= 40; step++) {
      await publishFile(join(disk, 'page'), `${step}\n`.repeat(2000));
      writeSync(log, Buffer.alloc(100, step));
      fdatasyncSync(log);
      mark(`${step}`);
      writeFileSync(join(disk, `other-${step}`), 'never synced');
    }
    closeSync(log);
    for await (const [state, sequence] of cuts()) {
      const steps = await acknowledged(sequence);
      if (steps === 0) continue;
      const page = readFileSync(join(state, 'page'), 'utf8');
      const [found] = page.split('\n');
      expect([steps, steps + 1]).toContain(Number(found));
      expect(page).toBe(`${found}\n`.repeat(2000));
      const lines = readFileSync(join(state, 'log'));
      const entries = Array.from({ length: steps }, (_, index) => Buffer.alloc(100, index + 1));
      expect(lines.subarray(0, steps * 100)).toEqual(Buffer.concat(entries));
    }
  });

  it('takes names whose folder was not synced, unless a journal keeps them', async () => {
    for (let step = 0; step < 10; step++) {
      const fd = openSync(join(disk, `file-${step}`), 'w');
      writeSync(fd, 'content');
      fsyncSync(fd);
      closeSync(fd);
    }
    const lost = await stateOf({ seed, policy: 'lose' });
    expect(readdirSync(lost)).toEqual([]);
    const journaled = await stateOf({ seed, policy: 'lose', names: 'ext4' });
    expect(readdirSync(journaled).length).toBe(10);
    const some = new Set<number>();
    for (let index = 0; index < 20; index++) {
      some.add(readdirSync(await stateOf({ seed: seed + index, policy: 'subset' })).length);
    }
    expect(some.size).toBeGreaterThan(1);
  });

  it('tears writes within a page, and never a sector', async () => {
    const path = join(disk, 'file');
    const fd = openSync(path, 'w');
    writeSync(fd, Buffer.alloc(65536, 'o'));
    fsyncSync(fd);
    await syncFolder(disk);
    writeSync(fd, Buffer.alloc(65536, 'n'), 0, 65536, 0);
    const kinds = new Set<string>();
    // All that was written being lost is the rarest, one state in some twenty.
    for (let index = 0; index < 400 && kinds.size < 4; index++) {
      const state = await stateOf({ seed: seed + index, policy: 'torn' });
      const bytes = readFileSync(join(state, 'file'));
      expect(bytes.length).toBe(65536);
      let unit = bytes.includes('o') ? (bytes.includes('n') ? 4096 : 0) : 65536;
      for (let at = 0; at < bytes.length; at += 512) {
        const sector = bytes.subarray(at, at + 512);
        expect(sector.equals(Buffer.alloc(512, sector.subarray(0, 1)))).toBe(true);
        if (at % 4096 !== 0 && sector[0] !== bytes[at - 1]) unit = 512;
      }
      kinds.add(`${unit}`);
    }
    closeSync(fd);
    expect([...kinds].sort()).toEqual(['0', '4096', '512', '65536']);
  });

  it('leads from a punched block to its new bytes when all of them are there', async () => {
    const fd = openSync(join(disk, 'file'), 'w');
    writeSync(fd, Buffer.alloc(4096, 'o'));
    fsyncSync(fd);
    await syncFolder(disk);
    punchHole(fd, 0, 4096);
    writeSync(fd, Buffer.alloc(4096, 'f'), 0, 4096, 0);
    writeSync(fd, Buffer.alloc(4096, 'n'), 0, 4096, 0);
    const kinds = new Set<string>();
    for (let index = 0; index < 100; index++) {
      const state = await stateOf({ seed: seed + index, policy: 'torn' });
      const letters = new Set(readFileSync(join(state, 'file'), 'latin1'));
      kinds.add([...letters].sort().join(''));
    }
    closeSync(fd);
    // What was written over the hole may be torn, the hole itself may not.
    for (const kind of kinds) expect(['\0', 'o', 'f', 'n', 'fn']).toContain(kind);
    expect(kinds.size).toBeGreaterThan(2);
  });

  it('leaves a rename done or not, never half', async () => {
    writeFileSync(join(disk, 'a'), 'content');
    mkdirSync(join(disk, 'folder'));
    await rig.settle();
    for (let step = 0; step < 20; step++) {
      renameSync(join(disk, 'a'), join(disk, 'folder/b'));
      renameSync(join(disk, 'folder/b'), join(disk, 'a'));
    }
    for (let index = 0; index < CUTS; index++) {
      const state = await stateOf({ seed: dice.below(2 ** 31) });
      const there = ['a', 'folder/b'].filter((name) => existsSync(join(state, name)));
      expect(there.length).toBe(1);
      expect(readFileSync(join(state, there[0] ?? ''), 'utf8')).toBe('content');
    }
  });

  it('keeps links, holes, truncations and unlinked names as they were synced', async () => {
    const fd = openSync(join(disk, 'sparse'), 'w+');
    writeSync(fd, Buffer.alloc(65536, 1), 0, 65536, 0);
    writeSync(fd, Buffer.alloc(4096, 2), 0, 4096, 1 << 30);
    punchHole(fd, 8192, 4096);
    ftruncateSync(fd, (1 << 30) + 100);
    linkSync(join(disk, 'sparse'), join(disk, 'second'));
    writeFileSync(join(disk, 'gone'), 'x');
    fsyncSync(fd);
    await syncFolder(disk);
    unlinkSync(join(disk, 'gone'));
    await syncFolder(disk);
    closeSync(fd);
    for (const policy of ['lose', 'keep', 'prefix', 'subset', 'torn'] as const) {
      const state = await stateOf({ seed, policy });
      expect(readdirSync(state).sort()).toEqual(['second', 'sparse']);
      expect(statSync(join(state, 'second')).ino).toBe(statSync(join(state, 'sparse')).ino);
      expect(statSync(join(state, 'second')).size).toBe((1 << 30) + 100);
      const copy = openSync(join(state, 'sparse'), 'r');
      expect([seekHole(copy, 0), seekData(copy, 8192)]).toEqual([8192, 12288]);
      expect([seekHole(copy, 12288), seekData(copy, 65536)]).toEqual([65536, 1 << 30]);
      closeSync(copy);
    }
  });

  it('takes what a sync that lied, or one that failed, should have written', async () => {
    const path = join(disk, 'file');
    writeFileSync(path, 'old old');
    await rig.settle();
    await rig.setFault({ operation: 'sync', path: '^file$', kind: 'drop', count: 1 });
    const fd = openSync(path, 'r+');
    writeSync(fd, 'NEW', 0);
    expect(() => fsyncSync(fd)).toThrow('EIO');
    fsyncSync(fd);
    expect(readFileSync(path, 'utf8')).toBe('NEW old');
    const dropped = await stateOf({ seed, policy: 'keep' });
    expect(readFileSync(join(dropped, 'file'), 'utf8')).toBe('old old');
    await rig.setFault({ operation: 'sync', kind: 'lie' });
    writeSync(fd, 'more', 9000);
    fsyncSync(fd);
    closeSync(fd);
    const lied = await stateOf({ seed, policy: 'lose' });
    expect(readFileSync(join(lied, 'file'), 'utf8')).toBe('old old');
    const kept = await stateOf({ seed, policy: 'keep' });
    expect(statSync(join(kept, 'file')).size).toBe(9004);
  });

  it('is the same for the same seed, and another for another', async () => {
    for (let step = 0; step < 30; step++) {
      writeFileSync(join(disk, `file-${step % 7}`), Buffer.alloc(3000 * step, step));
    }
    const hashes = new Map<number, string | undefined>();
    for (const index of [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]) {
      const target = mkdtempSync(join(states, 'state-'));
      const state = await rig.crashState({ seed: seed + index, target, hash: true });
      expect(state.hash).toBe(hashes.get(index) ?? state.hash);
      hashes.set(index, state.hash);
    }
    expect(new Set(hashes.values()).size).toBeGreaterThan(2);
  });

  it('leaves databases of SQLite whole, with every transaction that was acknowledged', async () => {
    for (const mode of ['wal', 'delete']) {
      const database = new Database(join(disk, mode));
      database.pragma(`journal_mode = ${mode}`);
      // With FULL the removal of a journal is not synced, and the last transaction may go back.
      database.pragma('synchronous = EXTRA');
      database.exec('CREATE TABLE t (a INTEGER, b BLOB)');
      await syncFolder(disk);
      const insert = database.prepare('INSERT INTO t VALUES (?, randomblob(3000))');
      for (let step = 1; step <= 20; step++) {
        insert.run(step);
        mark(`${mode === 'wal' ? step : 20 + step}`);
      }
      if (mode === 'delete') database.close();
    }
    for await (const [state, sequence] of cuts()) {
      const steps = await acknowledged(sequence);
      for (const [mode, wanted] of [
        ['wal', Math.min(steps, 20)],
        ['delete', steps - 20],
      ] as const) {
        if (wanted <= 0) continue;
        const copy = new Database(join(state, mode));
        expect(copy.pragma('integrity_check', { simple: true })).toBe('ok');
        const count = copy.prepare('SELECT count(*) FROM t').pluck().get() as number;
        expect(count).toBeGreaterThanOrEqual(wanted);
        expect(count).toBeLessThanOrEqual(wanted + 1);
        copy.close();
      }
    }
  });

  it('can be looked at while the power is off', async () => {
    writeFileSync(join(disk, 'file'), 'content');
    const sequence = await rig.cut();
    expect(() => writeFileSync(join(disk, 'file'), 'more')).toThrow('EIO');
    const state = await stateOf({ seed, policy: 'keep' });
    expect(readFileSync(join(state, 'file'), 'utf8')).toBe('content');
    expect(await rig.sequence()).toBe(sequence);
  });

  it('gives a state of many files in a moment', async () => {
    for (let index = 0; index < 200; index++) {
      writeFileSync(join(disk, `file-${index}`), Buffer.alloc(100_000, index));
    }
    const target = mkdtempSync(join(states, 'state-'));
    const { files, bytes, ms } = await rig.crashState({ seed, policy: 'keep', target });
    expect([files, bytes]).toEqual([200, 200 * 25 * 4096]);
    console.log(`200 files, 20 MB in ${ms.toFixed(0)} ms`);
  });
});
