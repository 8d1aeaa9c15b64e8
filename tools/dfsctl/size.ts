import { UsageError } from './report.ts';

const FACTORS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['kb', 1e3],
  ['mb', 1e6],
  ['gb', 1e9],
  ['tb', 1e12],
  ['pb', 1e15],
  ['kib', 2 ** 10],
  ['mib', 2 ** 20],
  ['gib', 2 ** 30],
  ['tib', 2 ** 40],
  ['pib', 2 ** 50],
]);
const SIZE = /^(\d{1,16}(?:\.\d{1,6})?)([a-z]*)$/i;

/** Bytes of a size like 64GiB, 10GB, 1.5TiB or 1048576; UsageError for anything else. */
export function parseSize(text: string): number {
  const match = SIZE.exec(text);
  const factor = FACTORS.get((match?.[2] ?? '').toLowerCase());
  const bytes = factor === undefined ? Number.NaN : Math.floor(Number(match?.[1]) * factor);
  // Half a byte means that the unit is missing.
  const isWhole = factor !== 1 || !text.includes('.');
  if (isWhole && Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  const wanted = 'a number of bytes, or one with a unit as in 64GiB, 512MiB or 10GB';
  throw new UsageError(`Cannot use "${text}" as a size: give ${wanted}`);
}
