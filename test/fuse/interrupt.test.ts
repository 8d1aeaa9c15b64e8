import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { MIB } from '../../src/base/limits.ts';
import { findMount, mountFileSystem } from '../../src/base/os/mod.ts';
import { until } from '../harness/processes.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

const HOLD_PROGRAM = resolve(import.meta.dirname, '../../dist/test/programs/hold-store.js');

const HELD_LOOKS = 15;

/** Killed, it closes its file by its end. */
const WRITE = `import fcntl, os, sys
path, how = sys.argv[1:]
file = os.open(path, os.O_CREAT | os.O_WRONLY)
os.write(file, b"data")
{
    "fsync": os.fsync,
    "close": os.close,
    "kill": lambda _: os.kill(os.getpid(), 9),
    "ioctl": lambda _: fcntl.ioctl(file, 0x8008DF01, bytes(8)),
    "xattr": lambda _: os.setxattr(file, "user.dfs.commit", b""),
}[how](file)`;

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A volume whose devices stand still while a file exists. */
class Held {
  readonly volume: TestVolume;
  readonly #hold: string;
  /** Where fusectl is mounted, which has the kernel's count of requests without an answer. */
  readonly #control: string;
  readonly #children: ChildProcess[] = [];

  private constructor(volume: TestVolume) {
    this.volume = volume;
    this.#hold = join(volume.folder, 'hold');
    this.#control = volume.subfolder('control');
    const [source, target] = ['fusectl', this.#control];
    mountFileSystem({ source, target, type: source, flags: 0, data: '' });
  }

  static async mounted(mode: 'weak' | 'strong'): Promise<Held> {
    const held = new Held(await TestVolume.create({ cacheBytes: 64 * MIB }));
    const env = {
      NODE_OPTIONS: `--import=${pathToFileURL(HOLD_PROGRAM).href}`,
      DFS_HOLD: held.#hold,
    };
    await held.volume.mount({ mode, env });
    return held;
  }

  path(name: string): string {
    return join(this.volume.mountPoint, name);
  }

  hold(): void {
    writeFileSync(this.#hold, '');
  }

  /** Lets everything go on, and waits until the kernel waits for nothing. */
  async release(): Promise<void> {
    rmSync(this.#hold, { force: true });
    await this.#quiet();
    expect(this.volume.log).not.toMatch(/"level":"error"|fuse\.(fault|reply-refused)/);
  }

  async #quiet(): Promise<void> {
    await until('no request is left without an answer', () => this.#waiting() === 0);
  }

  #waiting(): number {
    const minor = findMount(this.volume.mountPoint)?.device.split(':')[1] ?? '';
    return Number(readFileSync(join(this.#control, minor, 'waiting'), 'utf8'));
  }

  start(command: string, ...args: string[]): { child: ChildProcess; ended: Promise<Ended> } {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    this.#children.push(child);
    const ended = new Promise<Ended>((done) => {
      child.once('close', (code, signal) => done({ code, signal }));
    });
    return { child, ended };
  }

  async run(script: string): Promise<void> {
    const { ended } = this.start('bash', '-c', script, 'bash', this.volume.mountPoint);
    expect(await ended).toEqual({ code: 0, signal: null });
  }

  /** Runs a program until it waits for the mount, and ends it by `signal` while nothing moves. */
  async endsBy(signal: NodeJS.Signals, command: string, ...args: string[]): Promise<void> {
    await this.#quiet();
    this.hold();
    const { child, ended } = this.start(command, ...args);
    let looks = 0;
    await until(`${command} waits`, () => {
      // A request on its way is seen once or twice, one that is held every time.
      looks = this.#waiting() > 0 ? looks + 1 : 0;
      return looks >= HELD_LOOKS;
    });
    child.kill(signal);
    // Should it not die, the test times out here.
    expect(await ended).toEqual({ code: null, signal });
  }

  /** Takes all that is committed out of the cache, and out of the kernel's. */
  async drop(): Promise<void> {
    await this.volume.commit();
    await this.volume.call('POST', '/cache/drop?ino=1');
  }

  async dispose(): Promise<void> {
    rmSync(this.#hold, { force: true });
    for (const child of this.#children) child.kill('SIGKILL');
    await this.volume.dispose();
  }
}

describe.skipIf(!canMount)('a caller that is ended while it waits', () => {
  let held: Held | undefined;

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(held?.volume.log);
    await held?.dispose();
    held = undefined;
  });

  test('dies at once in a read from slow disks', async () => {
    held = await Held.mounted('weak');
    await held.run('head -c 3000000 /dev/urandom > $1/file && sha256sum $1/file > $1/sum');
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      await held.drop();
      await held.endsBy(signal, 'cat', held.path('file'));
      await held.release();
    }
    await held.run('sha256sum --quiet -c $1/sum');
  }, 60_000);

  test('dies at once in a write that waits, which then has not happened', async () => {
    held = await Held.mounted('weak');
    await held.run('head -c 300000 /dev/urandom > $1/file && sha256sum $1/file > $1/sum');
    const overwrite = 'seek=777 bs=100 count=1 conv=notrunc status=none'.split(' ');
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await held.drop();
      await held.endsBy(signal, 'dd', 'if=/dev/zero', `of=${held.path('file')}`, ...overwrite);
      await held.release();
      await held.run('sha256sum --quiet -c $1/sum');
    }
    await held.run(`dd if=/dev/zero of=$1/file ${overwrite.join(' ')}`);
    await held.run('! sha256sum --status -c $1/sum');
  }, 60_000);

  test('dies at once in a write into a cache that is full', async () => {
    held = await Held.mounted('weak');
    const args = ['if=/dev/urandom', `of=${held.path('big')}`, 'bs=1M', 'count=100'];
    await held.endsBy('SIGKILL', 'dd', ...args, 'status=none');
    await held.release();
    await held.run('test $(stat -c %s $1/big) -lt 70000000 && echo more >> $1/big');
  }, 60_000);

  test('dies at once in fsync', async () => {
    held = await Held.mounted('weak');
    const fsync = ['if=/dev/zero', `of=${held.path('file')}`, 'bs=1k', 'count=9', 'conv=fsync'];
    await held.endsBy('SIGTERM', 'dd', ...fsync, 'status=none');
    await held.endsBy('SIGKILL', 'dd', ...fsync, 'status=none');
    await held.release();
    await held.run('test $(stat -c %s $1/file) = 9216 && sync $1/file');
  }, 60_000);

  test('dies at once in strong mode: in fsync, in close, and by the close at its end', async () => {
    held = await Held.mounted('strong');
    const write = (how: string): string[] => ['-c', WRITE, held?.path(how) ?? '', how];
    await held.endsBy('SIGTERM', 'python3', ...write('fsync'));
    await held.endsBy('SIGKILL', 'python3', ...write('close'));
    held.hold();
    const { ended } = held.start('python3', ...write('kill'));
    expect(await ended).toEqual({ code: null, signal: 'SIGKILL' });
    await held.release();
    for (const how of ['fsync', 'close', 'kill']) await held.run(`test $(cat $1/${how}) = data`);
  }, 60_000);

  test('dies at once in fcommit, by ioctl and by attribute', async () => {
    held = await Held.mounted('weak');
    const write = (how: string): string[] => ['-c', WRITE, held?.path(how) ?? '', how];
    await held.endsBy('SIGTERM', 'python3', ...write('ioctl'));
    await held.endsBy('SIGKILL', 'python3', ...write('xattr'));
    await held.release();
    for (const how of ['ioctl', 'xattr']) await held.run(`test $(cat $1/${how}) = data`);
  }, 60_000);

  test('leaves nothing behind when it renames or lists', async () => {
    held = await Held.mounted('weak');
    await held.run('mkdir $1/d && cd $1/d && seq 5000 | xargs touch');
    const loops = ['while :; do mv $1/a $1/b; mv $1/b $1/a; done', 'while :; do ls -l $1/d; done'];
    for (const loop of loops) {
      for (let kill = 0; kill < 5; kill++) {
        await held.run('rm -f $1/b && touch $1/a');
        const script = `exec > /dev/null 2>&1; ${loop}`;
        const { child, ended } = held.start('setsid', 'bash', '-c', script, 'bash', held.path(''));
        await new Promise((done) => setTimeout(done, 20 + kill * 17));
        process.kill(-(child.pid ?? 0), 'SIGKILL');
        await ended;
      }
    }
    await held.release();
    await held.run('test $(ls $1/d | wc -l) = 5000');
  }, 60_000);
});
