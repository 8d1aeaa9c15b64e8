import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChunkId, DiskId } from '../base/ids.ts';
import { parseScheme, pieceCount, piecesNeeded, type Scheme, schemesEqual } from '../chunk/mod.ts';
import { createDiskMap, createPlacer, type DiskEntry } from '../diskmap/mod.ts';
import type { DiskStatus } from '../store/mod.ts';
import type { ChunkAudit, FoundPiece } from './audit.ts';
import { hardwareOf } from './hardware.ts';
import { type ChunkPlan, type Hardware, planChunk } from './plan.ts';

const REPLICA_2 = parseScheme('replica:2');
const EC_2_1 = parseScheme('ec:2+1');

interface DiskSpec {
  readonly machine: number;
  readonly weight: number;
  readonly isIn: boolean;
  readonly status: DiskStatus;
  readonly isFailed?: boolean;
}

function hardware(specs: readonly DiskSpec[]): Hardware {
  const disks = specs.map(({ machine, weight, isIn, isFailed = false }, at): DiskEntry => {
    const uuid = `00000000-0000-4000-8000-${String(at + 1).padStart(12, '0')}`;
    const place = { room: 1, row: 1, rack: 1, machine, disk: at + 1 };
    const state = isFailed ? 'failed' : isIn ? 'in' : LEAVING;
    return { id: (at + 1) as DiskId, uuid, ...place, weight, state, label: '' };
  });
  const volumeUuid = '00000000-0000-4000-8000-00000000abcd';
  const map = createDiskMap({ version: 1, volumeUuid, scheme: '', bucketBytes: 2 ** 30, disks });
  return hardwareOf(map, createPlacer(map), (id) => specs[id - 1]?.status ?? 'missing');
}

const LEAVING: DiskEntry['state'] = 'draining';
const up = (count: number): DiskSpec[] =>
  Array.from({ length: count }, () => ({ machine: 1, weight: 8, isIn: true, status: 'up' }));

function chunk(byte: number, scheme: Scheme | undefined, pieces: FoundPiece[]): ChunkAudit {
  const id = Buffer.alloc(32, byte) as ChunkId;
  return { id, known: { id, lengthBytes: 1000, scheme, isDoomed: false }, pieces };
}

function piece(diskId: number, pieceIndex: number, fields: Partial<FoundPiece> = {}): FoundPiece {
  const chunkId = Buffer.alloc(32, 7) as ChunkId;
  const rest = { chunkId, scheme: REPLICA_2, bucket: 1, bytes: 1000, bad: false };
  return { diskId: diskId as DiskId, pieceIndex, ...rest, ...fields };
}

/** The homes of the pieces of the chunk all of whose bytes are 7. */
function homesOf(disks: Hardware, scheme: Scheme): number[] {
  const homes = disks.homes(Buffer.alloc(32, 7) as ChunkId, pieceCount(scheme));
  return homes.map((home) => home?.diskId ?? 0);
}

/** Disks with ids from 1 that are not among `ids`. */
function others(count: number, ids: number[]): number[] {
  return Array.from({ length: count }, (_, at) => at + 1).filter((id) => !ids.includes(id));
}

