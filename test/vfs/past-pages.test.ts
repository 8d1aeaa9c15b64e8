import { afterEach, describe, expect, test } from 'vitest';
import { run } from '../harness/processes.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

const PROGRAM = 'past_pages.py';
const ROUNDS = 5000;
const OK = { ok: true };

describe.skipIf(!canMount)('writes past the pages of the kernel', () => {
  let volume: TestVolume | undefined;
  afterEach(async () => volume?.dispose());

  test('are seen by all who read after them, also by those who read meanwhile', async () => {
    volume = await TestVolume.create({});
    await volume.mount();
    expect(await run(PROGRAM, [volume.mountPoint, String(ROUNDS)])).toEqual(OK);
  });

  test('stand beside those of a mapping, which the kernel sends by their handle', async () => {
    volume = await TestVolume.create({});
    await volume.mount();
    expect(await run('mapped_beside.py', [volume.mountPoint], 20_000)).toEqual(OK);
  });

  test('also after the daemon was killed, which had counted the opens', async () => {
    volume = await TestVolume.create({});
    await volume.mount();
    const done = run(PROGRAM, [volume.mountPoint, String(ROUNDS)]);
    await volume.killDaemon();
    expect(await done).toEqual(OK);
  });
});
