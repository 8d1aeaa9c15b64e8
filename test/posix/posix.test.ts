import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { canMount, TestVolume } from '../harness/volume.ts';

const RUN = resolve(import.meta.dirname, 'run.py');
const SUBJECTS: readonly string[] =
  `names renames links races modes owners special times utimes opens data transfers sparse
  space mapping copies xattrs acls locks folders watching large`.split(/\s+/);
/** Those whose answers a dead daemon must not change. */
const DISTURBED: readonly string[] =
  `links.unlinked_files_live_while_open links.hard_links_are_one_file renames opens data
  sparse mapping copies locks large`.split(/\s+/);
const PAUSE_MS = 1500;
const isRoot = process.getuid?.() === 0;

/** Runs the cases of one subject: its exit status and what it printed. */
async function run(...options: string[]): Promise<{ status: number | null; lines: string[] }> {
  const child = spawn('python3', [RUN, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      text += data.toString();
    });
  }
  const status = await new Promise<number | null>((done, fail) => {
    child.once('error', fail);
    child.once('close', done);
  });
  return { status, lines: text.split('\n').filter((line) => line !== '') };
}

async function expectAll(folder: string, subject: string): Promise<void> {
  const { status, lines } = await run(folder, '--only', subject);
  const failed = lines.filter((line) => !line.startsWith('LACKS '));
  expect(status, failed.join('\n')).toBe(0);
}

test('the subjects here are those that the suite has', async () => {
  const { lines } = await run('--list');
  const listed = new Set(lines.map((line) => line.split('.')[0]));
  expect([...listed]).toEqual(SUBJECTS);
});

describe.skipIf(!isRoot)('a native folder has what the suite asks', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(process.env.DFS_TEST_FOLDER ?? tmpdir(), 'dfs-posix-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  test.each(SUBJECTS)('%s', (subject) => expectAll(folder, subject));
});

describe.skipIf(!canMount)('the mount has what the suite asks', () => {
  let volume: TestVolume | undefined;
  beforeAll(async () => {
    volume = await TestVolume.create();
    await volume.mount();
  });
  afterAll(() => volume?.dispose());
  test.each(SUBJECTS)('%s', (subject) => expectAll(volume?.mountPoint ?? '', subject), 300_000);
});

/** Until `end` resolves: commits, cold caches and deaths of the daemon, one after the other. */
async function disturb(volume: TestVolume, end: Promise<unknown>): Promise<number> {
  let isOver = false;
  const over = end.finally(() => {
    isOver = true;
  });
  let kills = 0;
  while (!isOver) {
    await volume.serving();
    await volume.commit();
    await volume.call('POST', '/cache/drop?ino=1');
    await Promise.race([over, setTimeout(PAUSE_MS)]);
    if (isOver) break;
    await volume.killDaemon();
    kills++;
  }
  await over;
  return kills;
}

describe.skipIf(!canMount)('the mount has it also', () => {
  test('while its daemon is killed, commits, and has nothing in its cache', async () => {
    const volume = await TestVolume.create();
    onTestFinished(() => volume.dispose());
    await volume.mount();
    const only = DISTURBED.flatMap((subject) => ['--only', subject]);
    const running = run(volume.mountPoint, '--slow', '4', ...only);
    expect(await disturb(volume, running)).toBeGreaterThan(0);
    const { status, lines } = await running;
    expect(status, lines.join('\n')).toBe(0);
  }, 600_000);

  test('when it is full: the write that does not fit fails, what was written stays', async () => {
    const volume = await TestVolume.create({
      diskMib: 128,
      bucketBytes: 16 * 2 ** 20,
      cacheBytes: 64 * 2 ** 20,
    });
    onTestFinished(() => volume.dispose());
    await volume.mount();
    await expectAll(volume.mountPoint, 'space');
  }, 300_000);
});
