import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../harness/processes.ts';
import { canMount, TestVolume } from '../harness/volume.ts';
import { must } from './run.ts';

const HOLD_PROGRAM = resolve(import.meta.dirname, '../../dist/test/programs/hold-store.js');
const DFSCTL = resolve(import.meta.dirname, '../../bin/dfsctl');

describe.skipIf(!canMount)('who waits for a commit', () => {
  let volume: TestVolume;
  let children: ChildProcess[] = [];

  beforeEach(async () => {
    volume = await TestVolume.create();
    const env = {
      NODE_OPTIONS: `--import=${pathToFileURL(HOLD_PROGRAM).href}`,
      DFS_HOLD: join(volume.folder, 'hold'),
    };
    await volume.mount({ env });
    const script = 'cd "$1" && for i in $(seq 20); do head -c 300000 /dev/urandom > $i; done';
    await must(['sh', '-c', script, 'sh', volume.mountPoint]);
    writeFileSync(join(volume.folder, 'hold'), '');
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(volume.log);
    release();
    for (const child of children) child.kill('SIGKILL');
    children = [];
    await volume.dispose();
  });

  function release(): void {
    rmSync(join(volume.folder, 'hold'), { force: true });
  }

  /** A program and all that it has said so far. */
  function start(command: string[]): { said: () => string; ended: Promise<unknown[]> } {
    const [program = '', ...args] = command;
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => (text += part));
    }
    return { said: () => text, ended: once(child, 'close') };
  }

  /** Runs dfsctl at a terminal of its own. */
  function atTerminal(...args: string[]): ReturnType<typeof start> {
    const words = [process.execPath, DFSCTL, ...args].map((word) => `'${word}'`);
    return start(['script', '-qec', `stty cols 200; ${words.join(' ')}`, '/dev/null']);
  }

  test.each(['commit', 'umount'])(
    'with dfsctl %s sees at a terminal how much of how many files is done',
    async (verb) => {
      const { said, ended } = atTerminal(verb, volume.mountPoint);
      await until('a bar is shown', () => /Committing .*%/.test(said()));
      await until('it has files', () => / of 5\.[0-9] MiB +0 of 20 files/.test(said()));
      release();
      expect(await ended).toEqual([0, null]);
      const result = verb === 'commit' ? /committed@[0-9]+/ : /Unmounted/;
      expect(said()).toMatch(result);
    },
    60_000,
  );

  test('into a pipe says nothing but the result', async () => {
    const { said, ended } = start([process.execPath, DFSCTL, 'commit', volume.mountPoint]);
    await until('the commit runs', async () => {
      const { commitRunning } = await volume.call('GET', '/status');
      return commitRunning !== undefined;
    });
    await new Promise((done) => setTimeout(done, 1000));
    expect(said()).toBe('');
    release();
    expect(await ended).toEqual([0, null]);
    expect(said()).toMatch(/^[^\n]*committed@[0-9]+, replica:2\n$/);
  }, 60_000);
});
