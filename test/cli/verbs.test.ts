import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type {
  FsckReport,
  LocatedExtent,
  Receipt,
  RecoverReport,
  StatusReport,
} from '../../src/node/mod.ts';
import { dfsctl, facts, isMounted, must, run, Scene } from './run.ts';

let scene: Scene;

/** An asymmetric matcher, typed as what it stands for. */
const matching = (pattern: RegExp): string => expect.stringMatching(pattern) as string;
const containing = (text: string): string => expect.stringContaining(text) as string;

beforeEach(() => {
  scene = new Scene();
});

afterEach(async () => {
  await scene.clean();
});

interface Committed {
  receipts: (Receipt & { path: string })[];
}
interface Located {
  sizeBytes: number;
  receipt: Receipt;
  extents: LocatedExtent[];
}

/** Puts a file of random bytes on the mount: its hash. */
async function fill(path: string, mebibytes: number): Promise<string> {
  await must(['dd', 'if=/dev/urandom', `of=${path}`, 'bs=1M', `count=${mebibytes}`, 'status=none']);
  return hashOf(path);
}

async function hashOf(path: string): Promise<string> {
  return (await must(['sha256sum', path])).slice(0, 64);
}

test('init says what it made, as JSON and in words', async () => {
  const made = await facts(
    'init',
    scene.home,
    ...scene.diskOptions(1, 2, 3),
    '--bucket-size=64MiB',
  );
  expect(made).toMatchObject({
    home: scene.home,
    scheme: 'replica:2',
    survives: 'survives any 1 disk',
    bucketBytes: 64 * 2 ** 20,
    disks: scene.disks.map((path, index) => ({ id: index + 1, path })),
  });
  expect(made.cacheBytes).toBeGreaterThanOrEqual(256 * 2 ** 20);
  const folders = ['e1', 'e2'].map((name) => scene.path(name));
  for (const folder of folders) mkdirSync(folder);
  const disks = folders.flatMap((folder) => ['--disk', folder]);
  const { status, stdout, stderr } = await dfsctl('init', scene.path('home2'), ...disks);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^Made volume [0-9a-f-]{36} in /);
  expect(stdout).not.toContain('\x1b');
});

test.each(['replica:2', 'ec:2+1'])(
  'a volume with %s is filled, committed, loses a disk and HOME, and has everything again',
  async (scheme) => {
    await scene.init(scheme);
    await scene.mounted();
    const file = join(scene.mount, 'file');
    const hash = await fill(file, 9);
    await must(['mkdir', join(scene.mount, 'folder')]);
    await must(['ln', '-s', 'file', join(scene.mount, 'link')]);
    const { receipts } = await facts<Committed>('commit', file, join(scene.mount, 'folder'));
    expect(receipts).toMatchObject([
      { path: file, state: 'committed', bytesLeft: 0, scheme },
      { path: join(scene.mount, 'folder'), state: 'committed', scheme },
    ]);
    await facts('umount', scene.mount);
    expect(isMounted(scene.mount)).toBe(false);
    expect(scene.servers()).toEqual([]);
    rmSync(scene.home, { recursive: true });
    rmSync(scene.disks[1] ?? '', { recursive: true });
    const home = scene.path('home2');
    const report = await facts<RecoverReport>('recover', home, ...scene.diskOptions(1, 3));
    expect(report).toMatchObject({ scheme, lost: [], files: 4, fileBytes: 9 * 2 ** 20 });
    expect(report.disks.map(({ problem }) => problem === undefined)).toEqual([true, false, true]);
    const mounted = await dfsctl('mount', home, scene.mount);
    expect(mounted).toMatchObject({ status: 0, stderr: matching(/^dfsctl: disk 2 /) });
    expect(await hashOf(join(scene.mount, 'link'))).toBe(hash);
    const status = await facts<StatusReport>('status', scene.mount);
    expect(status).toMatchObject({ health: 'degraded', home, mountPoint: scene.mount });
    await facts('umount', scene.mount);
  },
);