describe('planChunk()', () => {
  it('leaves a chunk alone whose pieces are at home', () => {
    const disks = hardware(up(5));
    const pieces = homesOf(disks, REPLICA_2).map((id, index) => piece(id, index));
    const plan = planChunk(chunk(7, REPLICA_2, pieces), disks, REPLICA_2);
    expect(plan).toMatchObject({ condition: 'whole', writes: [], removes: [], keeps: [] });
  });

  it('makes a piece anew that is nowhere, at its home', () => {
    const disks = hardware(up(5));
    const [first = 0, second = 0] = homesOf(disks, REPLICA_2);
    const plan = planChunk(chunk(7, REPLICA_2, [piece(second, 1)]), disks, REPLICA_2);
    expect(plan).toMatchObject({ condition: 'degraded', removes: [] });
    expect(plan.writes).toMatchObject([{ diskId: first, pieceIndex: 0, copyFrom: undefined }]);
  });

  it('writes a bad piece again where it is', () => {
    const disks = hardware(up(5));
    const [first = 0, second = 0] = homesOf(disks, REPLICA_2);
    const pieces = [piece(first, 0, { bad: true }), piece(second, 1)];
    const plan = planChunk(chunk(7, REPLICA_2, pieces), disks, REPLICA_2);
    expect(plan.writes).toMatchObject([{ diskId: first, pieceIndex: 0 }]);
    expect(plan.removes).toEqual([]);
  });

  it('copies a piece home, and only then lets the old one go', () => {
    const disks = hardware(up(5));
    const [first = 0, second = 0] = homesOf(disks, REPLICA_2);
    const [away = 0] = others(5, [first, second]);
    const pieces = [piece(away, 0), piece(second, 1)];
    const plan = planChunk(chunk(7, REPLICA_2, pieces), disks, REPLICA_2);
    expect(plan).toMatchObject({ condition: 'misplaced' });
    expect(plan.writes).toMatchObject([{ diskId: first, pieceIndex: 0, copyFrom: away }]);
    expect(plan.keeps).toEqual([
      { diskId: first, pieceIndex: 0 },
      { diskId: second, pieceIndex: 1 },
    ]);
    expect(plan.removes).toEqual([pieces[0]]);
  });

  it('lets a piece wait whose home is away, and moves nothing meanwhile', () => {
    const specs = up(5);
    const [first = 0, second = 0] = homesOf(hardware(specs), REPLICA_2);
    const [away = 0] = others(5, [first, second]);
    specs[first - 1] = { machine: 1, weight: 8, isIn: true, status: 'down' };
    const disks = hardware(specs);
    const plan = planChunk(chunk(7, REPLICA_2, [piece(away, 1)]), disks, REPLICA_2);
    expect(plan).toMatchObject({ condition: 'degraded', writes: [], removes: [] });
    expect(plan.waitsFor).toEqual([first]);
  });

  it('uses a stand-in when the home is full, and stays there', () => {
    const specs = up(5);
    const [first = 0, second = 0] = homesOf(hardware(specs), REPLICA_2);
    specs[first - 1] = { machine: 1, weight: 8, isIn: true, status: 'full' };
    const disks = hardware(specs);
    const plan = planChunk(chunk(7, REPLICA_2, [piece(second, 1)]), disks, REPLICA_2);
    const [write] = plan.writes;
    expect(plan.writes).toHaveLength(1);
    expect([first, second]).not.toContain(write?.diskId);
    const after = [piece(second, 1), piece(write?.diskId ?? 0, 0)];
    const again = planChunk(chunk(7, REPLICA_2, after), disks, REPLICA_2);
    expect(again).toMatchObject({ condition: 'misplaced', writes: [], removes: [] });
  });

  it('separates two pieces that share a disk', () => {
    const disks = hardware(up(5));
    const [first = 0, second = 0] = homesOf(disks, REPLICA_2);
    const pieces = [piece(first, 0), piece(first, 1)];
    const plan = planChunk(chunk(7, REPLICA_2, pieces), disks, REPLICA_2);
    expect(plan.condition).toBe('degraded');
    expect(plan.writes).toMatchObject([{ diskId: second, pieceIndex: 1, copyFrom: first }]);
    expect(plan.removes).toEqual([pieces[1]]);
  });

  it('does not count on a failed disk, but reads from it', () => {
    const specs = up(5);
    const [first = 0, second = 0] = homesOf(hardware(specs), REPLICA_2);
    specs[first - 1] = { machine: 1, weight: 8, isIn: true, status: 'up', isFailed: true };
    const disks = hardware(specs);
    const pieces = [piece(first, 0), piece(second, 1)];
    const plan = planChunk(chunk(7, REPLICA_2, pieces), disks, REPLICA_2);
    expect(plan.condition).toBe('degraded');
    expect(plan.writes).toMatchObject([{ pieceIndex: 0, copyFrom: first }]);
    expect(plan.removes).toEqual([pieces[0]]);
  });

  it('calls a chunk lost that too few pieces are left of, and touches nothing', () => {
    const disks = hardware(up(5));
    const [first = 0] = homesOf(disks, EC_2_1);
    const pieces = [piece(first, 0, { scheme: EC_2_1 }), piece(first, 1, { bad: true })];
    const plan = planChunk(chunk(7, EC_2_1, pieces), disks, EC_2_1);
    expect(plan).toMatchObject({ condition: 'lost', writes: [], removes: [] });
  });

  it('removes nothing of a chunk that is to have another scheme', () => {
    const disks = hardware(up(5));
    const pieces = [piece(1, 0), piece(2, 1), piece(3, 0, { scheme: EC_2_1 })];
    const plan = planChunk(chunk(7, REPLICA_2, pieces), disks, EC_2_1);
    expect(plan).toMatchObject({ isOfOtherScheme: true, writes: [], removes: [] });
  });

  it('names pieces garbage that nobody knows, and those of a chunk kept with the metadata', () => {
    const disks = hardware(up(3));
    const id = Buffer.alloc(32, 7) as ChunkId;
    const pieces = [piece(1, 0), piece(2, 1)];
    const unknown = planChunk({ id, known: undefined, pieces }, disks, REPLICA_2);
    expect(unknown).toMatchObject({ condition: 'unknown', removes: pieces, writes: [] });
    const kept = planChunk(chunk(7, undefined, pieces), disks, REPLICA_2);
    expect(kept).toMatchObject({ condition: 'whole', removes: pieces, writes: [] });
    const known = { id, lengthBytes: 1000, scheme: REPLICA_2, isDoomed: true };
    const doomed = planChunk({ id, known, pieces: [] }, disks, REPLICA_2);
    expect(doomed).toMatchObject({ condition: 'doomed', removes: [], writes: [] });
  });
});

