import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { FsckReport, RecoverReport, StatusReport } from '../../src/node/mod.ts';
import { dfsctl, facts, isMounted, must, run, Scene } from './run.ts';
import { snapshotOf } from './snapshot-of.ts';

// One committed volume, damaged anew for every test. Its HOME is a recovered one: nothing is in the
// cache, so that every read comes from the disks.

let scene: Scene;

/** An asymmetric matcher, typed as what it stands for. */
const containing = (text: string): string => expect.stringContaining(text) as string;
let hashes: string;
const FILES = ['small', 'large', 'folder/other'];
const KEPT = ['home', 'd1', 'd2', 'd3'];

beforeAll(async () => {
  scene = new Scene();
  await scene.init();
  await scene.mounted();
  await must(['mkdir', join(scene.mount, 'folder')]);
  const fill = (name: string, kibibytes: number): Promise<string> =>
    must(['dd', 'if=/dev/urandom', `of=${join(scene.mount, name)}`, 'bs=1K', `count=${kibibytes}`]);
  await fill('small', 3);
  await fill('large', 9000);
  await fill('folder/other', 100);
  hashes = await readAll();
  await facts('umount', scene.mount);
  rmSync(scene.home, { recursive: true });
  await facts('recover', scene.home, ...scene.diskOptions(1, 2, 3), '--cache-size=256MiB');
  mkdirSync(scene.path('kept'));
  for (const name of KEPT) await must(['cp', '-a', scene.path(name), scene.path('kept')]);
});

beforeEach(async () => {
  if (isMounted(scene.mount)) await facts('umount', scene.mount, '--now');
  for (const name of KEPT) {
    rmSync(scene.path(name), { recursive: true, force: true });
    await must(['cp', '-a', scene.path('kept', name), scene.path(name)]);
  }
});

afterAll(() => scene.clean());

/** The hashes of all files on the mount. */
function readAll(): Promise<string> {
  return must(['sha256sum', ...FILES.map((name) => join(scene.mount, name))]);
}

/** Files below a disk's folder whose path matches. */
function filesOf(disk: number, pattern: RegExp): string[] {
  const root = join(scene.disks[disk - 1] ?? '', 'dfs');
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => pattern.test(path.slice(root.length)));
}

type Damage = (path: string) => void;

/** Flips one bit, at a share of the file's length from 0 to 1. */
function flipAt(share: number): Damage {
  return (path) => {
    const bytes = readFileSync(path);
    const at = Math.min(bytes.length - 1, Math.floor(bytes.length * share));
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    writeFileSync(path, bytes);
  };
}

function cutTo(share: number): Damage {
  return (path) => truncateSync(path, Math.floor(readFileSync(path).length * share));
}

/** Puts the next version into a header and seals it again. */
function newer(layout: { versionAt: number; sealAt: number; sealBytes: number }): Damage {
  return (path) => {
    const bytes = readFileSync(path);
    const { versionAt, sealBytes } = layout;
    const sealAt = layout.sealAt < 0 ? bytes.length + layout.sealAt : layout.sealAt;
    bytes.writeUInt16LE(bytes.readUInt16LE(versionAt) + 1, versionAt);
    blake3(bytes.subarray(0, sealAt)).copy(bytes, sealAt, 0, sealBytes);
    writeFileSync(path, bytes);
  };
}

function newerConfig(path: string): void {
  const text = readFileSync(path, 'utf8');
  const json = text
    .slice(0, text.lastIndexOf('blake3 '))
    .replace(/"version": [0-9]+/, '"version": 99');
  writeFileSync(path, `${json}blake3 ${blake3(Buffer.from(json)).toString('hex')}\n`);
}

const IDENTITY = /^\/identity$/;
const DISKMAP = /^\/diskmap$/;
const LOG = /^\/meta\/log-/;
const SNAPSHOT = /^\/meta\/snapshot-/;
const SLOT = /^\/slots\//;
const BUCKET = /^\/buckets\//;

