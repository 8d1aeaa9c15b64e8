import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dfsctl, type Ended, facts, must, run, Scene } from './run.ts';
import { snapshotOf } from './snapshot-of.ts';

/** One clear line on stderr, nothing on stdout, no stack. */
function expectRefusal(ended: Ended, status: number, message: RegExp): void {
  expect(ended.stderr).toMatch(message);
  expect(ended.stderr).toMatch(/^dfsctl: Cannot [^\n]+\n$/);
  expect({ status: ended.status, stdout: ended.stdout }).toEqual({ status, stdout: '' });
}

describe('a wrong command line ends with 2', () => {
  const cases: [what: string, args: string[], message: RegExp][] = [
    ['an unknown verb', ['moun'], /unknown command 'moun'.*Did you mean mount/],
    ['an unknown verb of diskmap', ['diskmap', 'move'], /unknown command 'move'/],
    ['a disk that is no number', ['diskmap', 'fail', 'a', 'b'], /give the number of a disk/],
    ['a place that is none', ['diskmap', 'add', 'a', 'b', '--at', '1.2'], /as a place/],
    ['a weight that is none', ['diskmap', 'add', 'a', 'b', '--weight', '0'], /as a weight/],
    ['a question without a terminal', ['diskmap', 'add', 'a', 'b'], /no terminal to ask on/],
    ['an unknown option', ['status', '--jason'], /unknown option '--jason'/],
    ['a missing argument', ['mount', 'home'], /missing required argument 'mountpoint'/],
    ['one argument too many', ['umount', 'a', 'b'], /too many arguments/],
    ['init without a disk', ['init', 'home'], /option '--disk <dir>' not specified/],
    [
      'a mode that is none',
      ['mount', 'a', 'b', '--mode', 'safe'],
      /Allowed choices are weak, strong/,
    ],
    ...['GiB', '64G', '0'].map((size): [string, string[], RegExp] => [
      `a bucket size of "${size}"`,
      ['init', 'home', '--disk', 'd', '--bucket-size', size],
      /Cannot use .* size/,
    ]),
    ...['raid5', 'replica:0', 'ec:30+2'].map((scheme): [string, string[], RegExp] => [
      `the scheme "${scheme}"`,
      ['init', 'home', '--disk', 'd', '--scheme', scheme],
      /Cannot (read|use) scheme/,
    ]),
    [
      'a cache that is too small',
      ['init', 'h', '--disk', 'd', '--cache-size=1MiB'],
      /at least 64 MiB/,
    ],
    ['recover with a small cache', ['recover', 'h', '--disk', 'd', '--cache-size=5'], /64 MiB/],
  ];
  test.each(cases)('%s', async (_what, args, message) => {
    expectRefusal(await dfsctl(...args), 2, message);
  });

  test('no verb at all shows the help', async () => {
    const { status, stdout, stderr } = await dfsctl();
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('Usage: dfsctl');
  });

  test('--help is no error, and has an example for every verb', async () => {
    const verbs = ['init', 'mount', 'umount', 'status', 'commit', 'recover', 'fsck'];
    const calls = [...verbs.map((verb) => [verb]), ['diskmap', 'show'], ['diskmap', 'locate']];
    for (const call of calls) {
      const { status, stdout, stderr } = await dfsctl(...call, '--help');
      expect({ call, status, stderr }).toEqual({ call, status: 0, stderr: '' });
      expect(stdout).toContain(`Examples:\n  dfsctl ${call.join(' ')}`);
    }
  });
});

describe('init refuses, and changes nothing', () => {
  let scene: Scene;
  let tmpfs: string;

  beforeAll(async () => {
    scene = new Scene();
    await scene.init();
    tmpfs = scene.path('full');
    mkdirSync(tmpfs);
    await must(['mount', '-t', 'tmpfs', '-o', 'size=80m', 'tmpfs', tmpfs]);
    scene.owns(tmpfs);
    await must(['dd', 'if=/dev/zero', `of=${tmpfs}/ballast`, 'bs=1M', 'count=40', 'status=none']);
    for (const name of ['e1', 'e2', 'e2/inside', 'used']) mkdirSync(scene.path(name));
    writeFileSync(scene.path('file'), 'no folder');
    writeFileSync(scene.path('used', 'mine'), 'something of mine');
    symlinkSync('e1', scene.path('also-e1'));
  });

  afterAll(() => scene.clean());

  const cases: [what: string, home: string, disks: string[], more: string[], message: RegExp][] = [
    ['a disk of another volume', 'new', ['e1', 'd1'], [], /holds disk 1 of volume .* already/],
    ['a disk that is not there', 'new', ['e1', 'nowhere'], [], /no such folder; make it first/],
    ['a disk that is a file', 'new', ['file'], [], /it is not a folder/],
    ['a disk that is full', 'new', ['e1', 'full'], [], /it is full/],
    ['a disk within a disk', 'new', ['e2', 'e2/inside'], [], /overlaps with disk/],
    ['one disk given twice', 'new', ['e1', 'e1'], [], /is the same folder as disk/],
    ['one disk given twice, once by a symlink', 'new', ['e1', 'also-e1'], [], /the same folder/],
    ['HOME within a disk', 'e1/home', ['e1'], [], /overlaps with HOME/],
    ['a disk as HOME', 'e1', ['e1'], [], /is the same folder as HOME/],
    ['a HOME that has a volume', 'home', ['e1'], [], /not empty/],
    ['a HOME with other files', 'used', ['e1'], [], /not empty/],
    ['a HOME that is a file', 'file', ['e1'], [], /not a folder/],
    ['3 copies on 2 disks', 'new', ['e1', 'e2'], ['--scheme=replica:3'], /needs 3 disks, 2 were/],
    ['ec:2+1 on 2 disks', 'new', ['e1', 'e2'], ['--scheme=ec:2+1'], /needs 3 disks, 2 were/],
  ];
  test.each(cases)('%s', async (_what, home, disks, more, message) => {
    const before = snapshotOf(scene.folder);
    const options = disks.flatMap((disk) => ['--disk', scene.path(disk)]);
    const ended = await dfsctl('init', scene.path(home), ...options, ...more);
    expectRefusal(ended, 1, message);
    expect(snapshotOf(scene.folder)).toEqual(before);
  });

  test('with --json an error is still one line on stderr', async () => {
    const ended = await dfsctl(
      'init',
      scene.path('new'),
      '--disk',
      scene.path('nowhere'),
      '--json',
    );
    expectRefusal(ended, 1, /no such folder/);
  });
});

