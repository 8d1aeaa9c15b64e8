import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MIB } from '../../src/base/limits.ts';
import type { BenchVolume } from './bench-volume.ts';
import { type Children, parseCounts } from './children.ts';
import type { Bench, Side, Sizes } from './work.ts';

/** The works that make a page of docs/performance.md. */
export const USUAL: Sizes = {
  streamBytes: 1024 * MIB,
  randomBytes: 256 * MIB,
  randomCount: 50_000,
  syncCount: 1000,
  smallCount: 10_000,
  transactions: 1000,
  puts: 100_000,
  commitBytes: 192 * MIB,
  recoverFiles: 10_000,
};

/** Works that only show that nothing has become much slower. */
export const QUICK: Sizes = {
  streamBytes: 128 * MIB,
  randomBytes: 32 * MIB,
  randomCount: 5000,
  syncCount: 50,
  smallCount: 1000,
  transactions: 50,
  puts: 5000,
  commitBytes: 48 * MIB,
  recoverFiles: 1000,
};

/** The longest a load may take; most take seconds. */
const LOAD_MS = 300_000;
const COMPILE_MS = 60_000;
const DATABASE_LOAD: string = fileURLToPath(new URL('./database-load.js', import.meta.url));

/** Compiles the loads, packs a tree, makes the volume and mounts it. */
export async function openBench(options: {
  volume: BenchVolume;
  children: Children;
  repository: string;
  scheme: string;
  copies: number;
  sizes: Sizes;
}): Promise<Bench> {
  const { volume, children, repository, copies, sizes } = options;
  const program = join(volume.folder, 'load');
  const source = join(repository, 'tools/bench/load.c');
  const flags = ['-O2', '-std=gnu11', '-pthread', '-o', program];
  await children.run('gcc', [...flags, source], { deadlineMs: COMPILE_MS });
  const tree = await packTree({ volume, children, repository });
  await volume.init(options.scheme);
  await volume.mount();
  // Loads get a seed of their own: content that was stored once would not be stored again.
  let seed = Date.now() * 1000;
  const run = async (command: string, args: readonly string[]): Promise<string> =>
    await children.run(command, args, { deadlineMs: LOAD_MS });
  return {
    volume,
    sizes,
    copies,
    tree,
    seed: () => String(++seed),
    folder: (side: Side) => (side === 'native' ? volume.native : volume.mountPoint),
    load: async (...args) => parseCounts(await run(program, args)),
    database: async (...args) => parseCounts(await run(process.execPath, [DATABASE_LOAD, ...args])),
    time: async (command, ...args) => {
      const start = performance.now();
      await run(command, args);
      return (performance.now() - start) / 1000;
    },
  };
}

/** Packs the installed packages as a folder named tree. */
async function packTree(options: {
  volume: BenchVolume;
  children: Children;
  repository: string;
}): Promise<Bench['tree']> {
  const { volume, children, repository } = options;
  const archive = join(volume.folder, 'tree.tar');
  // The real folder: tar would pack a link as a link.
  const packages = realpathSync(join(repository, 'node_modules'));
  const name = basename(packages);
  const names = [`--transform=s,^${name},tree,`, `--exclude=${name}/.?*`];
  const args = ['-cf', archive, ...names, '-C', dirname(packages), name];
  await children.run('tar', args, { deadlineMs: LOAD_MS });
  const list = await children.run('tar', ['-tf', archive], { deadlineMs: LOAD_MS });
  return { archive, entries: list.split('\n').length - 1 };
}
