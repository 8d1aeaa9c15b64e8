import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { homePaths } from '../../src/home/mod.ts';
import { type Receipt, type StatusReport } from '../../src/node/mod.ts';
import { dfsctl, facts, must, run } from '../cli/run.ts';
import { until } from '../harness/processes.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

const HOLD_PROGRAM = resolve(import.meta.dirname, '../../dist/test/programs/hold-store.js');
const FAIL_PROGRAM = resolve(import.meta.dirname, '../../dist/test/programs/fail-disk.js');
const MIB = 2 ** 20;

describe.skipIf(!canMount)('the deadline of commits', () => {
  let volume: TestVolume;
  let children: ChildProcess[] = [];

  beforeEach(async () => {
    volume = await TestVolume.create();
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(volume.log);
    release();
    for (const child of children) child.kill('SIGKILL');
    children = [];
    await volume.dispose();
  });

  const path = (name: string): string => join(volume.mountPoint, name);
  const holdFile = (): string => join(volume.folder, 'hold');

  /** Mounts over disks that stand still between hold() and release(). */
  async function mount(deadlineMs: number): Promise<void> {
    const env = {
      NODE_OPTIONS: `--import=${pathToFileURL(HOLD_PROGRAM).href}`,
      DFS_HOLD: holdFile(),
    };
    await volume.mount({ deadlineMs, env });
  }

  function hold(): void {
    writeFileSync(holdFile(), '');
  }

  function release(): void {
    rmSync(holdFile(), { force: true });
  }

  async function status(): Promise<StatusReport> {
    return (await volume.call('GET', '/status')) as unknown as StatusReport;
  }

  function start(program: string, ...args: string[]): ChildProcess {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    return child;
  }

  test('missing it is an alarm in status and metrics, until all is committed', async () => {
    await mount(2000);
    await until('all is checked', async () => (await status()).health === 'healthy');
    expect(await status()).toMatchObject({ deadline: { deadlineMs: 2000 } });
    hold();
    await must(['sh', '-c', 'echo data > "$1"', 'sh', path('file')]);
    await until('the deadline is missed', async () => (await status()).deadline?.isMissed === true);
    const missed = await status();
    expect(missed).toMatchObject({ health: 'failing', deadline: { misses: 1 } });
    expect(missed.oldestUncommittedMs).toBeGreaterThan(2000);
    expect(missed.problems.join()).toMatch(/changes wait for a commit since [0-9]+ s/);
    const words = (await dfsctl('status', volume.mountPoint)).stdout;
    expect(words).toMatch(/health +failing/);
    expect(words).toMatch(/deadline +2 s, missed 1 time, the last time/);
    expect(await metrics()).toContain('\ndfs_commit_deadline_missed 1\n');
    release();
    await volume.commit();
    expect(await status()).toMatchObject({
      health: 'healthy',
      deadline: { isMissed: false, misses: 1 },
    });
    expect(await metrics()).toContain('\ndfs_commit_deadline_missed 0\n');
  }, 60_000);

  /** The text of GET /metrics. */
  async function metrics(): Promise<string> {
    const { socket } = homePaths(volume.home);
    return await new Promise<string>((done, fail) => {
      const call = request({ socketPath: socket, path: '/metrics' }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => done(text));
      });
      call.on('error', fail);
      call.end();
    });
  }

  test('a commit begins early enough, without an fsync and before its usual time', async () => {
    await mount(1000);
    await must(['sh', '-c', 'echo data > "$1"', 'sh', path('file')]);
    const receipt = async (): Promise<string> =>
      await must(['getfattr', '--only-values', '-n', 'user.dfs.commit', path('file')]);
    await until('the file is committed', async () => (await receipt()).startsWith('committed@'));
    expect((await status()).deadline).toMatchObject({ isMissed: false });
  }, 60_000);

  test('who writes more than the disks take meanwhile goes on as fast as they', async () => {
    await mount(1000);
    hold();
    const writer = start('dd', 'if=/dev/zero', `of=${path('much')}`, 'bs=1M', 'count=300');
    await until('the writer waits', async () => ((await status()).waitingWriters ?? 0) > 0);
    const { dirtyBytes } = await status();
    expect(dirtyBytes).toBeLessThan(200 * MIB);
    expect((await dfsctl('status', volume.mountPoint)).stdout).toMatch(
      /[0-9] writers? slowed down/,
    );
    // It can be killed where it waits, and others go on.
    writer.kill('SIGKILL');
    await once(writer, 'close');
    const next = start('dd', 'if=/dev/zero', `of=${path('more')}`, 'bs=1M', 'count=100');
    release();
    expect(await once(next, 'close')).toEqual([0, null]);
    await volume.commit();
    expect(await must(['stat', '-c', '%s', path('more')])).toBe(`${100 * MIB}\n`);
  }, 60_000);

  test('is nothing that a read-only mount could keep', async () => {
    await mount(1000);
    hold();
    await must(['sh', '-c', 'echo data > "$1"', 'sh', path('file')]);
    await volume.killAll();
    release();
    await volume.mount({ readOnly: true, deadlineMs: 1000 });
    const old = async (): Promise<boolean> => ((await status()).oldestUncommittedMs ?? 0) > 1500;
    await until('what is left is old', old);
    const { health, problems, deadline } = await status();
    expect([health, deadline?.isMissed]).toEqual(['unchecked', false]);
    expect(problems.join()).toContain('HOME holds changes that are not committed');
  }, 60_000);

  test('init and mount take it, and refuse what is none', async () => {
    const home = join(volume.folder, 'other');
    const disk = volume.subfolder('other-disk');
    const init = ['init', home, '--disk', disk, '--scheme', 'replica:1', '--bucket-size=64MiB'];
    for (const bad of ['0', '-1', '1s', '86401', 'x']) {
      const { status: code, stderr } = await dfsctl(...init, '--deadline', bad);
      expect([bad, code]).toEqual([bad, 2]);
      expect(stderr).toMatch(/^dfsctl: Cannot use/);
    }
    expect(await facts(...init, '--deadline', '7')).toMatchObject({ deadlineMs: 7000 });
    const mountPoint = volume.subfolder('other-mount');
    try {
      await facts('mount', home, mountPoint);
      const kept = await facts<StatusReport>('status', mountPoint);
      expect(kept.deadline?.deadlineMs).toBe(7000);
      await facts('umount', mountPoint);
      await facts('mount', home, mountPoint, '--deadline', '2.5');
      const changed = await facts<StatusReport>('status', mountPoint);
      expect(changed.deadline?.deadlineMs).toBe(2500);
    } finally {
      await run(['umount', '--lazy', mountPoint]);
    }
  }, 60_000);
});

