/**
 * Serves a file system in memory, for tests of the driver.
 *
 *     memory-mount.js direct MOUNTPOINT          mounts and serves in one process
 *     memory-mount.js supervised MOUNTPOINT DIR  mounts and starts daemons; DIR keeps what outlives
 *     them
 *
 * A file die-in-init in DIR makes the next daemons die before and after they store what INIT agreed
 * on. On SIGTERM the server stops, on SIGHUP it detaches its mount. On SIGUSR1 the name "known" and
 * the attributes of the root are invalidated. Prints one JSON line an event: { ready: pid } when a
 * daemon serves, { stats } on SIGUSR2, { invalidated }, and { end } at the end.
 */
import { existsSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { ROOT_INO } from '../../src/base/ids.ts';
import { createLog } from '../../src/base/log.ts';
import type { NegotiatedInit } from '../../src/fuse/mod.ts';
import {
  FuseServer,
  mountFuse,
  openDevice,
  runSupervisor,
  unmountOwn,
} from '../../src/fuse/mod.ts';
import { MemoryVfs } from '../fuse/memory-vfs.ts';

const log = createLog((line) => writeSync(2, line), 'warn');
const DEVICE_FD = 3;

function say(event: Record<string, unknown>): void {
  writeSync(1, `${JSON.stringify(event)}\n`);
}

async function serve(server: FuseServer): Promise<void> {
  process.on('SIGUSR2', () => say({ stats: server.stats() }));
  process.on('SIGTERM', () => server.stop());
  process.on('SIGHUP', () => void unmountOwn(mountPoint, { lazy: true }));
  process.on('SIGUSR1', () => void invalidate(server));
  const running = server.run();
  process.send?.('ready');
  say({ ready: process.pid });
  say({ end: await running });
  process.exit(0);
}

async function invalidate(server: FuseServer): Promise<void> {
  const entry = await server.notifier.invalidateEntry(ROOT_INO, Buffer.from('known'));
  const absent = await server.notifier.invalidateEntry(ROOT_INO, Buffer.from('never seen'));
  const inode = await server.notifier.invalidateInode(ROOT_INO, -1, 0);
  say({ invalidated: [entry, absent, inode] });
}

/** Dies in the first INIT before it is stored, in the second after. */
function storeInit(folder: string, store: () => void): void {
  const order = join(folder, 'die-in-init');
  const dies = existsSync(order) ? readFileSync(order, 'utf8') : '';
  if (dies === 'before') {
    writeFileSync(order, 'after');
    process.kill(process.pid, 'SIGKILL');
  }
  store();
  if (dies === 'after') {
    rmSync(order);
    process.kill(process.pid, 'SIGKILL');
  }
}

async function serveAsDaemon(folder: string): Promise<void> {
  const path = join(folder, 'negotiated.json');
  // A supervisor that dies takes the IPC channel with it; the mount stays.
  process.on('disconnect', () => undefined);
  const negotiated = existsSync(path)
    ? { negotiated: JSON.parse(readFileSync(path, 'utf8')) as NegotiatedInit }
    : {};
  const server = new FuseServer({
    fd: DEVICE_FD,
    vfs: new MemoryVfs({ journal: join(folder, 'journal') }),
    log,
    ...negotiated,
    onInit: (init) => storeInit(folder, () => writeFileSync(path, JSON.stringify(init))),
  });
  await serve(server);
}

const [role, mountPoint = '', folder = ''] = process.argv.slice(2);
if (role === 'daemon') {
  await serveAsDaemon(folder);
} else {
  const fd = openDevice();
  mountFuse({ fd, mountPoint, source: 'memory home' });
  if (role === 'direct') {
    await serve(new FuseServer({ fd, vfs: new MemoryVfs(), log }));
  } else {
    const args = [fileURLToPath(import.meta.url), 'daemon', mountPoint, folder];
    const { execPath: command } = process;
    process.exitCode = await runSupervisor({ fd, mountPoint, command, args, log });
  }
}
