import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from '../../src/base/errors.ts';
import { type DiskId, type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { GIB, MIB } from '../../src/base/limits.ts';
import { silentLog } from '../../src/base/log.ts';
import { FileCache } from '../../src/cache/mod.ts';
import { contentOf } from '../../src/commit/fetch-order.ts';
import { Committer, Volume } from '../../src/commit/mod.ts';
import { homePaths } from '../../src/home/mod.ts';
import { LiveMeta } from '../../src/meta/mod.ts';
import { initVolume } from '../../src/node/init.ts';

const TIME = { sec: 77, nsec: 0 };

/** A whole volume in this process, on folders: disks, committed side, live side, cache. */
export class VolumeRig {
  readonly home: string;
  readonly disks: string[];
  readonly uuid: string;
  volume: Volume;
  meta: LiveMeta;
  cache: FileCache;
  committer: Committer;

  private constructor(home: string, disks: string[], uuid: string, opened: Opened) {
    this.home = home;
    this.disks = disks;
    this.uuid = uuid;
    ({ volume: this.volume, meta: this.meta, cache: this.cache } = opened);
    this.committer = opened.committer;
  }

  static async create(options: { disks?: number; scheme?: string } = {}): Promise<VolumeRig> {
    const folder = mkdtempSync(join(tmpdir(), 'dfs-volume-'));
    const home = join(folder, 'home');
    const disks = Array.from({ length: options.disks ?? 3 }, (_, at) => join(folder, `disk${at}`));
    for (const disk of disks) mkdirSync(disk);
    const { config } = await initVolume({
      home,
      disks,
      scheme: options.scheme ?? 'replica:2',
      bucketBytes: GIB,
      cacheBytes: 64 * MIB,
    });
    const uuid = config.volumeUuid;
    return new VolumeRig(home, disks, uuid, await openAll({ home, disks, uuid }));
  }

  /** Opens anew what close() or crash() closed; `without` are disks that are not there. */
  async open(options: { without?: number[] } = {}): Promise<void> {
    const { home, uuid } = this;
    const without = new Set(options.without);
    const disks = this.disks.map((path, at) => (without.has(at + 1) ? `${path}-gone` : path));
    Object.assign(this, await openAll({ home, disks, uuid }));
  }

  /** Ends in order, but without a commit. */
  async close(): Promise<void> {
    await this.committer.close({ commit: false });
    this.cache.close();
    await this.meta.close();
    await this.volume.close();
  }

  /** Ends without a commit; what is in HOME and on the disks stays. */
  async crash(): Promise<void> {
    await this.committer.close({ commit: false });
    this.cache.close();
    await this.meta.close();
    await this.volume.close({ dying: true });
  }

  async reopen(options: { without?: number[] } = {}): Promise<void> {
    await this.crash();
    await this.open(options);
  }

  async remove(): Promise<void> {
    await this.crash().catch(() => undefined);
    rmSync(join(this.home, '..'), { recursive: true, force: true });
  }

  /** A file in the root with this content. */
  async file(name: string, content: Buffer): Promise<Ino> {
    const ino = this.meta.allocateIno();
    const owner = { uid: 0, gid: 0, rdev: 0, target: Buffer.alloc(0), time: TIME };
    const place = { parent: ROOT_INO, name: Buffer.from(name), ino, mode: 0o100644 };
    this.meta.run([{ kind: 'create', ...place, ...owner }]);
    await this.write(ino, 0, content);
    return ino;
  }

  async write(ino: Ino, offset: number, content: Buffer): Promise<void> {
    const inode = this.meta.inode(ino);
    assert(inode !== undefined, 'the inode is there');
    assert((await this.cache.write(inode, offset, content)) === content.length, 'all is written');
  }

  async content(name: string): Promise<Buffer | undefined> {
    const entry = this.meta.state.lookup(ROOT_INO, Buffer.from(name));
    const inode = entry && this.meta.inode(entry.ino);
    if (inode === undefined) return undefined;
    const into = Buffer.alloc(inode.sizeBytes);
    const result = await this.cache.read(inode, 0, inode.sizeBytes, into, 0);
    assert(typeof result !== 'number' || result === inode.sizeBytes, 'all is read');
    return typeof result === 'number' ? into : result;
  }

  /** What a file in the root has in the newest epoch, read from disks and metadata. */
  async committedContent(name: string): Promise<Buffer | undefined> {
    const { committed, chunks } = this.volume;
    const entry = committed.state.lookup(ROOT_INO, Buffer.from(name));
    const inode = entry && committed.state.inode(entry.ino);
    if (inode === undefined) return undefined;
    const content = Buffer.alloc(inode.sizeBytes);
    for (const extent of committed.extents(inode.ino)) {
      const row = committed.chunk(extent.chunk);
      const chunk = await contentOf(extent.chunk, row, { chunks, committed });
      const { offset, chunkOffset, lengthBytes } = extent;
      chunk.copy(content, offset, chunkOffset, chunkOffset + lengthBytes);
    }
    return content;
  }

  /** Names in the root of the committed state. */
  committedNames(): string[] {
    const { state } = this.volume.committed;
    return state
      .entries(ROOT_INO, -1, 1000)
      .map(([, name]) => name.toString('latin1'))
      .sort();
  }
}

interface Opened {
  volume: Volume;
  meta: LiveMeta;
  cache: FileCache;
  committer: Committer;
}

/** As a node does it, but in one thread. */
async function openAll(options: { home: string; disks: string[]; uuid: string }): Promise<Opened> {
  const { home, disks, uuid } = options;
  const paths = homePaths(home);
  const captures: { from?: FileCache; committer?: Committer } = {};
  const volume = await Volume.open({
    home,
    volumeUuid: uuid,
    disks: disks.map((path, at) => ({ id: (at + 1) as DiskId, path })),
    readOnly: false,
    // Disks are looked at when a test says so.
    watchMs: 1e9,
    log: silentLog,
    wantEpoch: () => captures.committer?.commitAnyway(),
    capture: (ranges) =>
      Promise.resolve(
        ranges.flatMap(({ ino, start, end }) => captures.from?.capture(ino, start, end) ?? []),
      ),
  });
  const meta = new LiveMeta(paths.meta);
  const { head } = volume;
  if (meta.committedEpoch < head.epoch || meta.lastSeq < head.seq) {
    meta.rebase(paths.committed, head);
  }
  const cache = new FileCache({
    folder: paths.cache,
    meta,
    limitBytes: 64 * MIB,
    fetch: (request) => volume.fetch(request),
    relieve: () => Promise.reject(new Error('the cache is full')),
  });
  captures.from = cache;
  cache.open(head.nextEpoch, { keepClean: false });
  const committer = new Committer({
    meta,
    cache,
    backend: volume,
    firstEpoch: head.nextEpoch,
    intervalMs: 1e9,
    dirtyBytesMax: 1e12,
    log: silentLog,
  });
  captures.committer = committer;
  return { volume, meta, cache, committer };
}
