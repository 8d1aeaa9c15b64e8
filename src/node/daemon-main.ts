/**
 * The daemon: serves one volume on the descriptor it was given (3), under the lock it was given
 * (4).
 */

import { existsSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import { createLog } from '../base/log.ts';
import { MountWatch } from '../base/os/mod.ts';
import { FuseServer, type NegotiatedInit, unmount, unmountOwn } from '../fuse/mod.ts';
import { homePaths, packError, requireConfig } from '../home/mod.ts';
import { ControlServer } from './control-server.ts';
import { LiveVolume } from './live-volume.ts';
import type { MountRequest } from './mount-main.ts';

const DEVICE_FD = 3;
const EXIT_INVARIANT = 70;
/** Errors that another try will not mend. */
const FINAL_CODES = [
  'BAD_ARGUMENT',
  'CORRUPT',
  'NEWER_FORMAT',
  'FOREIGN',
  'NOT_FOUND',
  'UNAVAILABLE',
];

const request = JSON.parse(process.argv[2] ?? '{}') as MountRequest;
const paths = homePaths(request.home);
const log = createLog((line) => void writeSync(2, line), request.verbose ? 'debug' : 'info');

function die(error: unknown): never {
  log('error', 'the daemon ends', {
    message: messageOf(error),
    stack: error instanceof Error ? error.stack : undefined,
  });
  process.exit(error instanceof InvariantError ? EXIT_INVARIANT : 1);
}

process.on('uncaughtException', die);
process.on('unhandledRejection', die);
// A supervisor that dies takes the channel with it; the daemon has the descriptor as well and goes
// on.
process.on('disconnect', () => log('warn', 'the supervisor is gone'));

async function openVolume(): Promise<LiveVolume> {
  try {
    const known = await requireConfig(request.home);
    const { deadlineMs: commitDeadlineMs = known.commitDeadlineMs } = request;
    const config = { ...known, commitDeadlineMs };
    const { home, mode = config.mode, readOnly } = request;
    const watch = new MountWatch(request.mountPoint);
    // A mount that was made read-only, or without access times, later on is taken as such.
    const updatesAtime = (): boolean =>
      !watch.options.includes('ro') && !watch.options.includes('noatime');
    const epoch = request.epoch === undefined ? {} : { epoch: request.epoch as Epoch };
    const options = { home, config, mode, readOnly, ...epoch, updatesAtime, log, onDeath: die };
    return await LiveVolume.open(options);
  } catch (error) {
    const isTakeover = existsSync(paths.session);
    const isFinal = error instanceof DfsError && FINAL_CODES.includes(error.code);
    if (isTakeover || !isFinal) throw error;
    writeFileSync(paths.failure, JSON.stringify(packError(error)));
    unmount(request.mountPoint, { lazy: true });
    process.exit(0);
  }
}

const volume = await openVolume();
const collections = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const { kind } = (entry as unknown as { detail: { kind: number } }).detail;
    const size = kind === constants.NODE_PERFORMANCE_GC_MINOR ? 'minor' : 'major';
    volume.pauses.noteLater(`garbage collection, ${size}`, entry.duration);
  }
});
collections.observe({ entryTypes: ['gc'] });
let commitAtEnd = true;
const server = new FuseServer({
  fd: DEVICE_FD,
  vfs: volume.fileSystem,
  log,
  pauses: volume.pauses,
  letSleep: request.flags?.cpuSleep ?? false,
  ...(existsSync(paths.session)
    ? { negotiated: JSON.parse(readFileSync(paths.session, 'utf8')) as NegotiatedInit }
    : {}),
  onInit: (negotiated) => {
    writeFileSync(paths.session, JSON.stringify(negotiated), { mode: 0o600 });
  },
});
const control = new ControlServer({
  socket: paths.socket,
  home: request.home,
  mountPoint: request.mountPoint,
  volume,
  operations: () => server.stats(),
  invalidate: (ino) => server.notifier.invalidateInode(ino, 0, 0),
  onUnmount: ({ commit }) => {
    commitAtEnd = commit;
  },
  log,
});
await control.listen();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    log('info', 'stopping', { signal });
    void unmountOwn(request.mountPoint, { lazy: true }).finally(() => server.stop());
  });
}
const running = server.run();
process.send?.('ready');
log('info', 'serving', { mountPoint: request.mountPoint, epoch: volume.meta.committedEpoch });
const end = await running;
log('info', 'the mount has ended', { end });
rmSync(paths.session, { force: true });
rmSync(paths.opens, { force: true });
try {
  await volume.close({ commit: commitAtEnd });
} catch (error) {
  log('error', 'not everything is committed; it stays in the cache', { message: messageOf(error) });
  // Whoever waits for the end of the mount reads it there.
  writeFileSync(paths.failure, JSON.stringify(packError(error)));
}
await control.close();
process.exit(0);
