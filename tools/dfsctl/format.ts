const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
const SECOND_MS = 1000;
const MINUTE_MS: number = 60 * SECOND_MS;
const HOUR_MS: number = 60 * MINUTE_MS;
const DAY_MS: number = 24 * HOUR_MS;

/** A size for people: "17 bytes", "1.5 MiB", "64 GiB". */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  let value = bytes;
  let unit = -1;
  // A value that would be shown as 1024 belongs to the next unit.
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const shown = value >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '');
  return `${shown} ${UNITS[unit]}`;
}

/** A time span for people: "80 ms", "4.2 s", "3 min 5 s", "2 h 10 min", "5 d 3 h". */
export function formatDuration(ms: number): string {
  if (ms < SECOND_MS) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 99_950) return `${(ms / SECOND_MS).toFixed(1).replace(/\.0$/, '')} s`;
  if (ms < HOUR_MS) return twoParts(ms, [MINUTE_MS, 'min'], [SECOND_MS, 's']);
  if (ms < DAY_MS) return twoParts(ms, [HOUR_MS, 'h'], [MINUTE_MS, 'min']);
  return twoParts(ms, [DAY_MS, 'd'], [HOUR_MS, 'h']);
}

/** A short time for people: "85 us", "1.2 ms", "140 ms", "4.2 s". */
export function formatLatency(ms: number): string {
  if (ms >= 999.5) return formatDuration(ms);
  if (ms >= 99.95) return `${Math.round(ms)} ms`;
  if (ms >= 0.9995) return `${ms.toFixed(1).replace(/\.0$/, '')} ms`;
  return `${Math.round(ms * 1000)} us`;
}

function twoParts(ms: number, large: [number, string], small: [number, string]): string {
  const count = Math.floor(ms / large[0]);
  const rest = Math.floor((ms - count * large[0]) / small[0]);
  return rest === 0 ? `${count} ${large[1]}` : `${count} ${large[1]} ${rest} ${small[1]}`;
}

/** A count with its noun: "1 file", "2,000 files". */
export function formatCount(count: number, one: string, many: string = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
}

/** Columns of a table, by their heading; numbers are better read flush right. */
export interface Column {
  heading: string;
  align?: 'left' | 'right';
}

/** Lines of a table with columns as wide as their widest cell, without trailing spaces. */
export function formatTable(columns: Column[], rows: string[][], style: Style = plain): string[] {
  const widths = columns.map(({ heading }, index) =>
    Math.max(heading.length, ...rows.map((row) => (row[index] ?? '').length)),
  );
  const line = (cells: string[]): string =>
    cells
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return columns[index]?.align === 'right' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [style.dim(line(columns.map(({ heading }) => heading))), ...rows.map(line)];
}

/** Lines "name  value", the values below each other. */
export function formatFacts(facts: [name: string, value: string][], style: Style): string[] {
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => `  ${style.dim(name.padEnd(width))}  ${value}`);
}

/** How text is set off from other text. */
export interface Style {
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

const same = (text: string): string => text;
const paint =
  (code: number) =>
  (text: string): string =>
    `\x1b[${code}m${text}\x1b[0m`;

/** No colours at all. */
export const plain: Style = { good: same, warn: same, bad: same, dim: same, bold: same };

const coloured: Style = {
  good: paint(32),
  warn: paint(33),
  bad: paint(31),
  dim: paint(2),
  bold: paint(1),
};

/** Colours only for a person at a terminal who did not say NO_COLOR (no-color.org). */
export function styleFor(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv): Style {
  const wanted = env.NO_COLOR === undefined || env.NO_COLOR === '';
  return stream.isTTY === true && wanted && env.TERM !== 'dumb' ? coloured : plain;
}
