import { BLOCK_BYTES } from '../../src/base/limits.ts';
import { compareTree } from './compare.ts';
import type { Content } from './content.ts';
import type { FoundNode, FoundTree } from './found-tree.ts';
import type { Bounds } from './knowledge.ts';
import type { Model } from './model.ts';
import type { Id } from './operations.ts';
import { readStamp } from './stamps.ts';

/** The smallest part of a write that a device has or has not. */
const SECTOR_BYTES = 512;
const DIFFERENCES_MAX = 12;
/** How many of the states that come closest are told of. */
const STATES_TOLD_MAX = 4;

/** What is wrong with a recovered tree; empty if nothing is. */
export interface Verdict {
  /** The state it is, as the number of operations before it; undefined when it is none. */
  state: number | undefined;
  problems: string[];
}

/**
 * Whether a tree from the disks alone is exactly one state between the bounds; but times of files
 * may be `apartMs` apart.
 */
export function judgeInstant(
  model: Model,
  tree: FoundTree,
  bounds: Bounds & { apartMs: number },
): Verdict {
  const { apartMs } = bounds;
  const judge = (number: number, limit: number): string[] => {
    const state = model.states[number];
    if (state === undefined) throw new Error(`no state ${number}`);
    return compareTree(state, tree, { depth: 'all', limit, apartMs }).differences;
  };
  return search(bounds.disks, bounds.newest, judge);
}

/**
 * Whether a tree after a power cut is one that POSIX allows: metadata as behind some operation not
 * before the last synced one; every sector of a file as it was at some time since its last sync.
 */
export function judgeAllowed(model: Model, tree: FoundTree, bounds: Bounds): Verdict {
  const judge = (number: number, limit: number): string[] => {
    const state = model.states[number];
    if (state === undefined) throw new Error(`no state ${number}`);
    const { differences, inos } = compareTree(state, tree, { depth: 'metadata', limit });
    if (differences.length > 0) return differences;
    for (const [id, ino] of inos) {
      const found = tree.get(ino);
      if (found?.kind !== 'file') continue;
      differences.push(...fileProblems(model, { id, found, bounds }));
      if (differences.length >= limit) break;
    }
    return differences;
  };
  return search(bounds.meta, bounds.newest, judge);
}

/** The newest state that fits; else what is wrong with the one that comes closest. */
function search(
  oldest: number,
  newest: number,
  judge: (number: number, limit: number) => string[],
): Verdict {
  for (let number = newest; number >= oldest; number--) {
    if (judge(number, 1).length === 0) return { state: number, problems: [] };
  }
  // Older states too: a tree that is too old shall be called that.
  const near: { number: number; differences: string[] }[] = [];
  for (let number = newest; number >= 0; number--) {
    const differences = judge(number, DIFFERENCES_MAX);
    if (differences.length === 0) {
      const state = `it is state ${number}; states ${oldest} to ${newest} were possible`;
      return { state: undefined, problems: [state] };
    }
    if (number >= oldest) near.push({ number, differences });
  }
  // Where only bytes of files are wrong the metadata is that of the state.
  const rank = ({ differences }: { differences: string[] }): number =>
    differences.length + (differences[0]?.startsWith('file ') === true ? 0 : DIFFERENCES_MAX);
  near.sort((one, other) => rank(one) - rank(other));
  const told = near
    .slice(0, STATES_TOLD_MAX)
    .flatMap(({ number, differences }) =>
      differences.map((text) => `against state ${number}: ${text}`),
    );
  return { state: undefined, problems: [`no state of ${oldest} to ${newest} fits`, ...told] };
}

interface FoundFile {
  id: Id;
  found: FoundNode;
  bounds: Bounds;
}

function fileProblems(model: Model, { id, found, bounds }: FoundFile): string[] {
  const versions = versionsOf(model, id, bounds);
  const where = `file ${id} (inode ${found.ino})`;
  const { length } = found.bytes;
  if (!isSizePossible(versions, length)) {
    const sizes = [...new Set(versions.map(({ content }) => content.sizeBytes))].join(', ');
    return [`${where} has ${length} bytes; it had ${sizes} since operation ${bounds.bytes(id)}`];
  }
  const problems: string[] = [];
  for (let index = 0; index * BLOCK_BYTES < length; index++) {
    const start = index * BLOCK_BYTES;
    const page = found.bytes.subarray(start, start + BLOCK_BYTES);
    if (isPagePossible(versions, index, page)) continue;
    const bad = badSector(versions, index, page);
    if (bad === undefined) continue;
    const has = readStamp(page.subarray(bad, bad + SECTOR_BYTES), start + bad);
    const known = versions.map(({ number, content }) => {
      const bytes = content.page(index).subarray(bad, bad + SECTOR_BYTES);
      return `${readStamp(bytes, start + bad)} behind ${number}`;
    });
    const possible = [...new Set(known)].slice(0, 4).join('; ');
    problems.push(`${where} at ${start + bad} has ${has}; possible: ${possible}`);
  }
  return problems;
}

interface Version {
  /** The operation that made it. */
  number: number;
  content: Content;
}

/** What a file was since the last time it was synced. */
function versionsOf(model: Model, id: Id, bounds: Bounds): Version[] {
  const versions: Version[] = [];
  const from = bounds.bytes(id);
  for (let number = from; number <= bounds.newest; number++) {
    const content = model.states[number]?.get(id)?.content;
    if (content === undefined || content === versions.at(-1)?.content) continue;
    versions.push({ number, content });
  }
  return versions;
}

/** A file that grew may have grown by a part. */
function isSizePossible(versions: Version[], sizeBytes: number): boolean {
  for (const [index, { content }] of versions.entries()) {
    if (content.sizeBytes === sizeBytes) return true;
    const before = versions[index - 1]?.content.sizeBytes;
    if (before !== undefined && before < sizeBytes && sizeBytes < content.sizeBytes) return true;
  }
  return false;
}

function isPagePossible(versions: Version[], index: number, page: Buffer): boolean {
  return versions.some(({ content }) => content.page(index).subarray(0, page.length).equals(page));
}

/** Where in a page the first sector is that no version had; undefined for none. */
function badSector(versions: Version[], index: number, page: Buffer): number | undefined {
  const start = index * BLOCK_BYTES;
  // Where a file ended the bytes behind are another matter than those before.
  const ends = versions.map(({ content }) => content.sizeBytes - start);
  for (let at = 0; at < page.length; at += SECTOR_BYTES) {
    const end = Math.min(at + SECTOR_BYTES, page.length);
    const inside = ends.filter((place) => place > at && place < end);
    const places = [at, ...inside.sort((one, other) => one - other), end];
    for (const [part, from] of places.slice(0, -1).entries()) {
      const found = page.subarray(from, places[part + 1]);
      const fits = versions.some(({ content }) =>
        content
          .page(index)
          .subarray(from, places[part + 1])
          .equals(found),
      );
      if (!fits) return at;
    }
  }
  return undefined;
}
