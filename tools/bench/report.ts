import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { formatTable } from '../dfsctl/format.ts';
import type { Limits } from './limits.ts';
import type { Result } from './runner.ts';

/** Where and when a bench ran. Memory in bytes. */
export interface Machine {
  date: string;
  /** Of the source; with a + when files differ from it, undefined outside of a clone. */
  commit: string | undefined;
  kernel: string;
  node: string;
  cores: number;
  processor: string;
  memoryBytes: number;
  loadBefore: number[];
  loadAfter: number[];
}

/**
 * All that a bench found, as --json writes it. Rates in bytes/s or operations/s, limits in s or
 * bytes/s.
 */
export interface Report {
  machine: Machine;
  options: { scheme: string; rounds: number; quick: boolean };
  limits: Limits;
  results: Result[];
}

/** What is known of the machine before the works; `loadAfter` is filled in behind them. */
export function describeMachine(repository: string): Machine {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
  let commit: string | undefined;
  try {
    const changed = git('status', '--porcelain', '-uno') === '' ? '' : '+';
    commit = `${git('rev-parse', '--short=10', 'HEAD')}${changed}`;
  } catch {
    // Not a clone, or no git: the figures are as good.
  }
  return {
    date: new Date().toISOString(),
    commit,
    kernel: release(),
    node: process.version,
    cores: cpus().length,
    processor: cpus()[0]?.model ?? 'unknown',
    memoryBytes: totalmem(),
    loadBefore: loadavg(),
    loadAfter: [],
  };
}

/** "1.85 GB/s", "92,300 /s": three digits that mean something. */
export function formatRate(value: number, unit: Result['unit']): string {
  if (unit === 'bytes/s') {
    return value >= 1e9 ? `${threeDigits(value / 1e9)} GB/s` : `${threeDigits(value / 1e6)} MB/s`;
  }
  return `${threeDigits(value)} /s`;
}

function threeDigits(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumFractionDigits: 3 });
}

function microseconds(seconds: number): string {
  return `${threeDigits(seconds * 1e6)} us`;
}

/** The lines for people. */
export function formatReport(report: Report): string[] {
  const { machine, limits, results, options } = report;
  const load = (values: number[]): string => (values[0] ?? 0).toFixed(2);
  const rows = results.map(({ title, unit, native, dfs, ratio, napkin }) => [
    title,
    native === undefined ? '-' : formatRate(native, unit),
    formatRate(dfs, unit),
    ratio === undefined ? '-' : ratio.toFixed(2),
    formatRate(napkin, unit),
  ]);
  const right = 'right' as const;
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  return [
    `${machine.date.slice(0, 10)}, commit ${machine.commit ?? 'unknown'}: ${machine.cores} cores (` +
      `${machine.processor}), ${memory}, Linux ${machine.kernel}, Node ${machine.node}`,
    `${options.scheme} on 3 folders of one device, median of ${options.rounds}; load average ` +
      `${load(machine.loadBefore)} before, ${load(machine.loadAfter)} after` +
      ' (anything but the bench itself makes figures worse)',
    `limits: request ${microseconds(limits.upcallSeconds)}, ` +
      `4 KiB write ${microseconds(limits.pageWriteSeconds)}, ` +
      `with fdatasync ${microseconds(limits.syncedWriteSeconds)}, ` +
      `three logs with O_DSYNC ${microseconds(limits.logsSeconds)}, ` +
      `SQLite transaction ${microseconds(limits.transactionSeconds)}, ` +
      `copy ${formatRate(limits.copyBytesPerSecond, 'bytes/s')}, ` +
      `BLAKE3 ${formatRate(limits.hashBytesPerSecond, 'bytes/s')}, ` +
      `three synced writers ${formatRate(limits.disksBytesPerSecond, 'bytes/s')}`,
    '',
    ...formatTable(
      [
        { heading: 'work' },
        { heading: 'native', align: right },
        { heading: 'dfs', align: right },
        { heading: 'ratio', align: right },
        { heading: 'napkin', align: right },
      ],
      rows,
    ),
  ];
}
