/**
 * Measures the longest turns of the event loop that a commit of many dirty files makes, and what
 * follows it: `npm run build && node dist/tools/pauses/main.js`. On the rooms themselves, without a
 * mount and without disks; a minute long, so not part of the tests.
 *
 * Napkin: 100 rows at 15 us, 2,000 old rows at 0.5 us, 4 MiB of holes at 0.3 ms a MiB: 2 ms a turn.
 *
 * Flags: --files N, --extents N, --dir FOLDER.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { CHUNK_ID_BYTES, type Epoch, type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { BLOCK_BYTES } from '../../src/base/limits.ts';
import { silentLog } from '../../src/base/log.ts';
import { CpuWait } from '../../src/base/os/mod.ts';
import { FileCache } from '../../src/cache/mod.ts';
import { type CommitBackend, Committer, type Segment } from '../../src/commit/mod.ts';
import { LiveMeta } from '../../src/meta/mod.ts';

const TIME = { sec: 1, nsec: 0 };

/** How long the turns of each cause took, without waiting for a processor. */
class Turns {
  readonly #wait = new CpuWait();
  readonly #turns = new Map<string, number[]>();

  readonly timed = <T>(cause: string, body: () => T): T => {
    const waitedMs = this.#wait.totalMs();
    const startMs = performance.now();
    const result = body();
    const ms = performance.now() - startMs - (this.#wait.totalMs() - waitedMs);
    const known = this.#turns.get(cause);
    if (known === undefined) this.#turns.set(cause, [ms]);
    else known.push(ms);
    return result;
  };

  print(): void {
    for (const [cause, turns] of this.#turns) {
      turns.sort((a, b) => a - b);
      const at = (share: number): string =>
        (turns[Math.min(turns.length - 1, Math.floor(turns.length * share))] ?? 0).toFixed(2);
      const figures = `median ${at(0.5)}, 99% ${at(0.99)}, longest ${at(1)} ms`;
      process.stdout.write(
        `${cause.padEnd(24)} ${String(turns.length).padStart(6)} turns, ${figures}\n`,
      );
    }
  }
}

/** Disks that take everything at once. */
function instantDisks(cache: () => FileCache): CommitBackend {
  return {
    store: (segments: Segment[]) => {
      for (const { ino, offset, lengthBytes } of segments) {
        cache().capture(ino, offset, offset + lengthBytes);
      }
      return Promise.resolve(randomBytes(segments.length * CHUNK_ID_BYTES));
    },
    publish: () => Promise.resolve(),
    commitSmall: ({ segments }) =>
      Promise.resolve({ ids: randomBytes(segments.length * CHUNK_ID_BYTES), inlineBytes: 0 }),
    abandon: () => Promise.resolve(),
    checkpoint: () => Promise.resolve(0),
  };
}

function create(meta: LiveMeta, name: string): Ino {
  const ino = meta.allocateIno();
  const owner = { mode: 0o100644, uid: 0, gid: 0, rdev: 0, target: Buffer.alloc(0) };
  meta.run([
    { kind: 'create', parent: ROOT_INO, name: Buffer.from(name), ino, ...owner, time: TIME },
  ]);
  return ino;
}

async function write(meta: LiveMeta, cache: FileCache, ino: Ino, offset: number): Promise<void> {
  const inode = meta.inode(ino);
  if (inode !== undefined) await cache.write(inode, offset, Buffer.alloc(BLOCK_BYTES, 7));
}

async function main(options: { files: string; extents: string; dir: string }): Promise<void> {
  const folder = mkdtempSync(join(options.dir, 'dfs-pauses-'));
  const turns = new Turns();
  const { timed } = turns;
  mkdirSync(join(folder, 'cache'));
  const meta = new LiveMeta(join(folder, 'meta.sqlite'));
  const unused = (): Promise<never> => Promise.reject(new Error('not in this program'));
  const cache = new FileCache({
    folder: join(folder, 'cache'),
    meta,
    limitBytes: 2 ** 40,
    fetch: unused,
    relieve: unused,
    timed,
  });
  try {
    meta.state.format({ uid: 0, gid: 0, time: TIME });
    cache.open(1 as Epoch, { keepClean: true });
    const committer = new Committer({
      meta,
      cache,
      backend: instantDisks(() => cache),
      firstEpoch: 1 as Epoch,
      intervalMs: 1e9,
      dirtyBytesMax: 1e12,
      log: silentLog,
      timed,
    });
    const inos = Array.from({ length: Number(options.files) }, (_, at) => create(meta, `f${at}`));
    for (const ino of inos) await write(meta, cache, ino, 0);
    const large = create(meta, 'large');
    const count = Number(options.extents);
    for (let at = 0; at < count; at++) await write(meta, cache, large, 2 * at * BLOCK_BYTES);
    await committer.commit();
    await cache.evict(large);
    timed('truncate', () => meta.run([{ kind: 'truncate', ino: large, sizeBytes: 0, time: TIME }]));
    timed('reap of 50', () => {
      for (const ino of inos.slice(0, 50)) cache.drop(ino);
      meta.run(inos.slice(0, 50).map((ino) => ({ kind: 'reap', ino })));
    });
    await committer.close({ commit: false });
    turns.print();
  } finally {
    cache.close();
    await meta.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const command = new Command('pauses')
  .option('--files <n>', 'dirty files in one commit', '20000')
  .option('--extents <n>', 'pieces of one file', '50000')
  .option('--dir <folder>', 'where to work', tmpdir())
  .parse();
await main(command.opts());
