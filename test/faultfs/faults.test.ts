import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  readSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findMount } from '../../src/base/os/mod.ts';
import { readFully } from '../../src/base/read-fully.ts';
import { isAlive, until } from '../harness/processes.ts';
import { canMount } from '../harness/volume.ts';
import { FaultFs } from './mod.ts';

const HOLDER = resolve(import.meta.dirname, '../../dist/test/programs/faultfs-holder.js');
const MIB = 2 ** 20;

describe.skipIf(!canMount)('a device of the rig', () => {
  let rig: FaultFs;
  let disk: string;
  let other: string;

  beforeEach(async () => {
    rig = await FaultFs.start({ devices: { disk: 8 * MIB, other: 100 * MIB } });
    disk = rig.device('disk');
    other = rig.device('other');
  });

  afterEach(async () => await rig.stop());

  it('fails the n-th write and those behind it, as many as it is told', async () => {
    const rule = await rig.setFault({
      devices: ['disk'],
      path: '^cache',
      operation: 'write',
      kind: 'EIO',
      from: 3,
      count: 2,
    });
    const fd = openSync(join(disk, 'cache'), 'w');
    const write = (): number => writeSync(fd, 'x');
    expect([write(), write()]).toEqual([1, 1]);
    expect(write).toThrow('EIO');
    expect(write).toThrow('EIO');
    expect(write()).toBe(1);
    closeSync(fd);
    writeFileSync(join(disk, 'another'), 'x');
    expect(await rig.hits(rule)).toBe(2);
  });

  it('fails reads also of what the kernel has in memory', async () => {
    writeFileSync(join(disk, 'file'), 'content');
    writeFileSync(join(other, 'file'), 'content');
    expect(readFileSync(join(disk, 'file'), 'utf8')).toBe('content');
    const rule = await rig.setFault({ devices: ['disk'], operation: 'read', kind: 'EIO' });
    expect(() => readFileSync(join(disk, 'file'))).toThrow('EIO');
    expect(readFileSync(join(other, 'file'), 'utf8')).toBe('content');
    await rig.clearFault(rule);
    expect(readFileSync(join(disk, 'file'), 'utf8')).toBe('content');
  });

  it('fails in the middle of a long read, which read(2) does not say', async () => {
    const path = join(disk, 'file');
    writeFileSync(path, Buffer.alloc(4 * MIB, 'x'));
    await rig.setFault({ devices: ['disk'], operation: 'read', kind: 'EIO', from: 2 });
    const fd = openSync(path, 'r');
    const into = Buffer.alloc(4 * MIB);
    const count = readSync(fd, into, 0, into.length, 0);
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(into.length);
    expect(() => readFully(fd, into, 0, path)).toThrow('EIO');
    await rig.clearFault();
    expect(readFully(fd, into, 0, path)).toBe(into.length);
    closeSync(fd);
  });

  it('is full at its size, which statfs tells', () => {
    const { bsize, blocks, bavail } = statfsSync(disk);
    expect([blocks * bsize, bavail * bsize]).toEqual([8 * MIB, 8 * MIB]);
    expect(statfsSync(other).blocks * bsize).toBe(100 * MIB);
    writeFileSync(join(disk, 'file'), Buffer.alloc(6 * MIB));
    expect(statfsSync(disk).bavail * bsize).toBe(2 * MIB);
    expect(() => writeFileSync(join(disk, 'more'), Buffer.alloc(3 * MIB))).toThrow('ENOSPC');
    writeFileSync(join(other, 'file'), Buffer.alloc(9 * MIB));
  });

  it('turns over one bit at rest', async () => {
    const content = Buffer.alloc(MIB, 'a');
    writeFileSync(join(disk, 'file'), content);
    const flips = await rig.flip({ device: 'disk', seed: 7 });
    expect(flips.length).toBe(1);
    const { path, offset } = flips[0] ?? { path: '', offset: 0 };
    const found = readFileSync(join(disk, path));
    const changed = (found[offset] ?? 0) ^ (content[offset] ?? 0);
    expect(changed !== 0 && (changed & (changed - 1)) === 0).toBe(true);
    found[offset] = content[offset] ?? 0;
    expect(found.equals(content)).toBe(true);
  });

  it('hangs until it is let go, and other devices do not', async () => {
    await writeFile(join(disk, 'file'), 'content');
    const rule = await rig.setFault({ devices: ['disk'], operation: 'any', kind: 'hang' });
    let isOver = false;
    const reading = readFile(join(disk, 'file'), 'utf8').finally(() => {
      isOver = true;
    });
    await until('something hangs', async () => (await rig.hits(rule)) > 0);
    await writeFile(join(other, 'file'), 'content');
    expect(isOver).toBe(false);
    await rig.clearFault(rule);
    expect(await reading).toBe('content');
  });

  it('does what is asked also when it is slow', async () => {
    const rule = await rig.setFault({ operation: 'write', kind: 'slow', ms: 50 });
    writeFileSync(join(disk, 'file'), 'content');
    expect(await rig.hits(rule)).toBe(1);
    expect(readFileSync(join(disk, 'file'), 'utf8')).toBe('content');
  });

  it('counts what it is asked to do', async () => {
    const fd = openSync(join(disk, 'file'), 'wx');
    for (let index = 0; index < 5; index++) {
      writeSync(fd, Buffer.alloc(512));
      fdatasyncSync(fd);
    }
    closeSync(fd);
    const counts = (await rig.counts()).disk;
    expect(counts).toMatchObject({ writes: 5, writtenBytes: 2560, fdatasyncs: 5, fsyncs: 0 });
    const kinds = (await rig.operations(0, await rig.sequence())).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'fdatasync').length).toBe(5);
  });

  it('goes away with its processes when the test is killed, even while it hangs', async () => {
    const child = spawn(process.execPath, [HOLDER], { stdio: ['ignore', 'pipe', 'inherit'] });
    let folder = '';
    child.stdout.on('data', (text: Buffer) => {
      folder += text.toString();
    });
    await until('the rig runs', () => folder.endsWith('\n'));
    const mountPoint = join(folder.trim(), 'mnt');
    expect(findMount(mountPoint)).toBeDefined();
    child.kill('SIGKILL');
    await until('the mount and its folder are gone', () => !existsSync(folder.trim()));
    expect(findMount(mountPoint)).toBeUndefined();
    expect(isAlive(child.pid ?? 0)).toBe(false);
  });
});
