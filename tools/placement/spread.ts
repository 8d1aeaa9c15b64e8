import { createPlacer, type DiskMap, LEVELS } from '../../src/diskmap/mod.ts';
import { keysOf, nodeOf } from './cluster.ts';

/** How evenly pieces lie on the nodes of one level. */
export interface LevelSpread {
  readonly level: string;
  readonly nodes: number;
  /** Largest distance of a node from its share, as a part of the share. */
  readonly worst: number;
  /** The distance that chance alone gives the worst of so many nodes, roughly. */
  readonly chance: number;
}

/** What placing many chunks showed. */
export interface SpreadResult {
  readonly pieces: number;
  readonly chunks: number;
  /** The highest level whose nodes held one piece of a chunk at most, as promised. */
  readonly domain: string;
  /** Chunks with two pieces in one such node, or too many above it, or on too few disks. */
  readonly violations: number;
  readonly levels: readonly LevelSpread[];
  /** Sum over the disks of (held - share)^2 / share, over the number of disks; 1 is chance. */
  readonly chiSquareOverDisks: number;
}

interface Promise {
  readonly nodeOf: Int32Array;
  readonly most: number;
}

function numberNodes(map: DiskMap, level: string): Int32Array {
  const numbers = new Map<string, number>();
  const result = new Int32Array((map.disks.at(-1)?.id ?? 0) + 1);
  for (const disk of map.disks) {
    const name = nodeOf(disk, level);
    const number = numbers.get(name) ?? numbers.size;
    numbers.set(name, number);
    result[disk.id] = number;
  }
  return result;
}

function keeps(ids: readonly number[], promise: Promise): boolean {
  for (let at = 0; at < ids.length; at++) {
    let same = 0;
    const node = promise.nodeOf[ids[at] as number];
    for (const id of ids) if (promise.nodeOf[id] === node) same++;
    if (same > promise.most) return false;
  }
  return true;
}

/** Places chunks of the seed and looks at where the pieces lie, disk by disk and node by node. */
export function measureSpread(
  map: DiskMap,
  run: { pieces: number; chunks: number; seed: number },
): SpreadResult {
  const { pieces, chunks, seed } = run;
  const placer = createPlacer(map);
  const { domain, most } = placer.spread(pieces);
  const promises = [
    { nodeOf: numberNodes(map, 'disk'), most: 1 },
    { nodeOf: numberNodes(map, domain), most: 1 },
    ...most.map((one) => ({ nodeOf: numberNodes(map, one.level), most: one.pieces })),
  ];
  const held = new Float64Array((map.disks.at(-1)?.id ?? 0) + 1);
  const nextKey = keysOf(seed);
  let violations = 0;
  const ids: number[] = [];
  for (let chunk = 0; chunk < chunks; chunk++) {
    ids.length = 0;
    for (const one of placer.place(nextKey(), pieces)) if (one !== undefined) ids.push(one.disk.id);
    for (const id of ids) held[id] = (held[id] as number) + 1;
    if (ids.length < pieces || !promises.every((promise) => keeps(ids, promise))) violations++;
  }
  return { pieces, chunks, domain, violations, ...evenness(map, held, pieces * chunks) };
}

function evenness(
  map: DiskMap,
  held: Float64Array,
  total: number,
): Pick<SpreadResult, 'levels' | 'chiSquareOverDisks'> {
  const weight = map.disks.reduce((sum, disk) => sum + disk.weight, 0);
  const levels = LEVELS.map((level): LevelSpread => {
    const nodes = new Map<string, { held: number; share: number }>();
    for (const disk of map.disks) {
      const name = nodeOf(disk, level);
      const node = nodes.get(name) ?? { held: 0, share: 0 };
      node.held += held[disk.id] as number;
      node.share += (total * disk.weight) / weight;
      nodes.set(name, node);
    }
    let worst = 0;
    let chance = 0;
    // The largest of n normal deviations is near sqrt(2 ln n).
    const deviations = Math.sqrt(2 * Math.log(Math.max(2, nodes.size)));
    for (const node of nodes.values()) {
      worst = Math.max(worst, Math.abs(node.held / node.share - 1));
      chance = Math.max(chance, deviations / Math.sqrt(node.share));
    }
    return { level, nodes: nodes.size, worst, chance };
  });
  let chiSquare = 0;
  for (const disk of map.disks) {
    const share = (total * disk.weight) / weight;
    chiSquare += ((held[disk.id] as number) - share) ** 2 / share;
  }
  return { levels, chiSquareOverDisks: chiSquare / map.disks.length };
}
