import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteWriter } from '../../src/base/bytes.ts';
import type { ChunkId, Epoch, Ino } from '../../src/base/ids.ts';
import { NO_RECORD_ID } from '../../src/meta/epoch-record-format.ts';
import {
  CommittedMeta,
  decodeEpochRecordHeader,
  encodeEpochRecord,
  encodeOp,
  LiveMeta,
  type MetaOp,
  type Time,
} from '../../src/meta/mod.ts';
import { STATE_TABLES } from '../../src/meta/schema.ts';
import { isFile, isFolder, type Node, ROOT_TIME, TreeModel } from './tree-model.ts';

const TYPES = [0o100644, 0o100755, 0o040755, 0o042770, 0o120777, 0o010600];
const NAMES = ['a', 'b', 'c', 'ä', 'x'.repeat(255), '\xff\xfe'];

/** Numbers from which an operation is made that the state at that moment allows. */
interface Dice {
  kind: number;
  pick: number;
  other: number;
  name: number;
  newName: number;
  value: number;
}

const dice: fc.Arbitrary<Dice> = fc.record({
  kind: fc.nat(17),
  pick: fc.nat(),
  other: fc.nat(),
  name: fc.nat(NAMES.length - 1),
  newName: fc.nat(NAMES.length - 1),
  value: fc.nat(100_000),
});

function of<T>(list: readonly T[], index: number): T {
  const found = list[index % list.length];
  if (found === undefined) throw new Error('Cannot pick from nothing');
  return found;
}

/** What the file system may ask of the state machine, or undefined when these dice do not fit. */
function operation(model: TreeModel, dice: Dice, clock: number, nextIno: Ino): MetaOp | undefined {
  const time: Time = { sec: clock, nsec: dice.value };
  const parent = of(model.folders(), dice.pick);
  const name = Buffer.from(of(NAMES, dice.name), 'latin1');
  const entry = parent.entries.get(name.toString('latin1'));
  const nodes = [...model.nodes.values()];
  const node = of(nodes, dice.other);
  const change = inodeOperation(model, { node, time, dice });
  if (dice.kind < 4) {
    if (entry !== undefined) return undefined;
    const mode = of(TYPES, dice.value);
    const target = Buffer.from((mode & 0o170000) === 0o120000 ? 'target' : '');
    const owner = { uid: dice.value, gid: dice.other % 1000, rdev: 0 };
    return { kind: 'create', parent: parent.ino, name, ino: nextIno, mode, ...owner, target, time };
  }
  if (dice.kind === 4) {
    if (entry !== undefined || isFolder(node)) return undefined;
    return { kind: 'link', parent: parent.ino, name, ino: node.ino, time };
  }
  if (dice.kind === 5 || dice.kind === 6) {
    if (entry === undefined || entry.entries.size > 0) return undefined;
    return { kind: isFolder(entry) ? 'rmdir' : 'unlink', parent: parent.ino, name, time };
  }
  if (dice.kind < 10) return renameOperation(model, { parent, name, dice, time });
  if (dice.kind === 16) {
    return { kind: 'tmpfile', ino: nextIno, mode: 0o100640, uid: dice.value, gid: 7, time };
  }
  return change;
}

function renameOperation(
  model: TreeModel,
  at: { parent: Node; name: Buffer; dice: Dice; time: Time },
): MetaOp | undefined {
  const { parent, name, dice, time } = at;
  const newParent = of(model.folders(), dice.other);
  const newName = Buffer.from(of(NAMES, dice.newName), 'latin1');
  const from = parent.entries.get(name.toString('latin1'));
  const to = newParent.entries.get(newName.toString('latin1'));
  const exchange = dice.kind === 9;
  if (from === undefined || from === to || model.isBelow(newParent, from)) return undefined;
  if (exchange && (to === undefined || model.isBelow(parent, to))) return undefined;
  if (!exchange && to !== undefined && isFolder(from) !== isFolder(to)) return undefined;
  if (!exchange && to !== undefined && to.entries.size > 0) return undefined;
  const names = { parent: parent.ino, name, newParent: newParent.ino, newName };
  return { kind: 'rename', ...names, exchange, time };
}

function inodeOperation(
  model: TreeModel,
  at: { node: Node; time: Time; dice: Dice },
): MetaOp | undefined {
  const { node, time, dice } = at;
  const { ino } = node;
  const attribute = Buffer.from(`user.${of(NAMES, dice.name)}`, 'latin1');
  switch (dice.kind) {
    case 10: {
      const all = { uid: dice.value, gid: dice.name, atime: { sec: 5, nsec: 6 }, mtime: time };
      const some = dice.value % 2 === 0 ? all : { mode: (node.mode & 0o170000) | 0o600 };
      return { kind: 'setattr', ino, change: some, time };
    }
    case 11:
      if (!isFile(node)) return undefined;
      return { kind: 'truncate', ino, sizeBytes: dice.value, time };
    case 12:
      return { kind: 'setxattr', ino, name: attribute, value: Buffer.from(`${dice.value}`), time };
    case 13:
      if (!node.xattrs.has(attribute.toString('latin1'))) return undefined;
      return { kind: 'removexattr', ino, name: attribute, time };
    case 14: {
      if (!isFile(node)) return undefined;
      const [offset, lengthBytes] = [dice.other % 5000, 1 + (dice.value % 5000)];
      return { kind: 'punch', ino, offset, lengthBytes, time };
    }
    case 15: {
      const source = of([...model.nodes.values()].filter(isFile).concat(node), dice.pick);
      if (!isFile(node) || !isFile(source)) return undefined;
      const range = { offset: dice.other % 9000, sourceOffset: dice.value % 7000 };
      return { kind: 'clone', ino, source: source.ino, ...range, lengthBytes: 5000, time };
    }
    default: {
      const orphan = [...model.nodes.values()].find((one) => model.nlink(one) === 0);
      if (orphan !== undefined && dice.value % 2 === 0) return { kind: 'reap', ino: orphan.ino };
      if (!isFile(node)) return undefined;
      if (dice.value % 3 === 0) {
        return { kind: 'grow', ino, sizeBytes: node.size + dice.other, mtime: time, ctime: time };
      }
      const chunk = Buffer.alloc(32, dice.value) as ChunkId;
      const range = {
        offset: dice.value,
        lengthBytes: 1 + dice.name * 1000,
        chunk,
        chunkOffset: 3,
      };
      return { kind: 'extents', ino, ranges: [range] };
    }
  }
}

