/**
 * What only a volume does: commit, and recovery from its disks.
 *
 * Napkin. A commit reads the dirty bytes from the cache file, hashes them and writes each as many
 * times as the scheme asks for (twice with replica:2, 1.5 times with ec:2+1), and syncs. The native
 * figure is what three synced writers at once get onto the same device, divided by those copies.
 * Hashing and copying may overlap with the writes of other chunks, so the device is the limit.
 * Recovery reads no data: it copies the newest snapshot and applies the log behind it, some 5 us a
 * row, and looks up where each chunk's pieces are, some 10 us a chunk and disk.
 */
import { join } from 'node:path';
import { DfsError } from '../../src/base/errors.ts';
import { type Bench, BOTH, bytesRateOf, type Work } from './work.ts';

const RECOVER_SECONDS_A_FILE = 40e-6;

const commit: Work = {
  name: 'commit',
  sides: BOTH,
  measures: [
    {
      name: 'commit',
      title: 'commit of new data (native: three synced writers / copies)',
      unit: 'bytes/s',
      napkin: (limits, native) => Math.min(native, limits.hashBytesPerSecond),
    },
  ],
  async prepare(bench, { side, folder }) {
    if (side === 'native') return;
    const size = String(bench.sizes.commitBytes);
    await bench.load('write', `${folder}/dirty`, size, bench.seed(), '0');
  },
  async run(bench, { side, folder }) {
    const { volume, sizes, copies } = bench;
    if (side === 'native') {
      const share = String(Math.floor((sizes.commitBytes * copies) / volume.disks.length));
      const files = volume.disks.map((_, index) => join(folder, `disk${index}`));
      const counts = await bench.load('parallel', share, ...files);
      return { commit: bytesRateOf(counts, 'parallel') / copies };
    }
    const start = performance.now();
    await volume.commit();
    return { commit: sizes.commitBytes / ((performance.now() - start) / 1000) };
  },
};

/** Files of a tree extracted again and again, small and large, then the loss of HOME. */
async function fill(bench: Bench, folder: string): Promise<void> {
  const { archive, entries } = bench.tree;
  for (let made = 0; made < bench.sizes.recoverFiles; made += entries) {
    await bench.time('mkdir', `${folder}/${made}`);
    await bench.time('tar', '-xf', archive, '-C', `${folder}/${made}`);
  }
}

const recover: Work = {
  name: 'recover',
  sides: ['dfs'],
  measures: [
    {
      name: 'recover',
      title: 'recovery of HOME from the disks, files',
      unit: '/s',
      napkin: () => 1 / RECOVER_SECONDS_A_FILE,
    },
  ],
  async prepare(bench, { folder }) {
    await fill(bench, folder);
    await bench.volume.unmount();
  },
  async run(bench) {
    const start = performance.now();
    const { files, lost, degradedChunks } = await bench.volume.recover();
    const seconds = (performance.now() - start) / 1000;
    await bench.volume.mount();
    if (files < bench.sizes.recoverFiles || lost.length + degradedChunks > 0) {
      const state = `${files} files, ${lost.length} chunks lost, ${degradedChunks} degraded`;
      throw new DfsError('CORRUPT', `Cannot trust this recovery: it found ${state}`);
    }
    return { recover: files / seconds };
  },
};

/** Works on the volume as a whole. */
export const VOLUME_WORKS: readonly Work[] = [commit, recover];
