import { formatBytes, formatCount, type Style } from './format.ts';

const PATHS_MAX = 100;

/** Chunks that cannot be read any more as the files they are part of; --json has all of them. */
export function lostLines(
  lost: { lengthBytes: number; paths: string[] }[],
  style: Style,
): string[] {
  if (lost.length === 0) return [];
  const paths = [...new Set(lost.flatMap((chunk) => chunk.paths))].sort();
  const bytes = lost.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const what = `${formatCount(lost.length, 'chunk')} (${formatBytes(bytes)})`;
  const more = paths.length - PATHS_MAX;
  return [
    `  ${style.bad('LOST')}: ${what} in ${formatCount(paths.length, 'file')}:`,
    ...paths.slice(0, PATHS_MAX).map((path) => `    ${path}`),
    ...(more > 0 ? [`    and ${formatCount(more, 'other')}; --json lists all`] : []),
  ];
}
