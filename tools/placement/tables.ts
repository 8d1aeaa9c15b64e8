import { formatTable } from '../dfsctl/format.ts';
import { type LookupTime, PIECES_TIMED } from './lookup-time.ts';
import type { LossResult } from './loss.ts';
import type { MovementResult } from './movement.ts';
import type { SpreadResult } from './spread.ts';

type Cell = string | number;

function table(headings: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const columns = headings.map((heading, index) => {
    return index === 0 ? { heading } : { heading, align: 'right' as const };
  });
  return formatTable(
    columns,
    rows.map((row) => row.map(String)),
  );
}

function percent(part: number): string {
  return `${(100 * part).toFixed(part < 0.001 ? 4 : 2)}%`;
}

/** "3.1e-9", "0.012": two digits of what may be very small. */
function small(value: number): string {
  return value === 0 ? '0' : value < 0.001 ? value.toExponential(1) : value.toPrecision(2);
}

/** Worst distance from the share by level, with what chance gives in brackets. */
export function spreadTable(results: readonly SpreadResult[]): string[] {
  const levels = results[0]?.levels ?? [];
  return table(
    [
      'pieces',
      'chunks',
      'domain',
      'violations',
      ...levels.map((one) => `worst ${one.level}`),
      'chi2',
    ],
    results.map((one) => [
      one.pieces,
      one.chunks.toLocaleString('en-US'),
      one.domain,
      one.violations,
      ...one.levels.map((level) => `${percent(level.worst)} (${percent(level.chance)})`),
      one.chiSquareOverDisks.toFixed(3),
    ]),
  );
}

/** What had to move, and what did, as multiples of it. */
export function movementTable(results: readonly MovementResult[]): string[] {
  return table(
    ['change', 'pieces', 'chunks', 'must move', 'moved', 'positions'],
    results.map((one) => [
      one.change,
      one.pieces,
      one.chunks.toLocaleString('en-US'),
      percent(one.ideal),
      one.moved.toFixed(3),
      one.changed.toFixed(3),
    ]),
  );
}

/** CPU time of a lookup by number of pieces. */
export function lookupTable(results: readonly LookupTime[]): string[] {
  return table(
    ['disks', 'sizes', 'prepare ms', ...PIECES_TIMED.map((pieces) => `us, ${pieces}`)],
    results.map((one) => [
      one.disks.toLocaleString('en-US'),
      one.isUneven ? 4 : 1,
      one.prepareMs.toFixed(1),
      ...PIECES_TIMED.map((pieces) => one.lookupUs[pieces]?.toFixed(2) ?? '-'),
    ]),
  );
}

/** Probabilities of loss. */
export function lossTable(results: readonly LossResult[]): string[] {
  return table(
    ['scheme', 'disks', 'rebuild h', 'years to loss', 'loss a year', 'unreadable a year'],
    results.map((one) => [
      one.scheme,
      one.disks.toLocaleString('en-US'),
      one.rebuildHours.toFixed(1),
      one.yearsToLoss >= 1e4 ? one.yearsToLoss.toExponential(1) : one.yearsToLoss.toFixed(0),
      small(one.lossPerYear),
      small(one.unreadablePerYear),
    ]),
  );
}
