/**
 * Large files, 1 MiB a call.
 *
 * Napkin. A write of 1 MiB is one request (about 10 us) and three copies: into the kernel's
 * request, into the daemon, into the page cache of the cache file, which also has to find 256 new
 * pages; the native write is the last of these alone. At 10 GB/s a copy takes 100 us, so the
 * request hardly counts. With fsync the device has to take the bytes; the commit that runs beside
 * it writes them twice more (replica:2) to the same device. Reads that the kernel has cost one
 * copy, as natively. Without the kernel's pages a read is a request and three copies. A cold read
 * adds reading the pieces from the device, the hash over them, and writing the cache file, one
 * after the other for one chunk.
 */
import { MIB } from '../../src/base/limits.ts';
import type { Limits } from './limits.ts';
import { type Bench, BOTH, bytesRateOf, type Work } from './work.ts';

/** Rate of a stream whose MiB takes `seconds`. */
function perMib(seconds: number): number {
  return MIB / seconds;
}

function copySeconds(limits: Limits, copies: number): number {
  return (copies * MIB) / limits.copyBytesPerSecond;
}

/** A file on both sides to be read, committed and with its pages in the kernel. */
async function writeStream(bench: Bench, folder: string): Promise<string> {
  const file = `${folder}/stream`;
  await bench.load('write', file, String(bench.sizes.streamBytes), bench.seed(), '1');
  return file;
}

const writes: Work[] = [false, true].map((synced) => {
  const name = synced ? 'seq-write-sync' : 'seq-write';
  return {
    name,
    sides: BOTH,
    measures: [
      {
        name,
        title: synced ? 'sequential write, fsync at the end' : 'sequential write',
        unit: 'bytes/s',
        napkin: (limits, native) =>
          perMib(limits.upcallSeconds + copySeconds(limits, 2) + MIB / native),
      },
    ],
    async run(bench, { folder }) {
      const size = String(bench.sizes.streamBytes);
      const args = [`${folder}/stream`, size, bench.seed(), synced ? '1' : '0'];
      return { [name]: bytesRateOf(await bench.load('write', ...args), 'write') };
    },
  };
});

const warmRead: Work = {
  name: 'seq-read',
  sides: BOTH,
  measures: [
    {
      name: 'seq-read',
      title: 'sequential read, pages in the kernel',
      unit: 'bytes/s',
      napkin: (_limits, native) => native,
    },
    {
      name: 'seq-read-upcall',
      title: 'sequential read, only the daemon has it',
      unit: 'bytes/s',
      napkin: (limits, native) =>
        perMib(limits.upcallSeconds + copySeconds(limits, 2) + MIB / native),
    },
  ],
  async prepare(bench, { folder }) {
    await bench.load('read', await writeStream(bench, folder));
  },
  async run(bench, { side, folder }) {
    const file = `${folder}/stream`;
    const warm = bytesRateOf(await bench.load('read', file), 'read');
    // Natively these pages are the file system's own cache, and stay: the mount's lie above it.
    if (side === 'dfs') await bench.load('drop', file);
    const upcall = bytesRateOf(await bench.load('read', file), 'read');
    return { 'seq-read': warm, 'seq-read-upcall': upcall };
  },
};

const coldRead: Work = {
  name: 'seq-read-cold',
  sides: BOTH,
  measures: [
    {
      name: 'seq-read-cold',
      title: 'sequential read, only the disks have it',
      unit: 'bytes/s',
      napkin: (limits, native) =>
        perMib(
          MIB / native +
            MIB / limits.hashBytesPerSecond +
            copySeconds(limits, 4) +
            limits.upcallSeconds,
        ),
    },
  ],
  async prepare(bench, { side, folder }) {
    const { volume } = bench;
    const file = await writeStream(bench, folder);
    if (side === 'native') {
      await bench.load('drop', file);
      return;
    }
    await volume.unmount();
    volume.emptyCache();
    for (const disk of volume.disks) await bench.load('drop', disk);
    await volume.mount();
  },
  async run(bench, { folder }) {
    const counts = await bench.load('read', `${folder}/stream`);
    return { 'seq-read-cold': bytesRateOf(counts, 'read') };
  },
};

/** Sequential writes and reads. */
export const STREAM_WORKS: readonly Work[] = [...writes, warmRead, coldRead];