async function expectRefusals(message: RegExp, calls: string[][]): Promise<void> {
  const folders = KEPT.map((name) => scene.path(name));
  const before = snapshotOf(...folders);
  for (const call of calls) {
    const { status, stdout, stderr } = await dfsctl(...call);
    expect({ call, status, stdout }).toEqual({ call, status: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^dfsctl: Cannot [^\n]+\n$/);
    expect(isMounted(scene.mount)).toBe(false);
  }
  expect(snapshotOf(...folders)).toEqual(before);
}

function homeCalls(): string[][] {
  return [
    ['status', scene.home],
    ['mount', scene.home, scene.mount],
    ['fsck', scene.home],
  ];
}

describe('a damaged config is refused, says what to do, and stays as it is', () => {
  const damages: [what: string, damage: Damage][] = [
    ['a flipped bit at the start', flipAt(0)],
    ['a flipped bit in the middle', flipAt(0.5)],
    ['a flipped bit at the end', flipAt(1)],
    ['half of it', cutTo(0.5)],
    ['nothing in it', cutTo(0)],
    ['a change by hand', (path) => writeFileSync(path, `${readFileSync(path, 'utf8')}\n`)],
  ];
  test.each(damages)('%s', async (_what, damage) => {
    damage(join(scene.home, 'config'));
    await expectRefusals(/damaged or changed by hand.*dfsctl recover/, homeCalls());
  });
});

describe('a newer format is refused, and stays as it is', () => {
  const bucketSeal = { versionAt: 8, sealAt: 48, sealBytes: 16 };
  const cases: [what: string, pattern: RegExp | undefined, damage: Damage][] = [
    ['config', undefined, newerConfig],
    ['disk identity', IDENTITY, newer({ versionAt: 4, sealAt: 56, sealBytes: 32 })],
    ['diskmap', DISKMAP, newer({ versionAt: 4, sealAt: -32, sealBytes: 32 })],
    ['metadata log', LOG, newer({ versionAt: 4, sealAt: 120, sealBytes: 32 })],
    ['snapshot', SNAPSHOT, newer({ versionAt: 4, sealAt: 88, sealBytes: 32 })],
    ['slot', SLOT, newer({ versionAt: 4, sealAt: 128, sealBytes: 32 })],
    ['bucket', BUCKET, newer(bucketSeal)],
  ];
  test.each(cases)('%s', async (what, pattern, damage) => {
    const paths = pattern === undefined ? [join(scene.home, 'config')] : filesOf(1, pattern);
    expect(paths.length).toBeGreaterThan(0);
    for (const path of paths) damage(path);
    // The index of a disk would spare it the look at the bucket.
    if (what === 'bucket') for (const path of filesOf(1, /index\.sqlite/)) rmSync(path);
    const recover = ['recover', scene.path('new'), ...scene.diskOptions(1, 2, 3)];
    // With a HOME that is whole nobody looks at a snapshot.
    const calls =
      what === 'snapshot' ? [recover] : what === 'config' ? homeCalls() : [...homeCalls(), recover];
    await expectRefusals(/version|newer/, calls);
    expect(readdirSync(scene.folder)).not.toContain('new');
  });
});

describe('one damaged disk changes no byte that is read', () => {
  const damages: [what: string, pattern: RegExp, damage: Damage][] = [
    ['a flipped bit in its identity', IDENTITY, flipAt(0.6)],
    ['half of its identity', IDENTITY, cutTo(0.5)],
    ['a flipped bit in its diskmap', DISKMAP, flipAt(0.5)],
    ['no byte in its diskmap', DISKMAP, cutTo(0)],
    ['a flipped bit at the start of its log', LOG, flipAt(0)],
    ['a flipped bit in the middle of its log', LOG, flipAt(0.5)],
    ['half of its log', LOG, cutTo(0.5)],
    ['a flipped bit in its slots', SLOT, flipAt(0.5)],
    ['half of its slots', SLOT, cutTo(0.5)],
    ['a flipped bit in its snapshots', SNAPSHOT, flipAt(0.5)],
    ['half of its snapshots', SNAPSHOT, cutTo(0.5)],
    ['a flipped bit in the header of its buckets', BUCKET, flipAt(0)],
    ['a flipped bit in the pieces in its buckets', BUCKET, flipAt(0.5)],
    ['half of its buckets', BUCKET, cutTo(0.5)],
    ['empty bucket files', BUCKET, cutTo(0)],
  ];
  test.each(damages)('%s', async (_what, pattern, damage) => {
    const paths = filesOf(2, pattern);
    expect(paths.length).toBeGreaterThan(0);
    for (const path of paths) damage(path);
    await scene.mounted();
    expect(await readAll()).toBe(hashes);
    expect(await facts<FsckReport>('fsck', scene.mount)).toMatchObject({ lost: [] });
    await facts('umount', scene.mount);
    rmSync(scene.home, { recursive: true });
    const report = await facts<RecoverReport>('recover', scene.home, ...scene.diskOptions(1, 2, 3));
    expect(report).toMatchObject({ lost: [], files: 5 });
    await scene.mounted();
    expect(await readAll()).toBe(hashes);
  });

  test.each(['d1', 'd3'])('%s gone, and a flipped bit in a bucket of another', async (gone) => {
    rmSync(scene.path(gone), { recursive: true });
    await scene.mounted();
    const status = await facts<StatusReport>('status', scene.mount);
    expect(status).toMatchObject({ health: 'degraded' });
    expect(status.problems.join()).toContain(`disk ${gone.slice(1)} is missing`);
    expect(await readAll()).toBe(hashes);
  });
});

test('a chunk without a good piece is an error for its file only; fsck names it', async () => {
  for (const disk of [1, 2, 3]) {
    for (const path of filesOf(disk, BUCKET))
      if (readFileSync(path).length > 2 ** 20) flipAt(0.5)(path);
  }
  await scene.mounted();
  const large = await run(['cat', join(scene.mount, 'large')]);
  expect(large).toMatchObject({ status: 1, stderr: containing('Input/output error') });
  const rest = hashes.split('\n').filter((line) => !line.endsWith('/large'));
  expect((await run(['sha256sum', ...FILES.map((name) => join(scene.mount, name))])).stdout).toBe(
    rest.join('\n'),
  );
  const { status, stdout } = await dfsctl('fsck', scene.mount);
  expect({ status, names: /LOST.*\n\s+\/large\n/.test(stdout) }).toEqual({
    status: 1,
    names: true,
  });
});

test('identities damaged on all disks, also in slots, are refused and stay as they are', async () => {
  const pattern = /^\/(identity$|slots\/)/;
  for (const disk of [1, 2, 3]) for (const path of filesOf(disk, pattern)) flipAt(0.5)(path);
  const recover = ['recover', scene.path('new'), ...scene.diskOptions(1, 2, 3)];
  await expectRefusals(/identity|no disk can be used/, [...homeCalls(), recover]);
});

test('a HOME without its metadata is not opened as an empty volume', async () => {
  for (const name of readdirSync(scene.home).filter((file) => file.startsWith('meta.sqlite'))) {
    rmSync(join(scene.home, name));
  }
  await expectRefusals(/meta\.sqlite is not there.*dfsctl recover/, homeCalls());
});
