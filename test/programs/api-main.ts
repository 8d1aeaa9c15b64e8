/**
 * Works on a volume through the package's API until it is killed: every line it prints is true from
 * then on. With "commit" it commits, prints the epoch, and waits.
 */
import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { openVolume } from '../../src/api/mod.ts';

const OPENS = 50;
const [home = '', what = ''] = process.argv.slice(2);
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

if (what.startsWith('leaks')) {
  say(await leaks(what !== 'leaks without a thread'));
  process.exit(0);
}
const volume = await openVolume(home);
if (what === 'commit') {
  await volume.mkdir('/kept');
  for (let index = 0; index < 20; index++) {
    await volume.writeFile(`/kept/${index}`, `file ${index} `.repeat(1000));
  }
  const receipt = await volume.commit();
  await volume.writeFile('/too late', 'for that commit');
  say({ receipt });
} else if (what === 'once') {
  await volume.writeFile('/by', String(process.getuid?.()));
  const { uid } = await volume.stat('/by');
  const receipt = await volume.commit();
  await volume.close();
  say({ uid, receipt });
  process.exit(0);
} else {
  const file = await volume.open('/ledger', 'a');
  for (let number = 0; ; number++) {
    await file.write(`${number}\n`);
    if (number % 7 === 0) await file.datasync();
    await volume.writeFile(`/file ${number % 50}`, `${number} `.repeat(number % 5000));
    say({ number });
  }
}
await new Promise(() => undefined);

/** What a process can leak. */
function held(): Record<string, number> {
  const events = ['exit', 'beforeExit', 'SIGTERM', 'SIGINT', 'uncaughtException', 'warning'];
  return {
    files: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    listeners: events.reduce((sum, event) => sum + process.listenerCount(event), 0),
    timers: process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length,
  };
}

/** What is held before and after many opens: the least within a second, as some end later. */
async function leaks(storeThread: boolean): Promise<object> {
  const use = async (index: number): Promise<void> => {
    const commitAtEnd = index % 10 === 0;
    const volume = await openVolume(home, { storeThread, commitAtEnd });
    await volume.writeFile(`/file ${index}`, 'x');
    await volume.open('/file 0');
    await volume.close();
  };
  // The first ones start threads of libuv and the like.
  for (let index = 0; index < 3; index++) await use(index);
  const before = held();
  const startedMs = performance.now();
  for (let index = 0; index < OPENS; index++) await use(index);
  const msAnOpen = (performance.now() - startedMs) / OPENS;
  let after = held();
  for (let tries = 0; tries < 20; tries++) {
    await delay(50);
    const now = held();
    after = Object.fromEntries(
      Object.entries(now).map(([name, count]) => [name, Math.min(count, after[name] ?? count)]),
    );
  }
  return { before, after, msAnOpen };
}
