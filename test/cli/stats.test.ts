import { spawn } from 'node:child_process';
import { request } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { homePaths } from '../../src/home/mod.ts';
import type { StatsInterval } from '../../tools/dfsctl/stats-interval.ts';
import { canMount } from '../harness/volume.ts';
import { dfsctl, must, Scene } from './run.ts';

const DFSCTL = new URL('../../bin/dfsctl', import.meta.url).pathname;
let scene: Scene;

beforeEach(() => {
  scene = new Scene();
});

afterEach(async () => {
  await scene.clean();
});

test('stats refuses what it cannot use', async () => {
  for (const option of ['--interval=0', '--interval=x', '--count=0', '--count=1.5']) {
    const { status, stderr } = await dfsctl('stats', scene.home, option);
    expect({ option, status }).toEqual({ option, status: 2 });
    expect(stderr).toMatch(/^dfsctl: Cannot use "/);
  }
  await scene.init();
  const { status, stderr } = await dfsctl('stats', scene.home);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^dfsctl: Cannot watch the volume of .* it is not mounted/);
});

test.runIf(canMount)('stats counts requests, and ends when the volume is unmounted', async () => {
  await scene.init();
  await scene.mounted();
  const file = `${scene.mount}/file`;
  await must(['dd', 'if=/dev/zero', `of=${file}`, 'bs=64k', 'count=10', 'status=none']);
  const looks = await dfsctl('stats', scene.mount, '--count=2', '--interval=0.2', '--json');
  const [first, second] = looks.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as StatsInterval);
  expect(first?.sinceStart).toBe(true);
  expect(first?.operations.CREATE?.count).toBe(1);
  expect(first?.operations.WRITE?.bytes).toBe(655_360);
  expect(first?.operations.WRITE?.p99Ms).toBeGreaterThan(0);
  expect(second?.sinceStart).toBe(false);
  expect(second?.operations.WRITE?.count).toBe(0);

  const words = await dfsctl('stats', scene.mount, '--count=1');
  expect(words.stdout).toMatch(/^OPERATION +COUNT +RATE\/S +P50 +P99/m);
  expect(words.stdout).not.toContain('\x1b');
  expect(await metrics(scene.home)).toMatch(/^dfs_requests_total\{operation="CREATE"\} 1$/m);

  const { ended, firstLook } = watch('--interval=0.1');
  await firstLook;
  await must([process.execPath, DFSCTL, 'umount', scene.mount]);
  const { status, stderr } = await ended;
  expect(status).toBe(1);
  expect(stderr).toMatch(/^dfsctl: Cannot watch .* any longer: it was unmounted\n$/);
});

test.runIf(canMount)('stats ends quietly with Ctrl-C', async () => {
  await scene.init();
  await scene.mounted();
  const { child, ended, firstLook } = watch('--interval=60');
  await firstLook;
  child.kill('SIGINT');
  expect(await ended).toEqual({ status: 0, stderr: '' });
});

/** Starts `dfsctl stats` of the mount. */
function watch(option: string) {
  const child = spawn(process.execPath, [DFSCTL, 'stats', scene.mount, option], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (text) => (stderr += String(text)));
  const firstLook = new Promise((done) => child.stdout.once('data', done));
  const ended = new Promise<{ status: number | null; stderr: string }>((done) => {
    child.once('close', (status) => done({ status, stderr }));
  });
  return { child, ended, firstLook };
}

/** GET /metrics. */
function metrics(home: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: homePaths(home).socket, path: '/metrics' }, (response) => {
      expect(response.headers['content-type']).toMatch(/^text\/plain; version=0.0.4/);
      let text = '';
      response.on('data', (part) => (text += String(part)));
      response.once('end', () => resolve(text));
    });
    call.once('error', reject);
    call.end();
  });
}
