import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Finder } from './mutations.ts';

export interface Search {
  /** The copy of the repository. */
  folder: string;
  seed: number;
  seconds: number;
}

/** What a search came to: the first thing that was found wrong, undefined for nothing. */
export interface Finding {
  evidence: string | undefined;
  seconds: number;
}

const TESTS: Record<Exclude<Finder, 'cuts'>, string[]> = {
  kills: ['test/crash/kill.test.ts', '-t', 'not carried out again'],
  'writes beside a commit': ['test/recovery/frozen.test.ts'],
  'cuts of a log': ['test/meta/log-power-cut.test.ts'],
};
const LINES_MAX = 400;
/** How the programs begin the line that says what is wrong. */
const EVIDENCE = /^(violation at|seed \d+ could not)|FAIL |AssertionError/;

/** Looks for a mistake until it is found or the time is over. */
export async function find(finder: Finder, search: Search): Promise<Finding> {
  const start = performance.now();
  const { evidence, code } = await run(commandOf(finder, search), search);
  const seconds = (performance.now() - start) / 1000;
  const isFound = evidence !== undefined || code !== 0;
  return { evidence: isFound ? (evidence ?? `the status is ${code}`) : undefined, seconds };
}

function commandOf(finder: Finder, { folder, seed, seconds }: Search): string[] {
  if (finder !== 'cuts') {
    const vitest = join(folder, 'node_modules/vitest/vitest.mjs');
    return [vitest, 'run', ...TESTS[finder]];
  }
  const flags = { seed, minutes: seconds / 60, 'kills-every': 0, 'per-seed': 16 };
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return [join(folder, 'dist/tools/torture/main.js'), ...words];
}

/** Runs a program, and ends it when it has said what is wrong. */
function run(
  command: string[],
  { folder, seconds }: Search,
): Promise<{ evidence: string | undefined; code: number | null }> {
  const child = spawn(process.execPath, command, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  });
  // A mistake may also make it hang.
  const timer = setTimeout(() => child.kill('SIGKILL'), 1000 * (seconds + 120));
  const lines: string[] = [];
  let evidence: string | undefined;
  const take = (text: Buffer): void => {
    lines.push(...text.toString().split('\n'));
    lines.splice(0, Math.max(0, lines.length - LINES_MAX));
    if (evidence !== undefined) return;
    const at = lines.findIndex((line) => EVIDENCE.test(line.trim()));
    if (at < 0) return;
    const problem = lines.slice(at).find((line) => line.trim().startsWith('!'));
    evidence = (problem ?? lines[at] ?? '').trim();
    child.kill('SIGTERM');
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  return new Promise((resolve) => {
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ evidence, code });
    });
  });
}
