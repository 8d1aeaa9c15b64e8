import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { readMountinfo } from '../../src/base/os/mod.ts';
import { type Ended, isMounted, must, run, Scene } from './run.ts';

const NOBODY = 65_534;
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
const DFSCTL: string = fileURLToPath(new URL('../../bin/dfsctl', import.meta.url));
const DEVICE = '/dev/fuse';
const HELPER = 'fusermount3';

/** It takes the setuid helper, and a clone that others than root can read. */
const canRun: boolean =
  process.getuid?.() === 0 &&
  spawnSync(HELPER, ['-V']).status === 0 &&
  spawnSync(AS_NOBODY[0] ?? '', [...AS_NOBODY.slice(1), process.execPath, DFSCTL, '--help'])
    .status === 0;

/** An asymmetric matcher, typed as what it stands for. */
const containing = (text: string): string => expect.stringContaining(text) as string;

let scene: Scene;
let deviceMode = 0;

beforeAll(() => {
  deviceMode = statSync(DEVICE).mode & 0o777;
  // As udev has it on a machine for people.
  if (canRun) chmodSync(DEVICE, 0o666);
});

afterAll(() => {
  if (canRun) chmodSync(DEVICE, deviceMode);
});

beforeEach(async () => {
  scene = new Scene();
  await must(['chown', '-R', `${NOBODY}:${NOBODY}`, scene.folder]);
});

afterEach(async () => {
  await scene.clean();
});

function asUser(...command: string[]): Promise<Ended> {
  return run([...AS_NOBODY, ...command], { cwd: '/', env: { ...process.env, HOME: scene.folder } });
}

function dfsctl(...args: string[]): Promise<Ended> {
  return asUser(process.execPath, DFSCTL, ...args);
}

async function init(): Promise<void> {
  const sizes = ['--bucket-size', '64MiB', '--cache-size', '256MiB'];
  const made = await dfsctl('init', scene.home, ...scene.diskOptions(1, 2, 3), ...sizes);
  expect(made).toMatchObject({ status: 0, stderr: '' });
}

test.skipIf(!canRun)('a user without rights mounts, works, and unmounts', async () => {
  await init();
  const mounted = await dfsctl('mount', scene.home, scene.mount, '-o', 'noatime,noexec');
  expect(mounted).toMatchObject({ status: 0, stderr: '' });
  const entry = readMountinfo().find(({ mountPoint }) => mountPoint === scene.mount);
  expect(entry).toMatchObject({ fsType: 'fuse.dfs', source: scene.home });
  expect(entry?.options).toEqual(
    expect.arrayContaining(['nosuid', 'nodev', 'noexec', 'noatime', `user_id=${NOBODY}`]),
  );
  const file = join(scene.mount, 'file');
  expect(await asUser('sh', '-c', 'echo hello > "$1" && sync "$1"', 'sh', file)).toMatchObject({
    status: 0,
  });
  expect((await asUser('stat', '-c', '%u %g', file)).stdout).toBe(`${NOBODY} ${NOBODY}\n`);
  // Nobody else may enter, not even root.
  expect((await run(['cat', file])).stderr).toContain('Permission denied');
  expect((await dfsctl('commit', file)).stdout).toContain('committed@1');

  const inside = `cd "$1" && exec "$2" "$3" umount "$1"`;
  const busy = await asUser('sh', '-c', inside, 'sh', scene.mount, process.execPath, DFSCTL);
  expect(busy.status).toBe(1);
  expect(busy.stderr).toMatch(/^dfsctl: Cannot unmount .*: it is busy, used by .*process \d+/);
  expect(await dfsctl('umount', scene.mount)).toMatchObject({ status: 0, stderr: '' });
  expect(isMounted(scene.mount)).toBe(false);
  expect(scene.servers()).toEqual([]);
});

test.skipIf(!canRun)("a dead mount of a user is cleaned at that user's next mount", async () => {
  await init();
  expect((await dfsctl('mount', scene.home, scene.mount)).status).toBe(0);
  for (const pid of scene.servers()) process.kill(pid, 'SIGKILL');
  while (scene.servers().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(isMounted(scene.mount)).toBe(true);
  const again = await dfsctl('mount', scene.home, scene.mount);
  expect(again).toMatchObject({
    status: 0,
    stderr: containing('detached a dead mount'),
  });
  expect((await asUser('touch', join(scene.mount, 'file'))).status).toBe(0);
  expect((await dfsctl('umount', scene.mount)).status).toBe(0);
});

test.skipIf(!canRun)('what a user may not, or cannot, is said in one line', async () => {
  await init();
  const refused = (ended: Ended, reason: RegExp): void => {
    expect(ended.status).toBe(1);
    expect(ended.stderr).toMatch(/^dfsctl: Cannot mount [^\n]*\n$/);
    expect(ended.stderr).toMatch(reason);
    expect(isMounted(scene.mount)).toBe(false);
  };
  const other = await dfsctl('mount', scene.home, scene.mount, '-o', 'allow_other');
  // The administrator of this machine may have allowed it.
  if (other.status === 0) expect((await dfsctl('umount', scene.mount)).status).toBe(0);
  else refused(other, /user_allow_other/);
  const env = { ...process.env, PATH: scene.path('bin') };
  mkdirSync(scene.path('bin'));
  const setpriv = (await must(['which', 'setpriv'])).trim();
  const command = [setpriv, ...AS_NOBODY.slice(1), process.execPath, DFSCTL];
  const missing = await run([...command, 'mount', scene.home, scene.mount], { cwd: '/', env });
  refused(missing, /fusermount3, which is not there; install the package fuse3/);
  const root = scene.path('of-root');
  mkdirSync(root);
  refused(await dfsctl('mount', scene.home, root), /fusermount3: user has no write access/);
});