function rowsOf(db: Database.Database): Record<string, string[]> {
  return Object.fromEntries(
    STATE_TABLES.map((table) => {
      const rows = db.prepare(`select * from ${table}`).all();
      return [table, rows.map((row) => JSON.stringify(row)).toSorted()];
    }),
  );
}

function compare(live: LiveMeta, model: TreeModel): void {
  const orphans = [...model.nodes.values()].filter((node) => model.nlink(node) === 0);
  expect(new Set(live.state.orphans())).toEqual(new Set(orphans.map(({ ino }) => ino)));
  expect(live.state.totals().inodes).toBe(model.nodes.size);
  for (const node of model.nodes.values()) {
    const parent = isFolder(node) ? model.parentOf(node)?.ino : model.foldersOf(node);
    expect(live.inode(node.ino)).toMatchObject({
      mode: node.mode,
      nlink: model.nlink(node),
      uid: node.uid,
      gid: node.gid,
      sizeBytes: node.size,
      ...(parent !== undefined ? { parent } : {}),
      atimeSec: node.atime.sec,
      mtimeSec: node.mtime.sec,
      mtimeNsec: node.mtime.nsec,
      ctimeSec: node.ctime.sec,
      ctimeNsec: node.ctime.nsec,
      btimeSec: node.btime.sec,
    });
    const entries = live.state.entries(node.ino, -1, 1000);
    const found = entries.map(([, name, ino, type]) => [name.toString('latin1'), ino, type]);
    const wanted = [...node.entries].map(([name, to]) => [name, to.ino, to.mode >>> 12]);
    expect(new Set(found)).toEqual(new Set(wanted));
    expect(live.state.isEmpty(node.ino)).toBe(node.entries.size === 0);
    expect(live.state.readlink(node.ino)?.toString('latin1')).toBe(node.target);
    const xattrs = live.state.xattrNames(node.ino).map((name) => {
      const value = live.state.xattr(node.ino, name)?.toString('latin1');
      return [name.toString('latin1'), value] as const;
    });
    expect(new Map(xattrs)).toEqual(node.xattrs);
  }
}

test('the state machine is a file tree, and the same here, committed and read again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dfs-meta-'));
  let run = 0;
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(dice, { minLength: 20, maxLength: 120 }), async (all) => {
        const path = join(folder, `live-${run++}`);
        let live = new LiveMeta(path);
        live.state.format({ uid: 0, gid: 0, time: ROOT_TIME });
        const model = new TreeModel();
        const body = new ByteWriter();
        for (const [index, one] of all.entries()) {
          const op = operation(model, one, 100 + index, live.allocateIno());
          if (op === undefined) continue;
          live.run([op]);
          model.apply(op);
          if (op.kind === 'extents') {
            const chunk = op.ranges[0]?.chunk as ChunkId;
            encodeOp(body, { kind: 'chunk', chunk, lengthBytes: 1 << 20, scheme: 'replica:2' });
          }
          encodeOp(body, op);
        }
        compare(live, model);
        const rows = rowsOf(live.state.db);
        await live.close();
        live = new LiveMeta(path);
        compare(live, model);
        expect(rowsOf(live.state.db)).toEqual(rows);
        const committed = committedOf(`${path}.committed`, body.finish(), live.lastSeq);
        expect(rowsOf(committed.db)).toEqual(rows);
        expect(committed.inconsistencies()).toEqual([]);
        committed.close();
        await live.close();
      }),
      { numRuns: 25 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** A committed database that was given all of it as one epoch. */
function committedOf(path: string, body: Buffer, lastSeq: number): CommittedMeta {
  const committed = new CommittedMeta(path);
  const timeMs = ROOT_TIME.sec * 1000 + ROOT_TIME.nsec / 1e6;
  committed.format({ uid: 0, gid: 0, timeMs });
  const volumeTag = Buffer.alloc(8, 1);
  const fields = { volumeTag, epoch: 1 as Epoch, incarnation: 1, cutTimeMs: 7, lastSeq };
  const record = encodeEpochRecord({ ...fields, previous: NO_RECORD_ID, body });
  const header = decodeEpochRecordHeader(record);
  committed.apply(header, body);
  expect(committed.head()).toEqual({
    epoch: 1,
    incarnation: 1,
    seq: lastSeq,
    recordId: header.id,
    cutTimeMs: 7,
  });
  return committed;
}