test('status tells of a volume, mounted or not, by HOME or mountpoint', async () => {
  await scene.init();
  const before = await facts<StatusReport>('status', scene.home);
  expect(before).toMatchObject({ health: 'unchecked', epoch: 0, problems: [] });
  expect(before.mountPoint).toBeUndefined();
  await scene.mounted('--mode', 'strong');
  const [byHome, byMount] = [
    await facts<StatusReport>('status', scene.home),
    await facts<StatusReport>('status', scene.mount),
  ];
  expect(byHome).toMatchObject({ mountPoint: scene.mount, mode: 'strong', home: scene.home });
  expect(byMount.volumeUuid).toBe(byHome.volumeUuid);
  const { stdout } = await dfsctl('status', scene.mount);
  expect(stdout).toContain('replica:2: survives any 1 disk');
  expect(stdout).toContain('fsync here means: on 3 disks, survives any 1 disk');
  // Within the mount no name is needed.
  const script = 'cd "$1" && exec "$2" "$3" status --json';
  const tool = join(import.meta.dirname, '../../bin/dfsctl');
  const here = await run(['sh', '-c', script, 'sh', scene.mount, process.execPath, tool]);
  expect(JSON.parse(here.stdout)).toMatchObject({ home: scene.home });
});

test('commit --status only asks, commit waits; of files and folders', async () => {
  await scene.init();
  await scene.mounted();
  const file = join(scene.mount, 'file');
  await fill(file, 1);
  const asked = await facts<Committed>('commit', '--status', file, scene.mount);
  expect(asked.receipts).toMatchObject([
    { path: file, state: 'cached', bytesLeft: 2 ** 20, epoch: 0 },
    { path: scene.mount, state: 'cached', bytesLeft: 2 ** 20 },
  ]);
  expect(asked.receipts[0]?.oldestUncommittedMs).toBeTypeOf('number');
  const done = await dfsctl('commit', file);
  expect(done).toEqual({ status: 0, stderr: '', stdout: `${file}: committed@1, replica:2\n` });
});

test('diskmap show draws the tree of a volume, mounted or not', async () => {
  await scene.init();
  const offline = await dfsctl('diskmap', 'show', scene.home);
  expect(offline.stdout).toMatch(/room 1 .*\n {2}row 1 .*\n {4}rack 1 .*\n {6}machine 1 /);
  expect(offline.stdout.match(/^ {8}disk [123] .* up /gm)).toHaveLength(3);
  await scene.mounted();
  const shown = await facts('diskmap', 'show', scene.mount);
  expect(shown).toMatchObject({
    mapVersion: 1,
    scheme: 'replica:2',
    disks: [1, 2, 3].map((disk) => ({ id: disk, room: 1, row: 1, rack: 1, machine: 1, disk })),
  });
});

test('diskmap locate shows chunks and pieces, and what is not committed yet', async () => {
  await scene.init('ec:2+1');
  await scene.mounted();
  const file = join(scene.mount, 'file');
  await fill(file, 5);
  const early = await dfsctl('diskmap', 'locate', file);
  expect(early).toMatchObject({
    status: 0,
    stdout: containing('not everything is committed'),
  });
  await facts('commit', file);
  const { sizeBytes, receipt, extents } = await facts<Located>('diskmap', 'locate', file);
  expect({ sizeBytes, state: receipt.state }).toEqual({
    sizeBytes: 5 * 2 ** 20,
    state: 'committed',
  });
  expect(extents.map(({ offset, lengthBytes }) => [offset, lengthBytes])).toEqual([
    [0, 4 * 2 ** 20],
    [4 * 2 ** 20, 2 ** 20],
  ]);
  for (const { chunk, scheme, pieces } of extents) {
    expect(chunk).toMatch(/^[0-9a-f]{64}$/);
    expect(scheme).toBe('ec:2+1');
    expect(pieces.map(({ index, health }) => [index, health])).toEqual([
      [0, 'ok'],
      [1, 'ok'],
      [2, 'ok'],
    ]);
    expect(new Set(pieces.map(({ diskId }) => diskId)).size).toBe(3);
    for (const { bucket, bucketId } of pieces) {
      expect(bucket).toMatch(/^1\.1\.1\.1\.[123]\.\d+$/);
      expect(bucketId).toMatch(/^[0-9a-f]{32}$/);
    }
  }
});