const anyDisk: fc.Arbitrary<DiskSpec> = fc.record({
  machine: fc.integer({ min: 1, max: 3 }),
  weight: fc.integer({ min: 1, max: 20 }),
  isIn: fc.constantFrom(true, true, true, false),
  status: fc.constantFrom<DiskStatus>('up', 'up', 'up', 'full', 'down', 'missing'),
});

const anyScheme = fc.constantFrom('replica:1', 'replica:2', 'replica:3', 'ec:2+1', 'ec:4+2');

interface Case {
  readonly disks: readonly DiskSpec[];
  readonly found: ChunkAudit;
  readonly target: Scheme;
}

/** Any hardware, and any pieces of a chunk on it, also of other schemes, bad ones and doubles. */
const anyCase: fc.Arbitrary<Case> = fc
  .record({
    disks: fc.array(anyDisk, { minLength: 1, maxLength: 12 }),
    byte: fc.integer({ min: 0, max: 255 }),
    scheme: anyScheme,
    target: fc.option(anyScheme),
    pieces: fc.array(
      fc.record({
        disk: fc.nat(),
        index: fc.nat(),
        bad: fc.constantFrom(false, false, false, true),
        other: fc.constantFrom(undefined, undefined, undefined, 'replica:2', 'ec:2+1'),
      }),
      { maxLength: 14 },
    ),
  })
  .map(({ disks, byte, scheme, target, pieces }) => {
    const own = parseScheme(scheme);
    const unique = new Map<string, FoundPiece>();
    for (const { disk, index, bad, other } of pieces) {
      const of = other === undefined ? own : parseScheme(other);
      const diskId = 1 + (disk % disks.length);
      const one = piece(diskId, index % pieceCount(of), { scheme: of, bad });
      unique.set(`${diskId} ${one.pieceIndex} ${other ?? scheme}`, one);
    }
    const found = chunk(byte, own, [...unique.values()]);
    return { disks, found, target: parseScheme(target ?? scheme) };
  });

/** What one plan leaves behind when it ends after `steps` steps. */
function carryOut(found: ChunkAudit, plan: ChunkPlan, steps = Number.MAX_SAFE_INTEGER): ChunkAudit {
  const scheme = found.known?.scheme ?? REPLICA_2;
  const isAt = (at: FoundPiece, diskId: DiskId, index: number, of: Scheme): boolean =>
    at.diskId === diskId && at.pieceIndex === index && schemesEqual(at.scheme, of);
  let pieces = [...found.pieces];
  for (const { diskId, pieceIndex, bucket } of plan.writes.slice(0, steps)) {
    pieces = pieces.filter((one) => !isAt(one, diskId, pieceIndex, scheme));
    pieces.push(piece(diskId, pieceIndex, { scheme, bucket }));
  }
  for (const gone of plan.removes.slice(0, Math.max(0, steps - plan.writes.length))) {
    pieces = pieces.filter((one) => !isAt(one, gone.diskId, gone.pieceIndex, gone.scheme));
  }
  return { ...found, pieces };
}

