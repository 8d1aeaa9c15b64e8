import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Children, parseCounts } from './children.ts';
import { QUICK, USUAL } from './open-bench.ts';
import { formatRate } from './report.ts';
import { bytesNeeded, checkRoom } from './room.ts';
import { median } from './runner.ts';

const run = promisify(execFile);

describe('median()', () => {
  it('is the middle of an odd number of values, in whatever order', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([7])).toBe(7);
  });

  it('is the mean of the two in the middle of an even number', () => {
    expect(median([4, 1, 2, 100])).toBe(3);
  });

  it('is no number when there are no values', () => {
    expect(median([])).toBeNaN();
  });
});

describe('formatRate()', () => {
  it('shows three digits', () => {
    expect(formatRate(1_852_000_000, 'bytes/s')).toBe('1.85 GB/s');
    expect(formatRate(987_654_321, 'bytes/s')).toBe('988 MB/s');
    expect(formatRate(92_345, '/s')).toBe('92,300 /s');
    expect(formatRate(3.14159, '/s')).toBe('3.14 /s');
  });
});

describe('parseCounts()', () => {
  it('reads what a load prints', () => {
    const counts = parseCounts('create 10 40960 0.5\nstat-first 10 0 0.000001000\n');
    expect(counts.get('create')).toEqual({ operations: 10, bytes: 40_960, seconds: 0.5 });
    expect(counts.get('stat-first')?.seconds).toBe(1e-6);
  });

  it.each(['create 10 40960', 'create ten 0 1.0', 'Create 1 1 1 1', 'create 1 1 -1'])(
    'refuses "%s"',
    (line) => {
      expect(() => parseCounts(line)).toThrow(/Cannot read a load's result/);
    },
  );
});

describe('checkRoom()', () => {
  it('refuses a folder without room for what a bench may take', () => {
    const needed = bytesNeeded(USUAL, { rounds: 3, copies: 2 });
    expect(needed).toBeGreaterThan(12 * USUAL.streamBytes * 2);
    expect(bytesNeeded(QUICK, { rounds: 1, copies: 2 })).toBeLessThan(needed / 4);
    expect(() => checkRoom(tmpdir(), 1)).not.toThrow();
    expect(() => checkRoom(tmpdir(), 2 ** 60)).toThrow(/Cannot bench in .*: it may take 1024 PiB/);
  });
});

describe('Children', () => {
  it('resolves to what a program printed, and says why it failed', async () => {
    const children = new Children();
    await expect(children.run('echo', ['hello'], { deadlineMs: 10_000 })).resolves.toBe('hello\n');
    const failing = children.run('sh', ['-c', 'echo reason >&2; exit 3'], { deadlineMs: 10_000 });
    await expect(failing).rejects.toThrow(/it ended with status 3: reason/);
  });

  it('ends a program that passes its deadline', async () => {
    const late = new Children().run('sleep', ['60'], { deadlineMs: 50 });
    await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it('starts nothing more after killAll()', async () => {
    const children = new Children();
    const running = children.run('sleep', ['60'], { deadlineMs: 30_000 });
    children.killAll();
    await expect(running).rejects.toThrow(/SIGKILL/);
    await expect(children.run('true', [], { deadlineMs: 1000 })).rejects.toThrow(/has ended/);
  });
});

describe('load.c', () => {
  it('does its works without a warning of the compiler', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dfs-load-'));
    try {
      const program = join(folder, 'load');
      const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-std=gnu11', '-pthread'];
      await run('gcc', [...flags, '-o', program, join(import.meta.dirname, 'load.c')]);
      const file = join(folder, 'file');
      const measure = async (...args: string[]): Promise<string[]> => {
        const counts = parseCounts((await run(program, args)).stdout);
        return [...counts].map(([name, { operations }]) => `${name} ${operations}`);
      };
      expect(await measure('write', file, String(4 << 20), '1', '1')).toEqual(['write 4']);
      expect(await measure('read', file)).toEqual(['read 4']);
      expect(await measure('random-read', file, '100', '1')).toEqual(['random-read 100']);
      expect(await measure('random-write', file, '9', '1', '1')).toEqual(['random-write 9']);
      rmSync(file);
      const small = join(folder, 'small');
      await run('mkdir', [small]);
      const phases = ['create', 'stat-first', 'stat', 'list', 'list-again', 'rename', 'delete'];
      expect(await measure('small', small, '20', '1')).toEqual(phases.map((name) => `${name} 20`));
      expect(readdirSync(small)).toEqual([]);
      await expect(run(program, ['read', join(folder, 'absent')])).rejects.toThrow(/Cannot open/);
      await expect(run(program, ['read'])).rejects.toThrow(/wrong number of arguments/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
