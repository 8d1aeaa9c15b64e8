import { expect, test } from 'vitest';

import { hasFatalSignal, isDying, isKilled } from './callers.ts';

/** The signal lines of /proc/TID/status. */
function status(masks: {
  pending?: bigint;
  caught?: bigint;
  ignored?: bigint;
  blocked?: bigint;
}): string {
  const line = (name: string, mask = 0n): string =>
    `${name}:\t${mask.toString(16).padStart(16, '0')}`;
  return [
    'Name:\tcat',
    line('SigPnd', masks.pending),
    line('ShdPnd'),
    line('SigBlk', masks.blocked),
    line('SigIgn', masks.ignored),
    line('SigCgt', masks.caught),
    '',
  ].join('\n');
}

const of = (signal: number): bigint => 1n << BigInt(signal - 1);
const [INT, KILL, ALRM, CHLD] = [2, 9, 14, 17].map(of) as [bigint, bigint, bigint, bigint];

test('a caller with a fatal signal is dying', () => {
  expect(hasFatalSignal(status({ pending: KILL }))).toBe(true);
  expect(hasFatalSignal(status({ pending: INT }))).toBe(true);
});

test('a caller that handles, ignores or blocks its signal is not', () => {
  expect(hasFatalSignal(status({}))).toBe(false);
  expect(hasFatalSignal(status({ pending: ALRM, caught: ALRM }))).toBe(false);
  expect(hasFatalSignal(status({ pending: INT, ignored: INT }))).toBe(false);
  expect(hasFatalSignal(status({ pending: INT, blocked: INT }))).toBe(false);
  expect(hasFatalSignal(status({ pending: CHLD }))).toBe(false);
});

/** /proc/TID/stat of a process with a confusing name. */
function stat(flags: number, exitCode: number): string {
  const fields = Array.from({ length: 50 }, () => '0');
  fields[0] = 'S';
  fields[6] = String(flags);
  fields[49] = String(exitCode);
  return `7 (a) b (c) ${fields.join(' ')}\n`;
}

test('a process that a signal has ended is killed, one that exits is not', () => {
  const exiting = 0x400004;
  expect(isKilled(stat(exiting, 9))).toBe(true);
  expect(isKilled(stat(exiting, 3 << 8))).toBe(false);
  expect(isKilled(stat(exiting, 0))).toBe(false);
  expect(isKilled(stat(0x400000, 9))).toBe(false);
});

test('this process is not dying, one outside of the namespace neither', () => {
  expect(isDying(process.pid)).toBe(false);
  expect(isDying(0)).toBe(false);
});
