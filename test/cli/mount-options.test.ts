import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readMountinfo } from '../../src/base/os/mod.ts';
import { dfsctl, facts, isMounted, must, run, Scene } from './run.ts';

const NOBODY = 65_534;
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
const LONG_AGO = '2001-01-01 00:00:00.000000000 +0000';

/** An asymmetric matcher, typed as what it stands for. */
const containing = (text: string): string => expect.stringContaining(text) as string;

let scene: Scene;

beforeEach(() => {
  scene = new Scene();
});

afterEach(async () => {
  await scene.clean();
});

function options(): string[] {
  return readMountinfo().find(({ mountPoint }) => mountPoint === scene.mount)?.options ?? [];
}

/** mount(8) with a helper would take the "dfs" of the type for a program. */
async function remount(list: string): Promise<void> {
  await must(['mount', '-i', '-o', `remount,${list}`, scene.mount]);
}

/** The time of the last access after a file that was not read for long is read. */
async function atimeAfterReading(file: string): Promise<string> {
  await must(['cat', file]);
  return (await must(['stat', '-c', '%x', file])).trim();
}

test('options of a mount stand in /proc/mounts and hold', async () => {
  await scene.init();
  await scene.mounted('-o', 'noatime,nosuid', '-o', 'nodev,noexec');
  expect(options()).toEqual(
    expect.arrayContaining(['rw', 'noatime', 'nosuid', 'nodev', 'noexec', 'default_permissions']),
  );
  const file = join(scene.mount, 'program');
  await must(['sh', '-c', 'echo "#!/bin/sh" > "$1" && chmod 755 "$1"', 'sh', file]);
  expect(await run([file]).catch(() => undefined)).toBeUndefined();
  await must(['touch', '-d', '2001-01-01 UTC', file]);
  expect(await atimeAfterReading(file)).toBe(LONG_AGO);
});

test('without options reading is noted, once a change, and it outlives the mount', async () => {
  await scene.init();
  await scene.mounted();
  expect(options()).toContain('relatime');
  const small = join(scene.mount, 'small');
  const large = join(scene.mount, 'large');
  await must([
    'sh',
    '-c',
    'echo hello > "$1" && head -c 300000 /dev/zero > "$2"',
    'sh',
    small,
    large,
  ]);
  // It was just written, so the kernel has all of it: the reading is noted all the same.
  for (const file of [small, large]) {
    await must(['touch', '-d', '2001-01-01 UTC', file]);
    const noted = await atimeAfterReading(file);
    expect(noted).not.toBe(LONG_AGO);
    expect(await atimeAfterReading(file)).toBe(noted);
  }
  const times = await must(['stat', '-c', '%x %y %z', small, large]);
  await facts('umount', scene.mount);
  await scene.mounted();
  expect(await must(['stat', '-c', '%x %y %z', small, large])).toBe(times);
});

test('an option that does not exist is named, and nothing is mounted', async () => {
  const refused = await dfsctl('mount', scene.home, scene.mount, '-o', 'ro,fast');
  expect(refused.status).toBe(2);
  expect(refused.stderr).toMatch(/^dfsctl: Cannot mount with "-o fast": it can be ro, rw, .*\n$/);
  expect(isMounted(scene.mount)).toBe(false);
});

test('a mount by root lets others in, as far as permissions go', async () => {
  await scene.init();
  await scene.mounted();
  await must(['chmod', '755', scene.folder]);
  const [open, secret] = [join(scene.mount, 'open'), join(scene.mount, 'secret')];
  await must(['sh', '-c', 'echo a > "$1"; echo b > "$2"; chmod 600 "$2"', 'sh', open, secret]);
  expect(await must([...AS_NOBODY, 'cat', open])).toBe('a\n');
  expect((await run([...AS_NOBODY, 'cat', secret])).stderr).toContain('Permission denied');
});

test('remount,ro stops writers and access times, remount,rw lets them go on', async () => {
  await scene.init();
  await scene.mounted();
  const file = join(scene.mount, 'file');
  await must(['sh', '-c', 'echo hello > "$1"', 'sh', file]);
  const busy = 'exec 9>"$1/open" && mount -i -o remount,ro "$1"';
  expect((await run(['sh', '-c', busy, 'sh', scene.mount])).stderr).toContain('busy');
  await must(['touch', '-d', '2001-01-01 UTC', file]);
  await remount('ro');
  expect(options()).toContain('ro');
  expect((await run(['touch', join(scene.mount, 'new')])).stderr).toContain('Read-only');
  expect(await atimeAfterReading(file)).toBe(LONG_AGO);
  await facts('commit', scene.mount);
  await remount('rw');
  await must(['touch', join(scene.mount, 'new')]);
  expect(await atimeAfterReading(file)).not.toBe(LONG_AGO);
  await remount('noatime');
  await must(['touch', '-d', '2001-01-01 UTC', file]);
  expect(await atimeAfterReading(file)).toBe(LONG_AGO);
  await facts('umount', scene.mount);
});

test('a volume mounted with ro stays read-only, whatever a remount says', async () => {
  await scene.init();
  await scene.mounted('-o', 'ro');
  expect(options()).toContain('ro');
  await remount('rw');
  const refused = await run(['touch', join(scene.mount, 'new')]);
  expect(refused).toMatchObject({ status: 1, stderr: containing('Read-only') });
  expect(await facts('umount', scene.mount)).toMatchObject({ epoch: 0 });
});
