import { CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import { exitStatusOf, oneLine, UsageError } from './report.ts';

test('an error is one line, whatever was thrown', () => {
  expect(oneLine(new DfsError('IO', 'Cannot read x: it is gone'))).toBe(
    'Cannot read x: it is gone',
  );
  expect(oneLine(new DfsError('IO', 'Cannot a:\n  b;\n  c'))).toBe('Cannot a: b; c');
  const stack = 'Error: ENOENT: no such file\n    at open (node:fs:1:2)\n    at main.js:3:4';
  expect(oneLine(new DfsError('IO', stack))).toBe('Cannot go on: Error: ENOENT: no such file');
  expect(oneLine(new Error('EACCES: permission denied\nmore'))).toBe(
    'Cannot go on: EACCES: permission denied',
  );
  expect(oneLine('text')).toBe('Cannot go on: text');
});

test('what commander refuses is one line that leads to the help', () => {
  const error = new CommanderError(
    1,
    'commander.unknownOption',
    "error: unknown option '-x'\n(Hm?)",
  );
  expect(oneLine(error)).toBe(
    'Cannot use this command line: unknown option \'-x\' (Hm?); "--help" after the verb shows how',
  );
  expect(oneLine(new CommanderError(0, 'commander.helpDisplayed', '(outputHelp)'))).toBe('');
});

test('the exit status tells a wrong command line from a failure', () => {
  expect(exitStatusOf(new UsageError('Cannot'))).toBe(2);
  expect(exitStatusOf(new CommanderError(1, 'commander.unknownOption', ''))).toBe(2);
  expect(exitStatusOf(new CommanderError(0, 'commander.helpDisplayed', ''))).toBe(0);
  expect(exitStatusOf(new DfsError('BAD_ARGUMENT', ''))).toBe(1);
  expect(exitStatusOf(new Error(''))).toBe(1);
});
