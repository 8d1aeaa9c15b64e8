import { setTimeout as delay } from 'node:timers/promises';
import type { Ground } from './program.ts';

/** Kills the daemon every `everyMs`, at most `most` times, until `work` ends; how often it did. */
export async function withKills(
  ground: Ground,
  work: Promise<unknown>,
  options: { everyMs: number; most: number },
): Promise<number> {
  const watched = work.then(
    () => true,
    () => true,
  );
  let kills = 0;
  while (!ground.isNative && kills < options.most) {
    const isOver = await Promise.race([delay(options.everyMs).then(() => false), watched]);
    if (isOver) break;
    await ground.killDaemon();
    kills++;
  }
  await work;
  return kills;
}
