import type { FoundNode, FoundTree } from './found-tree.ts';

/**
 * How two trees that must be the same differ; `what` names the second one. Times of files may be
 * `apartMs` apart.
 */
export function differencesBetween(
  before: FoundTree,
  after: FoundTree,
  { what, apartMs }: { what: string; apartMs: number },
): string[] {
  const differences: string[] = [];
  for (const ino of new Set([...before.keys(), ...after.keys()])) {
    const [old, now] = [before.get(ino), after.get(ino)];
    if (old === undefined || now === undefined) {
      differences.push(`${what}: inode ${ino} is ${now === undefined ? 'gone' : 'new'}`);
      continue;
    }
    const fields = fieldsThatDiffer(old, now, apartMs);
    if (fields.length > 0) differences.push(`${what}: inode ${ino} has other ${fields.join(', ')}`);
  }
  return differences;
}

const PLAIN = ['kind', 'mode', 'uid', 'gid', 'nlink', 'target'] as const;
const TIMES = ['mtime', 'ctime'] as const;

function fieldsThatDiffer(old: FoundNode, now: FoundNode, apartMs: number): string[] {
  const apart = now.kind === 'file' ? apartMs / 1000 : 0;
  const fields: string[] = [
    ...PLAIN.filter((field) => old[field] !== now[field]),
    ...TIMES.filter(
      (field) => old[field] !== now[field] && !(Math.abs(+old[field] - +now[field]) < apart),
    ),
  ].map((field) => `${field} ${now[field]} (was ${old[field]})`);
  if (!old.bytes.equals(now.bytes)) fields.push('bytes');
  if (textOf(old.xattrs) !== textOf(now.xattrs)) fields.push('attributes');
  if (textOf(old.entries) !== textOf(now.entries)) fields.push('entries');
  return fields;
}

function textOf(map: ReadonlyMap<string, unknown>): string {
  const sorted = [...map].sort(([one], [other]) => (one < other ? -1 : 1));
  return sorted.map(([key, value]) => `${key}=${String(value)}`).join('\n');
}
