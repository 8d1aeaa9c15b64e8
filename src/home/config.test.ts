import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';
import { describe, expect, test } from 'vitest';
import { type Config, decodeConfig, encodeConfig, readConfig, writeConfig } from './config.ts';

const GOLDEN_1 = new URL('../../test/golden/config-v1.txt', import.meta.url);
const GOLDEN_2 = new URL('../../test/golden/config-v2.txt', import.meta.url);
const GOLDEN = new URL('../../test/golden/config-v3.txt', import.meta.url);

const config: Config = {
  volumeUuid: '00112233-4455-6677-8899-aabbccddeeff',
  scheme: 'ec:2+1',
  bucketBytes: 64 * 1024 ** 3,
  cacheBytes: 10 * 1024 ** 3,
  commitIntervalMs: 5000,
  commitDeadlineMs: 30_000,
  mode: 'weak',
  createdMs: 1_700_000_000_123,
  rebuildAfterMs: 900_000,
  retentionMs: 86_400_000,
  garbageGraceMs: 600_000,
  scrubDays: 30,
  workShare: 0.5,
  disks: [
    { id: 1, path: '/disks/a' },
    { id: 2, path: '/disks/ä' },
    { id: 7, path: '/disks/c' },
  ],
};

function sealed(json: string): Buffer {
  return Buffer.from(`${json}blake3 ${blake3(json).toString('hex')}\n`);
}

describe('config', () => {
  test('what is written is read again, by its owner only', async () => {
    const home = await mkdtemp(join(tmpdir(), 'dfs-config-'));
    try {
      expect(await readConfig(home)).toBeUndefined();
      await writeConfig(home, config);
      expect(await readConfig(home)).toEqual(config);
      expect((await stat(join(home, 'config'))).mode & 0o777).toBe(0o600);
    } finally {
      await rm(home, { recursive: true });
    }
  });

  test('the golden configs of versions 1 and 2 are read, with what they did not have', async () => {
    expect(decodeConfig(await readFile(GOLDEN_1), 'config')).toEqual(config);
    expect(decodeConfig(await readFile(GOLDEN_2), 'config')).toEqual(config);
  });

  test('the golden config of version 3 is read, and written to the byte', async () => {
    const golden = await readFile(GOLDEN);
    expect(decodeConfig(golden, 'config')).toEqual(config);
    expect(encodeConfig(config)).toBe(golden.toString());
  });

  test('every truncation and every bit flip is detected', () => {
    const bytes = Buffer.from(encodeConfig(config));
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      expect(() => decodeConfig(cut, 'config')).toThrow(/damaged or changed by hand/);
    }
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const copy = Buffer.from(bytes);
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => decodeConfig(copy, 'config')).toThrow(/dfsctl recover/);
    }
  });

  test('a later version says so even when it has other fields', () => {
    const bytes = sealed('{"format":"dfs-config","version":4,"more":true}\n');
    expect(() => decodeConfig(bytes, 'config')).toThrow(/version 4, this software reads up to 3/);
  });

  test.each([
    ['volumeUuid', 'x'],
    ['scheme', 'raid:5'],
    ['bucketBytes', -1],
    ['cacheBytes', '10'],
    ['commitIntervalMs', 1.5],
    ['commitDeadlineMs', 0],
    ['mode', 'fast'],
    ['rebuildAfterMs', 0],
    ['retentionMs', -1],
    ['garbageGraceMs', 0.5],
    ['scrubDays', 0],
    ['workShare', 1.1],
    ['disks', []],
    ['disks', [{ id: 0, path: '/a' }]],
    ['disks', [{ id: 1, path: 'a' }]],
    ['disks', [{ id: 1, path: '/a', more: 1 }]],
    [
      'disks',
      [
        { id: 1, path: '/a' },
        { id: 1, path: '/b' },
      ],
    ],
    ['surprise', 1],
  ])('a bad value of %s is neither written nor read: %j', (name, value) => {
    const bad = { ...config, [name]: value };
    expect(() => encodeConfig(bad)).toThrow(/Cannot/);
    const json = JSON.stringify({ format: 'dfs-config', version: 3, ...bad });
    expect(() => decodeConfig(sealed(`${json}\n`), 'config')).toThrow(/Cannot read config/);
  });

  test.each([1, 2])('version %i has the fields of its time', (version) => {
    const json = JSON.stringify({ format: 'dfs-config', version, ...config });
    expect(() => decodeConfig(sealed(`${json}\n`), 'config')).toThrow(/has no field/);
  });

  test('intact text of another kind is refused', () => {
    for (const json of ['', '[]', '{', '{"format":"other","version":1}']) {
      expect(() => decodeConfig(sealed(json), 'config')).toThrow(/Cannot read config/);
    }
  });
});
