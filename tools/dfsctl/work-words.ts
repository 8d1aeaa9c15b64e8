import type { WorkFacts } from '../../src/node/mod.ts';
import { formatBytes, formatCount, formatDuration } from './format.ts';

/** Background work as names and words. */
export function workFacts(facts: WorkFacts): [string, string][] {
  const shown: [string, string][] = [
    ['work', workWords(facts)],
    ['last walk', walkWords(facts)],
    ['scrub', scrubWords(facts)],
  ];
  if (facts.limit !== undefined) shown.push(['limit', `${formatBytes(facts.limit)}/s`]);
  if (facts.problem !== '') shown.push(['problem', facts.problem]);
  return shown;
}

/** What runs and how far it is, in a line. */
export function workWords(facts: WorkFacts): string {
  const { state, kind, done, total, bytes, totalBytes, rate, etaMs } = facts;
  if (state === 'paused') return 'paused; "dfsctl work resume" lets it go on';
  if (state === 'idle') return 'nothing to do';
  if (state === 'scrubbing') return 'scrubbing';
  if (state === 'waiting') {
    const { waiting = 0 } = facts.lastWalk ?? {};
    const chunks = formatCount(waiting, 'chunk');
    return waiting > 0
      ? `waiting: ${chunks} for a disk that is full or away`
      : 'waiting for another try';
  }
  if (state === 'checking') {
    const of = total > 0 ? ` of ${total.toLocaleString('en-US')}` : '';
    return `checking what is where: ${done.toLocaleString('en-US')}${of} chunks`;
  }
  const amount =
    totalBytes > 0
      ? `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`
      : `${done.toLocaleString('en-US')} of ${formatCount(total, 'chunk')}`;
  const left = etaMs === undefined ? '' : `, ${formatDuration(etaMs)} left`;
  return `${kind ?? 'work'}: ${amount}, ${formatBytes(rate)}/s${left}`;
}

function walkWords({ lastWalk }: WorkFacts): string {
  if (lastWalk === undefined) return 'none yet';
  const { mapVersion, endedMs, isCurrent, chunks } = lastWalk;
  const { degraded, misplaced, lost, otherScheme } = lastWalk;
  const found = [
    [lost, 'lost'],
    [degraded, 'degraded'],
    [misplaced, 'misplaced'],
    [otherScheme, 'of another scheme'],
  ].flatMap(([count, word]) => (count === 0 ? [] : `${count?.toLocaleString('en-US')} ${word}`));
  const words = found.length === 0 ? 'all where they should be' : found.join(', ');
  const age = formatDuration(Math.max(0, Date.now() - endedMs));
  const old = isCurrent ? '' : '; the disks have changed since';
  return `${formatCount(chunks, 'chunk')}, ${words}; map ${mapVersion}, ${age} ago${old}`;
}

function scrubWords({ scrub }: WorkFacts): string {
  const { cursorShare, isAsked, bad, lastFullMs, lastBad = 0, endsMs } = scrub;
  const percent = `${(cursorShare * 100).toFixed(1)}%`;
  const pace =
    isAsked || endsMs === undefined
      ? 'as fast as it can'
      : `ends in ${formatDuration(Math.max(0, endsMs - Date.now()))}`;
  const round = `${percent}, ${pace}, ${formatCount(bad, 'bad piece')}`;
  if (lastFullMs === undefined) return `${round}; never over before`;
  const age = formatDuration(Math.max(0, Date.now() - lastFullMs));
  return `${round}; the last round ended ${age} ago with ${formatCount(lastBad, 'bad piece')}`;
}
