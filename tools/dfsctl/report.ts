import { CommanderError } from 'commander';
import { DfsError, messageOf } from '../../src/base/errors.ts';

/** Exit statuses of dfsctl. */
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** What the command line says cannot be, whatever the state of the machine. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** The exit status for anything thrown: 0 after help, 2 for a wrong command line, else 1. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT_USAGE;
  if (!(error instanceof CommanderError)) return EXIT_FAILED;
  return error.exitCode === 0 ? 0 : EXIT_USAGE;
}

/** One line for stderr: what could not be done, why, what to do; empty when it was said already. */
export function oneLine(error: unknown): string {
  // Help that was asked for is no error, and help instead of a verb has been printed.
  if (error instanceof CommanderError && error.code.startsWith('commander.help')) return '';
  if (error instanceof CommanderError && error.code === 'commander.version') return '';
  if (error instanceof CommanderError) return commandLineError(error.message);
  const text = messageOf(error);
  const isOurs = error instanceof DfsError || error instanceof UsageError;
  // Only the first line of what the system said: the rest of it is a stack.
  const line = isOurs ? joinLines(text) : (text.split('\n')[0] ?? '');
  return line.startsWith('Cannot') ? line : `Cannot go on: ${line}`;
}

function commandLineError(message: string): string {
  const state = joinLines(message).replace(/^error: /, '');
  return `Cannot use this command line: ${state}; "--help" after the verb shows how`;
}

function joinLines(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  const stack = lines.findIndex((line) => /^at .+:\d+:\d+\)?$/.test(line));
  const message = stack === -1 ? lines : lines.slice(0, stack);
  return message.filter((line) => line !== '').join(' ');
}
