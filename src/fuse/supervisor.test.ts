import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeEach, expect, test } from 'vitest';

import type { Log } from '../base/log.ts';
import { runSupervisor } from './supervisor.ts';

const folder = mkdtempSync(join(tmpdir(), 'dfs-supervisor-'));
const fd = openSync('/dev/null', 'r+');
afterAll(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true, force: true });
});

const starts = join(folder, 'starts');
beforeEach(() => writeFileSync(starts, ''));

/** Supervises a daemon that counts its starts in `n` and runs `script`. */
async function supervise(
  script: string,
  onReady: (start: number) => void = () => undefined,
): Promise<{ status: number; starts: number; events: string[] }> {
  const count = `const fs = require('node:fs'); const file = ${JSON.stringify(starts)};
    fs.appendFileSync(file, 'x'); const n = fs.statSync(file).size;`;
  const events: string[] = [];
  const log: Log = (_, event, facts) =>
    events.push(typeof facts?.['reason'] === 'string' ? `${event}: ${facts['reason']}` : event);
  const { execPath: command } = process;
  const args = ['-e', `${count}\n${script}`];
  const status = await runSupervisor({ fd, mountPoint: folder, command, args, log, onReady });
  return { status, starts: readFileSync(starts, 'utf8').length, events };
}

test('a daemon that ends with 0 ends the supervisor with 0', async () => {
  expect(await supervise('process.exit(0)')).toEqual({ status: 0, starts: 1, events: [] });
});

test('the daemon has the descriptor as number 3', async () => {
  const script = `process.exit(fs.fstatSync(3).rdev === fs.statSync('/dev/null').rdev ? 0 : 1)`;
  expect((await supervise(script)).status).toBe(0);
});

test('a first daemon that cannot start is not tried again', async () => {
  const result = await supervise('process.exit(2)');
  expect(result).toEqual({
    status: 1,
    starts: 1,
    events: ['supervisor.daemon-died', 'supervisor.gave-up: the daemon could not start'],
  });
});

test('a daemon that dies after it was ready is replaced, whatever it died of', async () => {
  const ready: number[] = [];
  const script = `process.send('ready', () => {
    if (n === 1) process.kill(process.pid, 'SIGKILL');
    process.exit(n === 2 ? 70 : 0);
  });`;
  const result = await supervise(script, (start) => ready.push(start));
  expect(result).toMatchObject({ status: 0, starts: 3 });
  expect(ready).toEqual([1, 2, 3]);
});

test('daemons that no longer become ready are given up', async () => {
  const script = `if (n > 1) process.exit(1); process.send('ready', () => process.exit(1));`;
  const result = await supervise(script);
  expect(result).toMatchObject({ status: 1, starts: 6 });
  const reason = 'the daemon failed to start 5 times in a row';
  expect(result.events.at(-1)).toBe(`supervisor.gave-up: ${reason}`);
});

test('a command that does not exist is given up', async () => {
  const events: string[] = [];
  const log: Log = (_, event) => events.push(event);
  const options = { fd, mountPoint: folder, command: join(folder, 'absent'), args: [], log };
  expect(await runSupervisor(options)).toBe(1);
  expect(events).toContain('supervisor.start-failed');
});

test('SIGTERM goes to the daemon, which then ends the supervisor', async () => {
  const script = `process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000);
    process.send('ready');`;
  const result = await supervise(script, () => process.emit('SIGTERM'));
  expect(result).toEqual({ status: 0, starts: 1, events: [] });
});

test('a daemon that is told to stop and dies badly is not replaced', async () => {
  const script = `process.on('SIGTERM', () => process.exit(3)); setInterval(() => {}, 1000);
    process.send('ready');`;
  const result = await supervise(script, () => process.emit('SIGTERM'));
  expect(result).toMatchObject({ status: 1, starts: 1 });
});
