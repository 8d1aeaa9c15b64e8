import { EPROTO } from '../base/errno.ts';
import { MIB } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { Pauses } from '../base/pauses.ts';
import type { Vfs } from '../vfs/mod.ts';
import { BackingFiles } from './backing-files.ts';
import type { OperationCount } from './counters.ts';
import { Counters, operationName } from './counters.ts';
import type { LoopEnd } from './device-loop.ts';
import { DeviceLoop } from './device-loop.ts';
import type { Handler } from './handlers.ts';
import { createHandlers } from './handlers.ts';
import { Notifier } from './notifier.ts';
import {
  INIT_NO_OPENDIR_SUPPORT,
  OPCODES,
  PAGE_BYTES,
  PROTOCOL_MAJOR,
  REPLY_HEADER_BYTES,
} from './protocol.ts';
import { Replies } from './replies.ts';
import { RequestView } from './request.ts';
import type { NegotiatedInit } from './session.ts';
import { canPassThrough, mapsUncached, negotiate, putInitOut, readInitOffer } from './session.ts';
import type { CacheSeconds } from './wire.ts';

/** How long stop() waits for the promises of requests that were taken. */
const STOP_WAIT_MS = 5000;
/** Shorter than this no request is worth a look at what kept the loop. */
const LOOK_AT_MS = 0.1;
const DAY_SECONDS = 86_400;
/** A request or reply with 1 MiB of payload, and its headers. */
const BUFFER_BYTES: number = MIB + PAGE_BYTES;

export interface FuseServerOptions {
  /** /dev/fuse, mounted. The server does not close it. */
  fd: number;
  vfs: Vfs;
  log: Log;
  /** What INIT agreed on, when this process takes over a mount from one that died. */
  negotiated?: NegotiatedInit;
  /**
   * Called before INIT is answered: whoever wants to take over later stores it now, synchronously.
   */
  onInit?: (negotiated: NegotiatedInit) => void;
  /**
   * How long the kernel trusts names and attributes. Default: a day, as all changes come through
   * this kernel.
   */
  cacheSeconds?: CacheSeconds;
  /** Told how long each request, and what else the event loop does, keeps the loop. */
  pauses?: Pauses;
  /** Processors may sleep deeply also while requests come one after the other; no unless given. */
  letSleep?: boolean;
}

/**
 * Serves one mount from the main thread, the only one that Node lets hear of signals. Not for a
 * process that itself uses the mount: it would wait for itself.
 */
export class FuseServer {
  readonly notifier: Notifier;
  readonly #options: FuseServerOptions;
  readonly #request: RequestView = new RequestView(BUFFER_BYTES);
  readonly #counters: Counters = new Counters();
  readonly #pauses: Pauses;
  readonly #replies: Replies;
  readonly #handlers: Handler[];
  readonly #loop: DeviceLoop;
  #negotiated: NegotiatedInit | undefined;

  constructor(options: FuseServerOptions) {
    const { fd, vfs, log } = options;
    const cache = options.cacheSeconds ?? {
      entry: DAY_SECONDS,
      attr: DAY_SECONDS,
      negative: DAY_SECONDS,
    };
    const counters = this.#counters;
    const request = this.#request;
    const onIdle = (): void => this.#loop.expect();
    const replies = new Replies({ fd, capacityBytes: BUFFER_BYTES, counters, onIdle, log });
    this.#options = options;
    this.#pauses = options.pauses ?? new Pauses(log);
    this.#negotiated = options.negotiated;
    this.#replies = replies;
    const hasFlag = (flag: number): boolean => ((this.#negotiated?.flags ?? 0) & flag) !== 0;
    const keepsListings = (): boolean => cache.entry > 0 && hasFlag(INIT_NO_OPENDIR_SUPPORT);
    const deps = { vfs, request, replies, cache, counters, hasFlag, keepsListings };
    this.#handlers = createHandlers(deps);
    this.#handlers[OPCODES.INIT] = () => this.#init();
    const agreed = (what: (init: NegotiatedInit) => boolean) => (): boolean =>
      this.#negotiated !== undefined && what(this.#negotiated);
    this.notifier = new Notifier(fd, agreed(mapsUncached));
    vfs.connect(this.notifier, new BackingFiles(fd, agreed(canPassThrough)));
    this.#loop = new DeviceLoop({
      fd,
      buffer: request.buffer,
      onRequest: (length, readMs) => this.#dispatch(length, readMs),
      pendingCount: () => replies.pendingCount,
      pauses: this.#pauses,
      letSleep: options.letSleep ?? false,
      log,
    });
  }

  /** What INIT agreed on; undefined before it came. */
  get negotiated(): NegotiatedInit | undefined {
    return this.#negotiated;
  }

  /** Serves until the mount is gone or stop() was called. */
  async run(): Promise<LoopEnd> {
    // Whoever served before may have left requests, even INIT itself, without an answer. On a fresh
    // mount there are none, and kernels before 6.9 refuse: then what the dead process had read
    // stays unanswered until unmounted.
    const resent = this.notifier.resend();
    if (!resent && this.#options.negotiated !== undefined)
      this.#options.log('warn', 'fuse.no-resend');
    const end = await this.#loop.run();
    // After an unmount the kernel wants no more answers. After stop() whoever takes over gets what
    // is not answered in time sent again.
    if (end === 'stopped') await this.#replies.idle(STOP_WAIT_MS);
    return end;
  }

  /** Takes no further request from the device. The mount stays, and waits for the next process. */
  stop(): void {
    this.#loop.stop();
  }

  /** Counts per operation since the server started. */
  stats(): Record<string, OperationCount> {
    return this.#counters.snapshot();
  }

  #dispatch(length: number, readMs: number): number {
    const request = this.#request;
    const replies = this.#replies;
    const deferred = replies.deferredCount;
    replies.readMs = readMs;
    try {
      request.load(length);
      this.#counters.request(request.opcode);
      const handler = this.#handlers[request.opcode] ?? this.#handlers[0];
      handler?.();
    } catch (error) {
      replies.fault(request, error);
    }
    const endMs = performance.now();
    const ms = endMs - readMs;
    if (replies.deferredCount === deferred) this.#counters.answered(request.opcode, ms);
    if (ms > LOOK_AT_MS) this.#pauses.note(operationName(request.opcode), ms);
    return endMs;
  }

  #init(): void {
    const request = this.#request;
    const replies = this.#replies;
    const { log, vfs, onInit } = this.#options;
    const offer = readInitOffer(request.buffer, request.length);
    if (offer.major > PROTOCOL_MAJOR) {
      // The kernel then asks again with our major version.
      replies.buffer.fill(0, REPLY_HEADER_BYTES, REPLY_HEADER_BYTES + 64);
      replies.buffer.writeUInt32LE(PROTOCOL_MAJOR, REPLY_HEADER_BYTES);
      replies.send(request, 64);
      return;
    }
    const negotiated = offer.major < PROTOCOL_MAJOR ? undefined : negotiate(offer);
    if (negotiated === undefined) {
      log('error', 'fuse.kernel-too-old', { major: offer.major, minor: offer.minor });
      replies.status(request, -EPROTO);
      return;
    }
    this.#negotiated = negotiated;
    // If this process dies in between, INIT comes again, and all of it is done again.
    vfs.mounted();
    onInit?.(negotiated);
    log('debug', 'fuse.init', { ...negotiated });
    const { buffer } = replies;
    replies.send(request, putInitOut(buffer, REPLY_HEADER_BYTES, negotiated));
  }
}