test('umount refuses while the mount is busy, names who is, and works afterwards', async () => {
  await scene.init();
  await scene.mounted();
  const script = 'cd "$1" && exec "$2" "$3" umount "$1"';
  const tool = join(import.meta.dirname, '../../bin/dfsctl');
  const busy = await run(['sh', '-c', script, 'sh', scene.mount, process.execPath, tool]);
  expect(busy.status).toBe(1);
  expect(busy.stderr).toMatch(/^dfsctl: Cannot unmount .*: it is busy, used by .*process \d+/);
  expect(isMounted(scene.mount)).toBe(true);
  await must(['touch', join(scene.mount, 'still-writable')]);
  expect((await dfsctl('umount', scene.mount)).status).toBe(0);
});

test('umount --now leaves in the cache what the next mount finds there', async () => {
  await scene.init();
  await scene.mounted();
  await must(['sh', '-c', `echo hello > ${scene.mount}/file`]);
  const result = await facts('umount', scene.mount, '--now');
  expect(result).toMatchObject({ epoch: 0, wasDead: false });
  expect(result.dirtyBytes).toBeGreaterThan(0);
  const { problems } = await facts<StatusReport>('status', scene.home);
  expect(problems.join()).toContain('not committed');
  await scene.mounted();
  expect(await must(['cat', join(scene.mount, 'file')])).toBe('hello\n');
  expect(await facts('umount', scene.mount)).toMatchObject({ epoch: 1, dirtyBytes: 0 });
});

test('umount stays mounted when the commit fails, says why, and mentions --now', async () => {
  await scene.init('ec:2+1');
  rmSync(scene.disks[2] ?? '', { recursive: true });
  await facts('mount', scene.home, scene.mount);
  const file = join(scene.mount, 'file');
  await must(['sh', '-c', `echo hello > ${file}`]);
  for (const verb of ['commit', 'umount']) {
    const { status, stdout, stderr } = await dfsctl(verb, scene.mount);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^dfsctl: Cannot [^\n]*ec:2\+1 takes 3 disks, 2 can be used[^\n]*\n$/);
    expect(stderr.includes('"--now"')).toBe(verb === 'umount');
  }
  expect(await must(['cat', file])).toBe('hello\n');
  const { receipts } = await facts<Committed>('commit', '--status', file);
  expect(receipts[0]).toMatchObject({ state: 'cached', failure: containing('disk 3 is missing') });
  expect(await facts<StatusReport>('status', scene.mount)).toMatchObject({ health: 'failing' });
  await facts('umount', scene.mount, '--now');
  await facts('mount', scene.home, scene.mount, '--read-only');
  expect(await must(['cat', file])).toBe('hello\n');
  const refused = await dfsctl('commit', file);
  expect(refused).toMatchObject({ status: 1, stderr: containing('opened read-only') });
  await facts('umount', scene.mount);
});

test('commit goes on when the daemon is killed in the middle', async () => {
  await scene.init();
  await scene.mounted();
  const file = join(scene.mount, 'file');
  const hash = await fill(file, 100);
  const committing = facts<Committed>('commit', file);
  await new Promise((resolve) => setTimeout(resolve, 250));
  process.kill(Math.max(...scene.servers()), 'SIGKILL');
  expect((await committing).receipts).toMatchObject([{ state: 'committed', bytesLeft: 0 }]);
  expect(await hashOf(file)).toBe(hash);
});

test('a HOME whose socket has too long a name for an address works as any other', async () => {
  const home = scene.path('x'.repeat(120), 'home');
  await facts('init', home, ...scene.diskOptions(1, 2, 3), '--bucket-size=64MiB');
  await facts('mount', home, scene.mount);
  expect(await facts<StatusReport>('status', scene.mount)).toMatchObject({ home });
  await facts('umount', scene.mount);
});

