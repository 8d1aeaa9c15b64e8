import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { DfsError } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import type { OperationCount } from '../fuse/mod.ts';
import { packError, socketAddress } from '../home/mod.ts';
import { dropFromCache } from './cache-drop.ts';
import { CommitWait } from './commit-wait.ts';
import { checkedSettings } from './config-changes.ts';
import { diskMetricsText } from './disk-metrics.ts';
import { addOrderIn, changeIn, diskIn } from './disk-queries.ts';
import type { VolumeDrill } from './drill.ts';
import type { LiveVolume } from './live-volume.ts';
import { metricsText } from './metrics.ts';
import { liveStats } from './stats.ts';
import { liveStatus } from './status.ts';
import { uncommittedOf } from './uncommitted.ts';
import { type Route, type Say, workRoutes } from './work-routes.ts';

export interface ControlOptions {
  socket: string;
  home: string;
  mountPoint: string;
  volume: LiveVolume;
  operations: () => Record<string, OperationCount>;
  /** Makes the kernel forget the pages it has of an inode. */
  invalidate: (ino: Ino) => Promise<unknown>;
  /** Whether the unmount that follows commits once more. */
  onUnmount: (options: { commit: boolean }) => void;
  log: Log;
}

const PROGRESS_MS = 200;
/** The one text there is: GET /metrics. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * The control API of a mounted volume: HTTP and JSON over a unix socket that only its owner can
 * open. Answers are one JSON object; those of POST are lines of JSON, the last of which has `done`
 * or `error` (docs/control-api.md).
 */
export class ControlServer {
  readonly #options: ControlOptions;
  readonly #server: Server;
  readonly #routes: Record<string, Route>;
  #releaseAddress: () => void = () => undefined;

  constructor(options: ControlOptions) {
    this.#options = options;
    const { volume, home, mountPoint, operations, invalidate, onUnmount } = options;
    this.#routes = {
      'GET /status': () => liveStatus(volume, { home, mountPoint }),
      'GET /stats': () => liveStats(volume, operations()),
      'GET /metrics': async () =>
        metricsText(liveStats(volume, operations()), await volume.store.work()) +
        diskMetricsText(volume.report),
      'GET /receipt': (query) => volume.receipt(inoOf(query)),
      'GET /locate': async (query) => ({
        receipt: await volume.receipt(inoOf(query)),
        extents: await volume.store.locate(
          volume.meta.state.extents.overlapping(inoOf(query), 0, Number.MAX_SAFE_INTEGER),
        ),
      }),
      'GET /config': () => volume.settings,
      'POST /config': (query) => volume.configure(settingsIn(query)),
      'POST /diskmap/add': (query) => volume.diskOrders.add(addOrderIn(query)),
      'POST /diskmap/fail': (query) => volume.diskOrders.fail(diskIn(query), changeIn(query)),
      'POST /diskmap/remove': (query) => volume.diskOrders.remove(diskIn(query), changeIn(query)),
      'POST /commit': (_query, say) => this.#commit(say),
      'POST /cache/drop': (query) =>
        dropFromCache(inoOf(query), {
          meta: volume.meta,
          cache: volume.cache,
          invalidate: query.get('pages') === 'keep' ? undefined : invalidate,
        }),
      'POST /drill': async (_query, say): Promise<VolumeDrill> => {
        const disks = await volume.store.drill((progress) => say({ progress }));
        return { ...disks, home: uncommittedOf(volume) };
      },
      'POST /fsck': (query, say) =>
        volume.store.fsck({ repair: query.get('repair') === 'true' }, (progress) =>
          say({ progress }),
        ),
      ...workRoutes(volume),
      'POST /unmount': (query) => onUnmount({ commit: query.get('commit') !== 'false' }),
    };
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  async listen(): Promise<void> {
    const { socket } = this.#options;
    rmSync(socket, { force: true });
    const { address, close } = socketAddress(socket);
    this.#releaseAddress = close;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(address, resolve);
    });
    chmodSync(socket, 0o600);
  }

  async #commit(say: Say): Promise<{ epoch: number }> {
    const { volume } = this.#options;
    const wait = new CommitWait(volume);
    const timer = setInterval(() => say({ progress: wait.progress ?? null }), PROGRESS_MS);
    try {
      return { epoch: await volume.commit() };
    } finally {
      clearInterval(timer);
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const route = this.#routes[`${request.method} ${url.pathname}`];
    const streams = request.method === 'POST';
    const say: Say = (event) => void response.write(`${JSON.stringify(event)}\n`);
    try {
      if (route === undefined) {
        throw new DfsError(
          'NOT_FOUND',
          `Cannot serve ${request.method} ${url.pathname}: no such call`,
        );
      }
      if (this.#options.volume.isClosed) {
        throw new DfsError('CLOSED', `Cannot serve ${url.pathname}: the volume is closed`);
      }
      if (streams) response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      const result = await route(url.searchParams, say);
      if (streams) say({ done: result ?? {} });
      else {
        const isText = typeof result === 'string';
        response.writeHead(200, { 'content-type': isText ? METRICS_TYPE : 'application/json' });
        response.write(isText ? result : JSON.stringify(result));
      }
    } catch (error) {
      const packed = packError(error);
      this.#options.log('warn', 'control call failed', { url: url.pathname, ...packed });
      if (streams && response.headersSent) say({ error: packed });
      else {
        response.writeHead(packed.code === 'BAD_ARGUMENT' ? 400 : 500);
        response.write(JSON.stringify({ error: packed }));
      }
    }
    response.end();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    this.#releaseAddress();
    rmSync(this.#options.socket, { force: true });
  }
}

function settingsIn(query: URLSearchParams): Partial<Settings> {
  return checkedSettings(
    Object.fromEntries([...query].map(([name, text]) => [name, text === '' ? text : Number(text)])),
  );
}

function inoOf(query: URLSearchParams): Ino {
  const ino = Number(query.get('ino'));
  if (Number.isSafeInteger(ino) && ino > 0) return ino as Ino;
  throw new DfsError(
    'BAD_ARGUMENT',
    `Cannot use inode "${query.get('ino')}": it is no inode number`,
  );
}
