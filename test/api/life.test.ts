import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { openVolume } from 'dfs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { canMount, TestVolume } from '../harness/volume.ts';
import { ApiScene, codeOf } from './scene.ts';

const PROGRAM = resolve(import.meta.dirname, '../../dist/test/programs/api-main.js');
const NOBODY = 65_534;

let scene: ApiScene;

beforeEach(async () => {
  scene = await ApiScene.create();
});

afterEach(() => scene.dispose());

test('a HOME is opened by one at a time, who hears why', async () => {
  const volume = await scene.open();
  await expect(openVolume(scene.home)).rejects.toMatchObject({
    code: 'BUSY',
    message: expect.stringContaining('it is mounted or in use') as string,
  });
  await volume.close();
  await (await scene.open()).close();
});

test.skipIf(!canMount)('a volume that is mounted is not opened', async () => {
  const mounted = await TestVolume.create();
  try {
    await mounted.mount();
    expect(await codeOf(openVolume(mounted.home))).toBe('BUSY');
    await mounted.unmount();
    const volume = await openVolume(mounted.home);
    await volume.writeFile('/from the api', 'x');
    await volume.close();
  } finally {
    await mounted.dispose();
  }
});

test('close commits, unless it is told not to', async () => {
  const first = await scene.open();
  await first.writeFile('/one', '1');
  await first.close();
  const second = await scene.open();
  expect(await second.receipt('/one')).toMatchObject({ state: 'committed', bytesLeft: 0 });
  await second.writeFile('/two', '2');
  await second.close({ commit: false });
  const third = await scene.open({ commitAtEnd: false });
  expect(await third.receipt('/two')).toMatchObject({ state: 'cached' });
  expect(await third.readFile('/two', 'utf8')).toBe('2');
  await third.close();
  await scene.loseHome();
  const last = await scene.open();
  expect(await last.readdir('/')).toEqual(['one']);
});

test('commit answers with the epoch that has everything', async () => {
  const volume = await scene.open();
  await volume.writeFile('/file', 'x');
  expect(await volume.receipt('/')).toMatchObject({ state: 'cached', bytesLeft: 4096 });
  const receipt = await volume.commit();
  expect(receipt).toEqual({ epoch: 1, scheme: 'replica:2', survives: 'survives any 1 disk' });
  expect(await volume.receipt('/file')).toMatchObject({ state: 'committed', epoch: 1 });
  expect(await volume.commit()).toMatchObject({ epoch: 1 });
  await expect.poll(async () => (await volume.status()).health).toBe('healthy');
  expect(await volume.status()).toMatchObject({
    home: scene.home,
    mode: 'weak',
    readOnly: false,
    epoch: 1,
    fsyncMeans: "fsync here means: on this machine's cache device",
  });
});

test('strong: sync, and close of what was written, return when it is committed', async () => {
  const volume = await scene.open({ mode: 'strong' });
  const file = await volume.open('/file', 'w');
  await file.write('x');
  expect(await volume.receipt('/file')).toMatchObject({ state: 'cached' });
  await file.datasync();
  expect(await volume.receipt('/file')).toMatchObject({ state: 'committed' });
  await file.write('y');
  await file.close();
  expect(await volume.receipt('/file')).toMatchObject({ state: 'committed' });
  const synced = await volume.open('/synced', 'as');
  await synced.write('z');
  expect(await volume.receipt('/synced')).toMatchObject({ state: 'committed' });
  await synced.close();
});

test('weak: a commit of a handle waits for the disks', async () => {
  const volume = await scene.open();
  const file = await volume.open('/file', 'w');
  await file.write('x');
  await file.sync();
  expect(await volume.receipt('/file')).toMatchObject({ state: 'cached' });
  const { epoch } = await file.commit();
  expect(await volume.receipt('/file')).toMatchObject({ state: 'committed', epoch });
  await file.close();
});

test('a commit that cannot reach its disks says so, and loses nothing', async () => {
  const volume = await scene.open();
  await volume.writeFile('/before', '1');
  await volume.commit();
  await volume.close();
  // Two of three disks are gone: replica:2 has nowhere to put the second copy.
  for (const disk of scene.disks.slice(1)) rmSync(disk, { recursive: true });
  const poor = await scene.open();
  await poor.writeFile('/file', 'x');
  expect(await codeOf(poor.commit())).toBe('UNAVAILABLE');
  expect(await codeOf(poor.close())).toBe('UNAVAILABLE');
  const again = await scene.open({ commitAtEnd: false });
  expect(await again.readFile('/file', 'utf8')).toBe('x');
});