test('Ctrl-C ends mount --foreground: refused while busy, forced the second time', async () => {
  await scene.init();
  const tool = join(import.meta.dirname, '../../bin/dfsctl');
  const args = [tool, 'mount', scene.home, scene.mount, '--foreground'];
  const staying = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = (text: string): Promise<void> =>
    new Promise((resolve) => {
      for (const stream of [staying.stdout, staying.stderr]) {
        stream.on('data', (part: Buffer) => part.toString().includes(text) && resolve());
      }
    });
  await said('Mounted');
  // It says when it stands in the mount.
  const user = spawn('sh', ['-c', `cd ${scene.mount} && echo in && exec sleep 100`]);
  await new Promise((resolve) => user.stdout.once('data', resolve));
  const ended = new Promise((resolve) => staying.once('exit', resolve));
  try {
    const refused = said('Ctrl-C again');
    staying.kill('SIGINT');
    await refused;
    expect(isMounted(scene.mount)).toBe(true);
    staying.kill('SIGINT');
    expect(await ended).toBe(0);
    expect(isMounted(scene.mount)).toBe(false);
  } finally {
    user.kill('SIGKILL');
  }
});

test('a dead mount is detached by umount, and by mount', async () => {
  await scene.init();
  for (const how of ['umount', 'mount']) {
    await scene.mounted();
    const pids = scene.servers();
    expect(pids).toHaveLength(2);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    while (scene.servers().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isMounted(scene.mount)).toBe(true);
    if (how === 'mount') await scene.mounted();
    else expect(await facts('umount', scene.mount)).toMatchObject({ wasDead: true });
  }
  await must(['touch', join(scene.mount, 'file')]);
});

test('a read-only mount lets nothing be changed, and ends without a commit', async () => {
  await scene.init();
  await scene.mounted('--read-only');
  const touched = await run(['touch', join(scene.mount, 'file')]);
  expect(touched).toMatchObject({ status: 1, stderr: containing('Read-only') });
  expect(await facts<StatusReport>('status', scene.mount)).toMatchObject({ readOnly: true });
  expect(await facts('umount', scene.mount)).toMatchObject({ epoch: 0 });
});

test('mount --foreground stays until the mount is gone, and commits at its end', async () => {
  await scene.init();
  const staying = dfsctl('mount', scene.home, scene.mount, '--foreground');
  while (!isMounted(scene.mount)) await new Promise((resolve) => setTimeout(resolve, 20));
  await must(['sh', '-c', `echo hello > ${scene.mount}/file`]);
  await must(['umount', scene.mount]);
  expect(await staying).toMatchObject({ status: 0, stderr: '' });
  expect(await facts<StatusReport>('status', scene.home)).toMatchObject({ epoch: 1 });
});

test('fsck tells by its status whether files are lost', async () => {
  await scene.init();
  await scene.mounted();
  // So many chunks that each disk has some of them.
  await fill(join(scene.mount, 'file'), 49);
  await facts('commit', scene.mount);
  const good = await facts<FsckReport>('fsck', scene.mount);
  expect(good).toMatchObject({ lost: [], inconsistencies: [], degradedChunks: 0 });
  expect(good.chunks).toBeGreaterThan(12);
  await facts('umount', scene.mount);
  expect(await facts<FsckReport>('fsck', scene.home)).toMatchObject({
    pieces: { ok: 2 * good.chunks },
  });
  rmSync(scene.disks[0] ?? '', { recursive: true });
  const degraded = await dfsctl('fsck', scene.home);
  expect(degraded).toMatchObject({ status: 0, stdout: containing('degraded') });
  writeFileSync(scene.disks[0] ?? '', '');
  rmSync(join(scene.disks[1] ?? '', 'dfs', 'buckets'), { recursive: true });
  rmSync(join(scene.disks[2] ?? '', 'dfs', 'buckets'), { recursive: true });
  for (const disk of [1, 2]) {
    rmSync(join(scene.disks[disk] ?? '', 'dfs', 'index.sqlite'), { force: true });
    rmSync(join(scene.disks[disk] ?? '', 'dfs', 'index.sqlite-wal'), { force: true });
    mkdirSync(join(scene.disks[disk] ?? '', 'dfs', 'buckets'));
  }
  const lost = await dfsctl('fsck', scene.home);
  expect(lost).toMatchObject({ status: 1, stdout: containing('LOST') });
  expect(lost.stdout).toContain('/file');
});