/** How many disks, of those that can be asked, can be lost for sure: -1 if it is lost already. */
function survivesLossOf(found: ChunkAudit, disks: Hardware): number {
  const scheme = found.known?.scheme ?? REPLICA_2;
  const good = found.pieces.filter(
    (one) => !one.bad && schemesEqual(one.scheme, scheme) && disks.isReachable(one.diskId),
  );
  const ids = [...new Set(good.map(({ diskId }) => diskId))];
  let fewest = ids.length + 1;
  for (let gone = 0; gone < 2 ** ids.length; gone++) {
    const left = good.filter(({ diskId }) => (gone & (1 << ids.indexOf(diskId))) === 0);
    const indexes = new Set(left.map(({ pieceIndex }) => pieceIndex)).size;
    if (indexes >= piecesNeeded(scheme)) continue;
    const count = ids.filter((_, at) => (gone & (1 << at)) !== 0).length;
    fewest = Math.min(fewest, count);
  }
  return fewest - 1;
}

const RUNS = { numRuns: 300 };

describe('planChunk(), whatever the disks have', () => {
  it('makes no chunk easier to lose, wherever it is interrupted', () => {
    fc.assert(
      fc.property(anyCase, ({ disks, found, target }) => {
        const on = hardware(disks);
        const plan = planChunk(found, on, target);
        const before = survivesLossOf(found, on);
        const scheme = found.known?.scheme ?? REPLICA_2;
        const enough = pieceCount(scheme) - piecesNeeded(scheme);
        for (let steps = 0; steps <= plan.writes.length + plan.removes.length; steps++) {
          const after = survivesLossOf(carryOut(found, plan, steps), on);
          expect(after).toBeGreaterThanOrEqual(Math.min(before, enough));
        }
      }),
      RUNS,
    );
  });

  it('keeps a good piece of each index, each on a disk of its own, when it removes something', () => {
    fc.assert(
      fc.property(anyCase, ({ disks, found, target }) => {
        const on = hardware(disks);
        const plan = planChunk(found, on, target);
        if (plan.removes.length === 0) return;
        const count = pieceCount(found.known?.scheme ?? REPLICA_2);
        expect(plan.keeps.map(({ pieceIndex }) => pieceIndex)).toEqual([...Array(count).keys()]);
        expect(new Set(plan.keeps.map(({ diskId }) => diskId)).size).toBe(count);
        const after = carryOut(found, plan);
        for (const { diskId, pieceIndex } of plan.keeps) {
          const kept = after.pieces.filter(
            (one) => one.diskId === diskId && one.pieceIndex === pieceIndex && !one.bad,
          );
          expect(kept).toHaveLength(1);
        }
      }),
      RUNS,
    );
  });

  it('writes to disks that take pieces, and never two of a chunk to one', () => {
    fc.assert(
      fc.property(anyCase, ({ disks, found, target }) => {
        const on = hardware(disks);
        const { writes } = planChunk(found, on, target);
        for (const { diskId, copyFrom } of writes) {
          expect(on.isWritable(diskId) && !on.isLeaving(diskId)).toBe(true);
          expect(copyFrom === undefined || on.isReachable(copyFrom)).toBe(true);
        }
        expect(new Set(writes.map(({ diskId }) => diskId)).size).toBe(writes.length);
      }),
      RUNS,
    );
  });

  it('has nothing left to do after it was carried out, also when it was interrupted before', () => {
    fc.assert(
      fc.property(anyCase, fc.nat({ max: 20 }), ({ disks, found, target }, steps) => {
        const on = hardware(disks);
        const half = carryOut(found, planChunk(found, on, target), steps);
        const whole = carryOut(half, planChunk(half, on, target));
        const again = planChunk(whole, on, target);
        expect({ writes: again.writes, removes: again.removes }).toEqual({
          writes: [],
          removes: [],
        });
      }),
      RUNS,
    );
  });

  it('makes a readable chunk whole when all disks are up and there are enough', () => {
    fc.assert(
      fc.property(anyCase, ({ disks, found }) => {
        const on = hardware(disks.map((disk) => ({ ...disk, status: 'up' })));
        const scheme = found.known?.scheme ?? REPLICA_2;
        const plan = planChunk(found, on, scheme);
        const usable = disks.filter(({ isIn }) => isIn).length;
        if (plan.condition === 'lost' || usable < pieceCount(scheme)) return;
        const again = planChunk(carryOut(found, plan), on, scheme);
        expect(again.condition).toBe('whole');
      }),
      RUNS,
    );
  });
});
