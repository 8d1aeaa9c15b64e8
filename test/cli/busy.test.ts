import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { dfsctl, facts, isMounted, must, Scene } from './run.ts';

const NOBODY = 65_534;
/** Uses the folder in one way, says so, and sleeps. */
const USER = `import mmap, os, sys, time
how, folder = sys.argv[1:]
if how == "cwd":
    os.chdir(folder)
if how == "file":
    kept = open(folder + "/file")
if how == "map":
    with open(folder + "/file") as file:
        kept = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
if how == "deleted":
    kept = open(folder + "/gone", "w")
    os.unlink(folder + "/gone")
print("ready", flush=True)
time.sleep(100)`;

let scene: Scene;
let user: ChildProcess | undefined;

beforeEach(() => {
  scene = new Scene();
});

afterEach(async () => {
  user?.kill('SIGKILL');
  await scene.clean();
});

async function start(how: string, uid: number): Promise<number> {
  const child = spawn('python3', ['-c', USER, how, scene.mount], {
    cwd: '/',
    uid,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  user = child;
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return child.pid ?? 0;
}

async function stop(): Promise<void> {
  const ended = new Promise((resolve) => user?.once('exit', resolve));
  user?.kill('SIGKILL');
  await ended;
}

test('umount of a busy mount names who uses it, and how it can be told', async () => {
  await scene.init();
  await scene.mounted();
  await must(['chmod', '755', scene.folder]);
  await must(['sh', '-c', 'echo data > "$1/file" && chmod 777 "$1"', 'sh', scene.mount]);
  const uses = [
    ['cwd', 0],
    ['file', 0],
    ['map', 0],
    ['deleted', NOBODY],
  ] as const;
  for (const [how, uid] of uses) {
    const pid = await start(how, uid);
    const { status, stderr } = await dfsctl('umount', scene.mount, '--now');
    expect({ how, status }).toEqual({ how, status: 1 });
    expect(stderr).toMatch(/^dfsctl: Cannot unmount [^\n]*: it is busy, used by [^\n]*\n$/);
    expect(stderr).toContain(`used by python3 (process ${pid}); end that`);
    await stop();
  }
  const nested = join(scene.mount, 'nested');
  await must(['mkdir', nested]);
  await must(['mount', '-t', 'tmpfs', 'more', nested]);
  const { stderr } = await dfsctl('umount', scene.mount, '--now');
  expect(stderr).toContain(`used by more (mounted on ${nested})`);
  await must(['umount', nested]);
  await facts('umount', scene.mount);
  expect(isMounted(scene.mount)).toBe(false);
});
