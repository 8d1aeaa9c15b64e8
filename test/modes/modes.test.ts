import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StatsReport } from '../../src/node/mod.ts';
import { facts, must, run } from '../cli/run.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

const DFSCTL = join(import.meta.dirname, '../../bin/dfsctl');
const LASTING = join(import.meta.dirname, 'lasting.py');
/** What returns only when it is committed, in a strong folder. */
const STRONG = 'fsync fdatasync o_sync o_dsync direct rwf_dsync msync close folder rename'.split(
  ' ',
);
/** What does so everywhere. */
const FCOMMIT = ['ioctl', 'ioctl_folder', 'xattr'];
const THREADS = 24;
const TIMES = 20;

describe.skipIf(!canMount)('durability modes', () => {
  let volume: TestVolume;

  beforeEach(async () => {
    volume = await TestVolume.create();
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(volume.log);
    await volume.dispose();
  });

  const path = (...parts: string[]): string => join(volume.mountPoint, ...parts);

  async function lasting(how: string, at: string, ...numbers: number[]): Promise<string> {
    return (await must(['python3', LASTING, how, at, ...numbers.map(String)])).trim();
  }

  async function strongFolder(name: string): Promise<string> {
    await must(['mkdir', path(name)]);
    await facts('mode', path(name), 'strong');
    return path(name);
  }

  async function stats(): Promise<StatsReport> {
    return (await volume.call('GET', '/stats')) as unknown as StatsReport;
  }

  test('in a strong folder all that must last is committed when it returns', async () => {
    await volume.mount();
    const folder = await strongFolder('strong');
    for (const how of STRONG) {
      await must(['mkdir', '-p', join(folder, how)]);
      expect([how, await lasting(how, join(folder, how, 'made'))]).toEqual([
        how,
        expect.stringMatching(/^committed@[0-9]+$/),
      ]);
    }
    await volume.killAll();
    rmSync(volume.home, { recursive: true });
    await volume.recover(volume.disks.slice(1));
    await volume.mount();
    for (const how of STRONG.filter((one) => one !== 'folder')) {
      const content = await must(['head', '-c', String(how.length), join(folder, how, 'made')]);
      expect(content).toBe(how);
    }
    expect(await facts('mode', folder)).toMatchObject({ mode: 'strong', origin: 'own' });
    expect(await lasting('close', join(folder, 'after'))).toMatch(/^committed@/);
  }, 60_000);

  test('fcommit waits in a weak volume: by ioctl, of a folder too, and by attribute', async () => {
    await volume.mount();
    for (const how of FCOMMIT) {
      expect([how, await lasting(how, path(how))]).toEqual([
        how,
        expect.stringMatching(/^committed@[0-9]+$/),
      ]);
    }
  }, 60_000);

  test('dfsctl commit takes what a mapping has changed, and has not synced', async () => {
    await volume.mount();
    const child = spawn('python3', [LASTING, 'mapped', path('file')], { stdio: 'pipe' });
    try {
      await once(child.stdout, 'data');
      await facts('commit', path('file'));
      await volume.killAll();
    } finally {
      child.kill('SIGKILL');
    }
    rmSync(volume.home, { recursive: true });
    await volume.recover();
    await volume.mount();
    expect(await must(['cat', path('file')])).toBe('mapped');
  }, 60_000);

  test('who closes a weak file, or has read a strong one, asks for nothing', async () => {
    await volume.mount();
    await lasting('nothing', path('weak'));
    const folder = await strongFolder('strong');
    expect((await stats()).operations.FLUSH).toBeUndefined();
    await lasting('close', join(folder, 'file'));
    expect((await stats()).operations.FLUSH?.count).toBe(1);
    await must(['cat', join(folder, 'file')]);
    expect((await stats()).operations.FLUSH?.count).toBe(1);
  }, 60_000);

  test('those who wait at the same time share an epoch', async () => {
    await volume.mount();
    const folder = await strongFolder('strong');
    const before = (await stats()).commit.commits;
    await lasting('threads', folder, THREADS, TIMES);
    const { commits } = (await stats()).commit;
    expect(commits - before).toBeGreaterThanOrEqual(TIMES);
    expect(commits - before).toBeLessThan((THREADS * TIMES) / 4);
  }, 60_000);

  test('a folder that is moved, a daemon that was killed and a mark in the way', async () => {
    await volume.mount();
    const folder = await strongFolder('strong');
    await must(['mkdir', '-p', path('a', 'b')]);
    await must(['mv', path('a'), folder]);
    await volume.killDaemon();
    await volume.serving();
    const inner = join(folder, 'a', 'b');
    expect(await facts('mode', inner)).toEqual({
      path: inner,
      mode: 'strong',
      origin: 'folder',
      from: folder,
    });
    expect(await lasting('close', join(inner, 'file'))).toMatch(/^committed@/);
    await facts('mode', join(folder, 'a'), 'weak');
    const { commits } = (await stats()).commit;
    await lasting('nothing', join(inner, 'weak'));
    expect((await stats()).commit.commits - commits).toBeLessThanOrEqual(1);
    expect(await facts('mode', join(inner, 'weak'))).toMatchObject({ mode: 'weak' });
    await facts('mode', join(folder, 'a'), 'inherit');
    expect(await facts('mode', inner)).toMatchObject({ mode: 'strong', from: folder });
    await must(['mv', join(folder, 'a'), path('a')]);
    const moved = await facts('mode', path('a', 'b', 'weak'));
    expect(moved).toMatchObject({ mode: 'weak', origin: 'mount' });
  }, 60_000);

  test('the attribute is there for all programs, and takes two words only', async () => {
    await volume.mount();
    const set = (value: string): Promise<{ status: number | string; stderr: string }> =>
      run(
        [
          'python3',
          '-c',
          'import os,sys; os.setxattr(*sys.argv[1:3], sys.argv[3].encode())',
        ].concat(volume.mountPoint, 'user.dfs.mode', value),
      );
    for (const value of ['', 'Strong', 'inherit']) {
      expect((await set(value)).stderr).toContain('Invalid argument');
    }
    expect((await set('strong')).status).toBe(0);
    const list = ['python3', '-c', 'import os,sys; print(os.listxattr(sys.argv[1]))'];
    expect(await must([...list, volume.mountPoint])).toContain('user.dfs.mode');
    await must(['touch', path('file')]);
    const { status, stderr } = await run(
      ['setpriv', '--reuid=7', '--regid=7', '--clear-groups'].concat(
        ['python3', '-c', 'import os,sys; os.setxattr(sys.argv[1], "user.dfs.mode", b"weak")'],
        path('file'),
      ),
    );
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/Operation not permitted|Permission denied/);
  }, 60_000);

  test('who does not own the volume marks and commits what is his', async () => {
    await volume.mount();
    await must(['chmod', '755', volume.folder]);
    await must(['mkdir', path('his')]);
    await must(['chown', '7:7', path('his')]);
    const him = ['setpriv', '--reuid=7', '--regid=7', '--clear-groups'];
    const asHim = async (...args: string[]): Promise<Record<string, unknown>> => {
      const command = [...him, process.execPath, DFSCTL, ...args, '--json'];
      return JSON.parse(await must(command)) as Record<string, unknown>;
    };
    // The tests may run from a folder that others cannot enter.
    const enters = await run([...him, 'test', '-r', DFSCTL]);
    if (enters.status !== 0) return;
    expect(await asHim('mode', path('his'), 'strong')).toMatchObject({ mode: 'strong' });
    await must([...him, 'sh', '-c', 'echo data > "$1"', 'sh', path('his/file')]);
    expect(await asHim('mode', path('his/file'))).toEqual({
      path: path('his/file'),
      mode: 'strong',
      origin: 'folder',
      from: path('his'),
    });
    const { status, stderr } = await run([
      ...him,
      process.execPath,
      DFSCTL,
      'mode',
      path(''),
      'weak',
    ]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^dfsctl: Cannot (change the mode|set user.dfs.mode) of/);
    const { receipts } = await asHim('commit', path('his/file'));
    expect(receipts).toEqual([
      { path: path('his/file'), state: 'committed', epoch: expect.any(Number) as number },
    ]);
  }, 60_000);
});