describe.skipIf(!canMount)('a commit that fails', () => {
  let made: TestVolume | undefined;
  let volume: TestVolume;

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(made?.log);
    await made?.dispose();
    made = undefined;
  });

  const path = (name: string): string => join(volume.mountPoint, name);

  async function status(): Promise<StatusReport> {
    return (await volume.call('GET', '/status')) as unknown as StatusReport;
  }

  async function receiptOf(name: string): Promise<Receipt> {
    const { receipts } = await facts<{ receipts: Receipt[] }>('commit', '--status', path(name));
    return receipts[0] as Receipt;
  }

  /** Makes and mounts a volume on disks of this size. */
  async function strong(diskMib: number): Promise<void> {
    made = await TestVolume.create({ diskMib, bucketBytes: 4 * MIB });
    volume = made;
    const env = {
      NODE_OPTIONS: `--import=${pathToFileURL(FAIL_PROGRAM).href}`,
      DFS_FAIL: join(volume.folder, 'failing'),
    };
    await volume.mount({ mode: 'strong', env });
  }

  const WRITE = `import os, sys
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(file, os.urandom(int(sys.argv[2])))
try:
    os.fsync(file)
    print("done")
except OSError as error:
    print(error.strerror)
os._exit(0)`;

  async function writeAndSync(name: string, bytes: number): Promise<string> {
    return (await must(['python3', '-c', WRITE, path(name), String(bytes)])).trim();
  }

  test('for full disks is said by fsync, status, receipt and metrics, and loses nothing', async () => {
    await strong(96);
    expect(await writeAndSync('small', 1000)).toBe('done');
    expect(await writeAndSync('large', 200 * MIB)).toBe('No space left on device');
    expect(await status()).toMatchObject({ health: 'failing' });
    expect((await status()).problems.join('; ')).toContain('the last commit failed');
    const receipt = await receiptOf('large');
    // It is tried again from time to time, also now.
    expect(receipt.state).toMatch(/^(cached|committing)$/);
    expect(receipt.failure).toBeTypeOf('string');
    expect(receipt.bytesLeft).toBeGreaterThan(100 * MIB);
    // What was there can be read; what does not fit can go, and then all is well again.
    expect(await must(['stat', '-c', '%s', path('large')])).toBe(`${200 * MIB}\n`);
    await must(['cmp', '-n', '1000', path('small'), path('small')]);
    await must(['rm', path('large')]);
    await volume.commit();
    // What was stored of it makes room.
    expect(await writeAndSync('after', 20 * MIB)).toBe('done');
    expect((await status()).health).not.toBe('failing');
  }, 120_000);

  test('for one full disk goes to the others, and is tried again by itself', async () => {
    await strong(128);
    expect(await writeAndSync('before', 1000)).toBe('done');
    // Somebody else takes all of one disk.
    await run(['dd', 'if=/dev/zero', `of=${join(volume.disks[0] ?? '', 'filler')}`, 'bs=1M']);
    expect(await writeAndSync('file', 20 * MIB)).toBe('done');
    await until('it is committed', async () => (await receiptOf('file')).state === 'committed');
    const { health, problems } = await status();
    expect([health, problems.join()]).toEqual(['degraded', expect.stringContaining('disk 1')]);
    expect(await writeAndSync('after', 20 * MIB)).toBe('done');
  }, 120_000);

  test.each([1000, 20 * MIB])(
    'for a disk that fails its sync goes to the others before fsync of %i bytes returns',
    async (bytes) => {
      await strong(128);
      expect(await writeAndSync('before', bytes)).toBe('done');
      writeFileSync(join(volume.folder, 'failing'), volume.disks[1] ?? '');
      expect(await writeAndSync('file', bytes)).toBe('done');
      expect((await receiptOf('file')).state).toBe('committed');
      const { health, problems } = await status();
      expect([health, problems.join()]).toEqual(['degraded', expect.stringContaining('disk 2')]);
      // A second one is more than replica:2 can do without.
      writeFileSync(join(volume.folder, 'failing'), volume.disks.slice(1).join('\n'));
      expect(await writeAndSync('later', bytes)).toBe('Input/output error');
      expect(await status()).toMatchObject({ health: 'failing' });
      expect((await receiptOf('later')).state).toBe('cached');
      expect(await must(['stat', '-c', '%s', path('later')])).toBe(`${bytes}\n`);
    },
    120_000,
  );
});
