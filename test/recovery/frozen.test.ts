import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Program, run } from '../harness/processes.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

describe.skipIf(!canMount)('files that change while a large commit stores them', () => {
  let volume: TestVolume;
  let program: Program | undefined;

  beforeEach(async () => {
    volume = await TestVolume.create();
    await volume.mount();
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(volume.log);
    await program?.end();
    program = undefined;
    await volume.dispose();
  });

  const check = async (): Promise<unknown> => {
    const { changes } = await run('frozen.py', ['check', join(volume.mountPoint, 'frozen')]);
    return changes;
  };

  test('are committed as they were at the cut, and later as they are then', async () => {
    program = new Program('frozen.py', ['write', join(volume.mountPoint, 'frozen')]);
    await program.next();
    program.send({});
    const committing = volume.commit();
    expect(await program.next()).toEqual({ start: 'committing' });
    const epoch = await committing;
    // Nobody waits for another commit: the next one would be seconds away.
    await volume.killAll();
    await program.end();
    const report = await volume.recover();
    await volume.mount();
    const changes = await check();
    if (report.epoch === epoch) expect(changes).toBe(0);
  }, 120_000);

  test('keep their changes when the daemon is killed after that commit', async () => {
    program = new Program('frozen.py', ['write', join(volume.mountPoint, 'frozen')]);
    await program.next();
    program.send({});
    const committing = volume.commit();
    await program.next();
    const { changed } = await program.next();
    await committing;
    await volume.killDaemon();
    expect(await check()).toBe(changed);
    await volume.unmount();
    await volume.recover();
    await volume.mount();
    expect(await check()).toBe(changed);
  }, 120_000);

  test('keep their changes when the daemon is killed during that commit', async () => {
    program = new Program('frozen.py', ['write', join(volume.mountPoint, 'frozen')]);
    await program.next();
    program.send({});
    const committing = volume.commit().catch(() => undefined);
    await program.next();
    await volume.killDaemon();
    const { changed } = await program.next();
    await committing;
    expect(await check()).toBe(changed);
    await volume.unmount();
    await volume.recover();
    await volume.mount();
    expect(await check()).toBe(changed);
  }, 120_000);
});
