import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { newWorkState, type WorkState } from './work-file-format.ts';
import { decodeWorkState, readWorkState } from './work-file-reader.ts';
import { encodeWorkState, writeWorkState } from './work-file-writer.ts';

const GOLDEN = new URL('../../test/golden/work-v1.txt', import.meta.url);

const golden: WorkState = {
  isPaused: true,
  bytesPerSecond: 50_000_000,
  scrub: {
    startedMs: 1_700_000_000_123,
    cursor: '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',
    bad: 3,
    bytes: 123_456_789,
    isAsked: false,
    lastFullMs: 1_690_000_000_123,
    lastBad: 1,
  },
};

function sealed(json: string): Buffer {
  return Buffer.from(`${json}blake3 ${blake3(Buffer.from(json)).toString('hex')}\n`);
}

test('the golden file of version 1 is read, and written to the byte', async () => {
  const bytes = await readFile(GOLDEN);
  expect(decodeWorkState(bytes, 'work')).toEqual(golden);
  expect(encodeWorkState(golden)).toBe(bytes.toString());
});

test('a file that was written is read again; none is undefined', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dfs-work-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'work');
  expect(await readWorkState(path)).toBeUndefined();
  const state = newWorkState(1_700_000_000_000);
  await writeWorkState(path, state);
  expect(await readWorkState(path)).toEqual(state);
  await writeFile(path, 'something else');
  await expect(readWorkState(path)).rejects.toMatchObject({ code: 'CORRUPT' });
});

test('no cut and no flipped bit goes unnoticed', () => {
  const bytes = Buffer.from(encodeWorkState(golden));
  for (let length = 0; length < bytes.length; length++) {
    expect(() => decodeWorkState(bytes.subarray(0, length), 'work')).toThrow(/Cannot read work/);
  }
  fc.assert(
    fc.property(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 7 }), (at, bit) => {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
      expect(() => decodeWorkState(flipped, 'work')).toThrow(/Cannot read work/);
    }),
  );
});

test('a later version says so, and fields that cannot be are refused', () => {
  const later = sealed('{"format":"dfs-work","version":2,"more":true}\n');
  expect(() => decodeWorkState(later, 'work')).toThrow(/version 2, this software reads up to 1/);
  const { isPaused, bytesPerSecond, scrub } = golden;
  const head = { format: 'dfs-work', version: 1, isPaused, bytesPerSecond };
  for (const bad of [
    { ...head, scrub: { ...scrub, cursor: 'abc' } },
    { ...head, scrub: { ...scrub, bad: -1 } },
    { ...head, scrub: { ...scrub, lastFullMs: 'never' } },
    { ...head, scrub: null },
    { ...head, isPaused: 1, scrub },
    { ...head, bytesPerSecond: 0.5, scrub },
    { ...head, format: 'dfs-config', scrub },
    { ...head, version: 0, scrub },
  ]) {
    expect(() => decodeWorkState(sealed(`${JSON.stringify(bad)}\n`), 'work')).toThrow(/Cannot/);
  }
});