describe('mount and its like refuse, and change nothing', () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = new Scene();
    await scene.init();
    await scene.mounted();
    for (const name of ['full', 'empty', 'other', 'other-mnt']) mkdirSync(scene.path(name));
    writeFileSync(scene.path('full', 'file'), '');
    writeFileSync(scene.path('file'), '');
    mkdirSync(join(scene.disks[0] ?? '', 'inside'));
    mkdirSync(join(scene.home, 'inside'));
    mkdirSync(scene.path('o1'));
    await facts('init', scene.path('second'), '--disk', scene.path('o1'), '--cache-size=256MiB');
  });

  afterAll(() => scene.clean());

  const mountCases: [what: string, home: string, mountPoint: string, message: RegExp][] = [
    ['a mountpoint that is not empty', 'second', 'full', /not empty/],
    ['a mountpoint that is a file', 'second', 'file', /not a folder/],
    ['a mountpoint that is not there', 'second', 'nowhere', /no such folder; make it first/],
    ['a mountpoint with a mount', 'second', 'mnt', /mounted there already/],
    ['a mountpoint in its disk', 'second', 'o1/dfs/buckets', /lies in the disk/],
    ['a mountpoint in its HOME', 'second', 'second/cache', /lies in the HOME/],
    ['a HOME that is mounted', 'home', 'empty', /it is mounted on .*\/mnt.*dfsctl umount/],
    ['a folder that is no HOME', 'other', 'empty', /neither a HOME nor a mountpoint/],
    ['a HOME that is not there', 'nowhere', 'empty', /there is no such folder/],
  ];
  test.each(mountCases)('%s', async (_what, home, mountPoint, message) => {
    const folders = ['second', 'o1', 'full', 'empty'].map((name) => scene.path(name));
    const before = snapshotOf(...folders);
    expectRefusal(await dfsctl('mount', scene.path(home), scene.path(mountPoint)), 1, message);
    expect(snapshotOf(...folders)).toEqual(before);
  });

  test('disks that a mounted volume uses cannot be recovered from', async () => {
    const ended = await dfsctl('recover', scene.path('new'), ...scene.diskOptions(1, 2, 3));
    expectRefusal(ended, 1, /in use|holds it|another process/);
    expect(readdirSync(scene.folder)).not.toContain('new');
  });

  const otherCases: [what: string, args: string[], message: RegExp][] = [
    ['umount of a HOME that is not mounted', ['umount', 'second'], /not mounted/],
    ['umount of a folder', ['umount', 'empty'], /neither a HOME nor a mountpoint/],
    ['status of a folder', ['status', 'empty'], /neither a HOME nor a mountpoint/],
    ['fsck of nothing', ['fsck', 'nowhere'], /there is no such folder/],
    ['locate beside the mount', ['diskmap', 'locate', 'file'], /not on a mounted DFS volume/],
    ['locate of nothing', ['diskmap', 'locate', 'mnt/nowhere'], /no such file or folder/],
    ['locate of a folder', ['diskmap', 'locate', 'mnt'], /not a regular file/],
    ['commit beside the mount', ['commit', 'file'], /not on a mounted DFS volume/],
    ['recover into a HOME', ['recover', 'second', '--disk', 'd1'], /not empty/],
    ['recover from no disk', ['recover', 'new', '--disk', 'empty'], /no disk of a volume/],
    ['recover from two volumes', ['recover', 'new', '--disk=d1', '--disk=o1'], /together/],
    ['recover from a disk twice', ['recover', 'new', '--disk=d1', '--disk=d1'], /same folder/],
  ];
  test.each(otherCases)('%s', async (_what, args, message) => {
    const tool = join(import.meta.dirname, '../../bin/dfsctl');
    const ended = await run([process.execPath, tool, ...args], { cwd: scene.folder });
    expectRefusal(ended, 1, message);
    expect(readdirSync(scene.folder)).not.toContain('new');
  });
});

test('a dfsctl that is not built says how to build it', async () => {
  const scene = new Scene();
  try {
    mkdirSync(scene.path('bin'));
    await must(['cp', join(import.meta.dirname, '../../bin/dfsctl'), scene.path('bin')]);
    writeFileSync(scene.path('package.json'), '{"type":"module"}');
    const ended = await run([process.execPath, scene.path('bin', 'dfsctl'), 'status']);
    expectRefusal(ended, 1, /not built; run `npm ci && npm run build`/);
  } finally {
    rmSync(scene.folder, { recursive: true });
  }
});
