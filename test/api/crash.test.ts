import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ApiScene } from './scene.ts';

const PROGRAM = resolve(import.meta.dirname, '../../dist/test/programs/api-main.js');

let scene: ApiScene;

beforeEach(async () => {
  scene = await ApiScene.create();
});

afterEach(() => scene.dispose());

/** Runs the program until it has printed a line that `isEnough` for, and kills it: that line. */
async function killed<T>(what: string, isEnough: (line: T) => boolean): Promise<T> {
  const child = spawn(process.execPath, [PROGRAM, scene.home, what], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let last: T | undefined;
  for await (const text of createInterface({ input: child.stdout })) {
    last = JSON.parse(text) as T;
    if (isEnough(last)) child.kill('SIGKILL');
  }
  await ended;
  if (last === undefined) throw new Error(`Cannot go on: the program printed nothing`);
  return last;
}

test('all that a call has returned for is there after kill -9', async () => {
  const { number } = await killed<{ number: number }>('work', (line) => line.number >= 200);
  const volume = await scene.open();
  const lines = (await volume.readFile('/ledger', 'utf8')).split('\n').slice(0, -1);
  expect(lines.length).toBeGreaterThan(number);
  expect(lines.slice(0, number + 1)).toEqual(
    Array.from({ length: number + 1 }, (_, index) => String(index)),
  );
  for (let at = Math.max(0, number - 40); at <= number; at++) {
    expect(await volume.readFile(`/file ${at % 50}`, 'utf8'), `file ${at}`).toBe(
      `${at} `.repeat(at % 5000),
    );
  }
});

test('what a commit has returned for is there when HOME is lost', async () => {
  const { receipt } = await killed<{ receipt: { epoch: number } }>('commit', () => true);
  const report = await scene.loseHome();
  expect(report.epoch).toBeGreaterThanOrEqual(receipt.epoch);
  const volume = await scene.open({ readOnly: true });
  expect((await volume.readdir('/kept')).length).toBe(20);
  for (let index = 0; index < 20; index++) {
    expect(await volume.readFile(`/kept/${index}`, 'utf8')).toBe(`file ${index} `.repeat(1000));
  }
});