test('read-only: everything is read, nothing is changed', async () => {
  const volume = await scene.open();
  await volume.writeFile('/file', 'x');
  await volume.close({ commit: false });
  const reader = await scene.open({ readOnly: true });
  expect(await reader.readFile('/file', 'utf8')).toBe('x');
  expect(await codeOf(reader.writeFile('/file', 'y'))).toBe('EROFS');
  expect(await codeOf(reader.mkdir('/folder'))).toBe('EROFS');
  expect(await codeOf(reader.unlink('/file'))).toBe('EROFS');
  expect(await codeOf(reader.commit())).toBe('BAD_ARGUMENT');
  await reader.close();
});

test('close waits for the calls that run; later ones are CLOSED, and handles end', async () => {
  const volume = await scene.open();
  const file = await volume.open('/file', 'w');
  const writing = file.writeFile(Buffer.alloc(3_000_000, 'x'));
  const closing = volume.close();
  await writing.catch((error: unknown) => expect(error).toMatchObject({ code: 'CLOSED' }));
  await closing;
  await volume.close();
  expect(await codeOf(volume.stat('/'))).toBe('CLOSED');
  expect(await codeOf(file.write('x'))).toBe('CLOSED');
  await file.close();
});

test('await using closes files and volumes', async () => {
  {
    await using volume = await openVolume(scene.home);
    await using file = await volume.open('/file', 'w');
    await file.write('x');
  }
  await using again = await openVolume(scene.home);
  expect(await again.readFile('/file', 'utf8')).toBe('x');
});

test('files belong to whom they are said to', async () => {
  const volume = await scene.open({ owner: { uid: 12, gid: 34 } });
  await volume.writeFile('/file', '');
  await volume.mkdir('/folder');
  expect(await volume.stat('/file')).toMatchObject({ uid: 12, gid: 34 });
  expect(await volume.stat('/folder')).toMatchObject({ uid: 12, gid: 34 });
  // What only root may do is done all the same.
  await volume.setxattr('/', 'user.dfs.mode', 'strong');
  await volume.setxattr('/file', 'trusted.secret', 'x');
  expect(await volume.listxattr('/file')).toEqual(['trusted.secret']);
});

test('no volume, and one with a broken config, is refused and leaves nothing open', async () => {
  const before = readdirSync('/proc/self/fd').length;
  expect(await codeOf(openVolume(join(scene.folder, 'nowhere')))).toBe('NOT_FOUND');
  rmSync(join(scene.home, 'meta.sqlite'));
  expect(await codeOf(openVolume(scene.home))).toBe('NOT_FOUND');
  expect(await codeOf(openVolume(scene.home, { storeThread: false }))).toBe('NOT_FOUND');
  writeFileSync(join(scene.home, 'config'), 'nonsense\n');
  expect(await codeOf(openVolume(scene.home))).toBe('CORRUPT');
  expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before);
});

test.each(['leaks with a thread', 'leaks without a thread'])(
  'nothing %s',
  (what) => {
    const { stdout, stderr } = spawnSync(process.execPath, [PROGRAM, scene.home, what], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    const { before, after } = JSON.parse(stdout) as { before: object; after: object };
    expect(after).toEqual(before);
  },
  400_000,
);

const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

function asUser(...command: string[]) {
  const [program = '', ...args] = [...AS_NOBODY, process.execPath, ...command];
  return spawnSync(program, args, { cwd: '/', encoding: 'utf8' });
}

const canBeUser =
  process.getuid?.() === 0 && asUser('-e', `require('fs').readFileSync('${PROGRAM}')`).status === 0;

test.skipIf(!canBeUser)('needs no rights but those to HOME and the disks', () => {
  for (const path of [scene.folder, scene.home, ...scene.disks]) giveAll(path);
  const { status, stdout, stderr } = asUser(PROGRAM, scene.home, 'once');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ uid: NOBODY, receipt: { scheme: 'replica:2' } });
});

function giveAll(path: string): void {
  chownSync(path, NOBODY, NOBODY);
  for (const entry of readdirSync(path, { withFileTypes: true, recursive: true })) {
    chownSync(join(entry.parentPath, entry.name), NOBODY, NOBODY);
  }
  chmodSync(path, 0o755);
  expect(existsSync(path)).toBe(true);
}
