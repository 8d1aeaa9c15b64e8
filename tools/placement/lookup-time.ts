import { createPlacer } from '../../src/diskmap/mod.ts';
import { type Cluster, keysOf, makeCluster } from './cluster.ts';

/** CPU time of a lookup, in microseconds. */
export interface LookupTime {
  readonly disks: number;
  readonly isUneven: boolean;
  readonly prepareMs: number;
  /** By number of pieces. */
  readonly lookupUs: Readonly<Record<number, number>>;
}

export const PIECES_TIMED: readonly number[] = [1, 2, 3, 6];
const LOOKUPS = 20_000;
const ROUNDS = 9;

function cpuUs(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const used = process.cpuUsage(start);
  return used.user + used.system;
}

/**
 * The CPU time of a lookup with the fastest of some rounds, since whatever else runs on the machine
 * makes rounds slower and none faster. The time to make the keys is taken off.
 */
export function timeLookups(cluster: Cluster, seed: number): LookupTime {
  const map = makeCluster(cluster);
  let placer = createPlacer(map);
  const prepareUs = cpuUs(() => {
    placer = createPlacer(map);
    for (const pieces of PIECES_TIMED) placer.spread(Math.min(pieces, map.disks.length));
  });
  const keysUs = fastest(() => {
    const nextKey = keysOf(seed);
    for (let lookup = 0; lookup < LOOKUPS; lookup++) nextKey();
  });
  const lookupUs: Record<number, number> = {};
  for (const pieces of PIECES_TIMED) {
    if (pieces > map.disks.length) continue;
    const us = fastest(() => {
      const nextKey = keysOf(seed);
      for (let lookup = 0; lookup < LOOKUPS; lookup++) placer.place(nextKey(), pieces);
    });
    lookupUs[pieces] = (us - keysUs) / LOOKUPS;
  }
  const { disks, isUneven } = cluster;
  return { disks, isUneven, prepareMs: prepareUs / 1000, lookupUs };
}

function fastest(work: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) best = Math.min(best, cpuUs(work));
  return best;
}
