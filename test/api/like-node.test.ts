import { mkdirSync } from 'node:fs';
import * as nodeFs from 'node:fs/promises';
import { join } from 'node:path';
import type { FileHandle, Volume } from 'dfs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Dice, seedOf } from '../harness/seed.ts';
import { ApiScene } from './scene.ts';

/**
 * The same random calls on a volume and, with node:fs/promises, on a plain folder: results and
 * error codes must be the same. Absolute symlinks are left out: the volume has a root of its own.
 */
const STEPS = 4000;
const NAMES = ['a', 'b', 'c', 'dir', 'link', '.', '..', 'x'.repeat(256)];
const FLAGS = ['r', 'r+', 'w', 'wx', 'w+', 'wx+', 'a', 'ax', 'a+', 'ax+'];
const HANDLES_MAX = 6;

/** What both sides have of a call. */
interface Side {
  calls: Pick<
    typeof nodeFs,
    | 'chmod'
    | 'link'
    | 'lstat'
    | 'mkdir'
    | 'open'
    | 'readFile'
    | 'readdir'
    | 'readlink'
    | 'rename'
    | 'rmdir'
    | 'stat'
    | 'symlink'
    | 'truncate'
    | 'unlink'
    | 'utimes'
    | 'writeFile'
    | 'appendFile'
  >;
  at: (path: string) => string;
  handles: nodeFs.FileHandle[];
}

let scene: ApiScene;
let volume: Volume;

beforeAll(async () => {
  scene = await ApiScene.create();
  volume = await scene.open({ storeThread: false });
});

afterAll(() => scene.dispose());

function describe(stats: Awaited<ReturnType<typeof nodeFs.stat>>): object {
  const { mode, nlink, uid, gid, size, mtimeMs } = stats;
  const isFolder = stats.isDirectory();
  const kind = [stats.isFile(), isFolder, stats.isSymbolicLink()];
  const isSet = mtimeMs < 1e12;
  // A folder's own size and links are each file system's matter.
  const rest = isFolder ? {} : { nlink, size };
  return { mode, uid, gid, kind, mtimeMs: isSet ? mtimeMs : 'now', ...rest };
}

async function outcome(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return { result: await call() };
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    return { code: code ?? String(error), syscall };
  }
}

/** One random call, decided before it is made on each side. */
function randomCall(dice: Dice): [string, (side: Side) => Promise<unknown>] {
  const name = (): string => dice.pick(NAMES.slice(0, dice.below(20) === 0 ? NAMES.length : 5));
  const path = (): string => {
    const parts = Array.from({ length: 1 + dice.below(3) }, name);
    return `${parts.join('/')}${dice.below(12) === 0 ? '/' : ''}`;
  };
  const [one, two] = [path(), path()];
  const data = Buffer.alloc(dice.below(9000), dice.below(256));
  const number = dice.below(12_000);
  const position = dice.pick([null, number, number]);
  const which = dice.below(HANDLES_MAX);
  const flags = dice.pick(FLAGS);
  const mode = dice.pick([0o644, 0o600, 0o755]);
  const seconds = dice.below(1e9);
  const on = (side: Side): nodeFs.FileHandle | undefined => side.handles[which];
  const calls: [string, (side: Side) => Promise<unknown>][] = [
    [`mkdir ${one}`, ({ calls: fs, at }) => fs.mkdir(at(one))],
    [
      `mkdir -p ${one}`,
      async ({ calls: fs, at }) => void (await fs.mkdir(at(one), { recursive: true })),
    ],
    [`rmdir ${one}`, ({ calls: fs, at }) => fs.rmdir(at(one))],
    [`unlink ${one}`, ({ calls: fs, at }) => fs.unlink(at(one))],
    [`rename ${one} ${two}`, ({ calls: fs, at }) => fs.rename(at(one), at(two))],
    [`link ${one} ${two}`, ({ calls: fs, at }) => fs.link(at(one), at(two))],
    [`symlink ${one} ${two}`, ({ calls: fs, at }) => fs.symlink(one, at(two))],
    [`readlink ${one}`, ({ calls: fs, at }) => fs.readlink(at(one))],
    [`readdir ${one}`, async ({ calls: fs, at }) => (await fs.readdir(at(one))).sort()],
    [`stat ${one}`, async ({ calls: fs, at }) => describe(await fs.stat(at(one)))],
    [`lstat ${one}`, async ({ calls: fs, at }) => describe(await fs.lstat(at(one)))],
    [`chmod ${one}`, ({ calls: fs, at }) => fs.chmod(at(one), mode)],
    [`utimes ${one}`, ({ calls: fs, at }) => fs.utimes(at(one), seconds, seconds)],
    [`truncate ${one} ${number}`, ({ calls: fs, at }) => fs.truncate(at(one), number)],
    [`writeFile ${one}`, ({ calls: fs, at }) => fs.writeFile(at(one), data)],
    [`appendFile ${one}`, ({ calls: fs, at }) => fs.appendFile(at(one), data)],
    [`readFile ${one}`, ({ calls: fs, at }) => fs.readFile(at(one))],
    [`open ${one} ${flags}`, (side) => open(side, one, flags, mode)],
    [`open ${one} ${flags}`, (side) => open(side, one, flags, mode)],
    [
      'read',
      async (side) => {
        const got = await on(side)?.read(Buffer.alloc(number), { position });
        return got?.buffer.subarray(0, got.bytesRead);
      },
    ],
    [
      'write',
      async (side) => (await on(side)?.write(data, 0, data.length, position))?.bytesWritten,
    ],
    ['writeFile of a handle', (side) => on(side)?.writeFile(data) ?? Promise.resolve()],
    ['readFile of a handle', async (side) => on(side)?.readFile()],
    ['appendFile of a handle', async (side) => on(side)?.appendFile(data)],
    [`truncate of a handle ${number}`, async (side) => on(side)?.truncate(number)],
    [
      'stat of a handle',
      async (side) => {
        const stats = await on(side)?.stat();
        return stats && describe(stats);
      },
    ],
    ['sync', async (side) => on(side)?.sync()],
    ['close', async (side) => side.handles.splice(which, 1)[0]?.close()],
  ];
  return dice.pick(calls);
}

async function open(side: Side, path: string, flags: string, mode: number): Promise<void> {
  const handle = await side.calls.open(side.at(path), flags, mode);
  side.handles.push(handle);
  if (side.handles.length > HANDLES_MAX) await side.handles.shift()?.close();
}

test('random calls end as those of node:fs/promises on a plain folder', async () => {
  const dice = new Dice(seedOf('test/api/like-node.test.ts'));
  const folder = join(scene.folder, 'plain', 'deep');
  mkdirSync(folder, { recursive: true });
  await volume.mkdir('/plain/deep', { recursive: true });
  const ours = volume as unknown as Side['calls'];
  const sides: [Side, Side] = [
    { calls: nodeFs, at: (path) => `${folder}/${path}`, handles: [] },
    { calls: ours, at: (path) => `/plain/deep/${path}`, handles: [] },
  ];
  for (let step = 0; step < STEPS; step++) {
    const [what, call] = randomCall(dice);
    const [theirs, mine] = [
      await outcome(() => call(sides[0])),
      await outcome(() => call(sides[1])),
    ];
    expect(mine, `step ${step}: ${what}`).toEqual(theirs);
  }
  for (const side of sides) for (const handle of side.handles) await handle.close();
});

// The types say so too: a FileHandle of ours goes where one of node's is used in these ways.
export type Same = Pick<FileHandle, 'read' | 'write' | 'readFile' | 'writeFile' | 'stat' | 'close'>;
