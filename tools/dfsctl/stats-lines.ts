import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFacts,
  formatLatency,
  formatTable,
  type Style,
} from './format.ts';
import type { OperationRate, StatsInterval } from './stats-interval.ts';

/** An interval as a person reads it; `all` also shows operations nobody asked for in it. */
export function statsLines(
  interval: StatsInterval,
  options: { title: string; all: boolean },
  style: Style,
): string[] {
  const { seconds, sinceStart, time } = interval;
  const span = formatDuration(seconds * 1000);
  const when = sinceStart ? `${span} since the daemon started` : span;
  return [
    `${style.bold(options.title)}  ${time.slice(11, 19)} UTC, ${when}`,
    ...formatFacts(
      [
        ['cache', cacheWords(interval)],
        ['commit', commitWords(interval)],
        ['loop', loopWords(interval, style)],
      ],
      style,
    ),
    ...operationTable(interval, options.all, style),
  ];
}

function operationTable({ operations, seconds }: StatsInterval, all: boolean, style: Style) {
  const shown = Object.entries(operations)
    .filter(([, { count }]) => all || count > 0)
    .sort(([a, { count: x }], [b, { count: y }]) => y - x || a.localeCompare(b));
  if (shown.length === 0) return [style.dim('no requests')];
  return formatTable(
    [
      { heading: 'OPERATION' },
      { heading: 'COUNT', align: 'right' },
      { heading: 'RATE/S', align: 'right' },
      { heading: 'P50', align: 'right' },
      { heading: 'P99', align: 'right' },
      { heading: 'BYTES/S', align: 'right' },
      { heading: 'ERRORS', align: 'right' },
    ],
    shown.map(([name, rate]) => rowOf(name, rate, seconds)),
    style,
  );
}

function rowOf(name: string, rate: OperationRate, seconds: number): string[] {
  const { count, perSecond, p50Ms, p99Ms, bytes, errors } = rate;
  return [
    name,
    count.toLocaleString('en-US'),
    perSecond >= 10 ? Math.round(perSecond).toLocaleString('en-US') : perSecond.toFixed(1),
    p50Ms === undefined ? '-' : formatLatency(p50Ms),
    p99Ms === undefined ? '-' : formatLatency(p99Ms),
    bytes === 0 ? '-' : formatBytes(Math.round(bytes / seconds)),
    errors === 0 ? '-' : errors.toLocaleString('en-US'),
  ];
}

function cacheWords({ cache }: StatsInterval): string {
  const { hits, misses, fetchedBytes, dirtyBytes, cleanBytes, limitBytes } = cache;
  const reads = hits + misses;
  const share = reads === 0 ? '' : `, ${((hits / reads) * 100).toFixed(1)}% hits`;
  const fetched = fetchedBytes === 0 ? '' : `, ${formatBytes(fetchedBytes)} fetched`;
  const held = `${formatBytes(dirtyBytes)} dirty, ${formatBytes(cleanBytes)} clean`;
  const room = `${held}, limit ${formatBytes(limitBytes)}`;
  return `${formatCount(reads, 'read')}${share}${fetched}; ${room}`;
}

function commitWords({ commit }: StatsInterval): string {
  const { epoch, commits, failures, bytes, lastMs, lastCutMs, waitingOps } = commit;
  const failed = failures === 0 ? '' : `, ${failures} failed`;
  const done = `${formatCount(commits, 'commit')} with ${formatBytes(bytes)}${failed}`;
  const cut = `cut ${formatLatency(lastCutMs)}`;
  const last = lastMs === 0 ? '' : `; the last took ${formatLatency(lastMs)}, its ${cut}`;
  return `epoch ${epoch}; ${done}${last}; ${formatCount(waitingOps, 'change')} waiting`;
}

function loopWords({ loop }: StatsInterval, style: Style): string {
  const { pauses, longestMs, longestCause } = loop;
  const longest = `longest ever ${formatLatency(longestMs)}${longestCause && ` (${longestCause})`}`;
  const causes = Object.entries(pauses).sort(([, a], [, b]) => b - a);
  if (causes.length === 0) return `no pause over 2 ms; ${longest}`;
  const total = causes.reduce((sum, [, count]) => sum + count, 0);
  const list = causes.map(([cause, count]) => `${cause} ${count}`).join(', ');
  return `${style.warn(`${formatCount(total, 'pause')} over 2 ms`)}: ${list}; ${longest}`;
}
