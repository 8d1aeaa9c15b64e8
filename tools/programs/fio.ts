import { DfsError } from '../../src/base/errors.ts';
import { withKills } from './kills.ts';
import type { Ground, Program } from './program.ts';
import { words } from './words.ts';

interface Job {
  name: string;
  /** What differs from the other jobs, as fio's options without dashes. */
  flags: string;
  /** A job of the same blocks that goes before: what a mix reads, it verifies at once. */
  before?: string;
  /** Larger than a small cache: blocks of the same file are evicted while it is written. */
  isLarge?: true;
  /** The daemon is killed while it runs. */
  kills?: true;
}

const COMMON: readonly string[] = words(`
  verify=crc32c do_verify=1 verify_fatal=1 randrepeat=1 group_reporting exitall_on_error=1
`);
const JOBS: readonly Job[] = [
  { name: 'stream', flags: 'rw=write bs=256k ioengine=psync' },
  { name: 'buffered', flags: 'rw=randwrite bs=4k ioengine=psync' },
  { name: 'odd', flags: 'rw=randwrite bsrange=1k-40k bs_unaligned ioengine=pvsync' },
  { name: 'direct', flags: 'rw=randwrite bs=4k ioengine=psync direct=1' },
  {
    name: 'libaio',
    flags: 'rw=randwrite bsrange=4k-128k ioengine=libaio direct=1 iodepth=16',
  },
  { name: 'allocated', flags: 'rw=randwrite bs=12k ioengine=psync fallocate=native' },
  { name: 'kept', flags: 'rw=write bs=16k ioengine=psync fallocate=keep fdatasync=32' },
  { name: 'large', flags: 'rw=randwrite bs=48k ioengine=psync', isLarge: true },
  {
    name: 'io_uring',
    flags: 'rw=randwrite bsrange=4k-64k ioengine=io_uring direct=1 iodepth=16',
  },
  {
    name: 'mixed',
    flags: 'rw=randrw rwmixread=40 bs=4k ioengine=psync',
    before: 'rw=write bs=4k ioengine=psync',
  },
  {
    name: 'mixed-aio',
    flags: 'rw=randrw bs=8k ioengine=libaio direct=1 iodepth=8',
    before: 'rw=write bs=8k ioengine=psync',
  },
  { name: 'mmap', flags: 'rw=randwrite bs=4k ioengine=mmap' },
  {
    name: 'mmap-mixed',
    flags: 'rw=randrw bs=16k ioengine=mmap fsync=64',
    before: 'rw=write bs=16k ioengine=psync',
  },
  { name: 'fsync', flags: 'rw=randwrite bs=8k ioengine=psync fsync=16' },
  { name: 'fdatasync', flags: 'rw=write bs=16k ioengine=psync fdatasync=4' },
  { name: 'sync', flags: 'rw=randwrite bs=64k ioengine=psync sync=1' },
  {
    name: 'clients',
    flags: 'rw=randwrite bs=4k ioengine=psync numjobs=4 verify_backlog=256',
  },
  { name: 'killed', flags: 'rw=randwrite bs=4k ioengine=psync', kills: true },
  {
    name: 'killed-aio',
    flags: 'rw=randwrite bs=4k ioengine=libaio direct=1 iodepth=8',
    kills: true,
  },
];

async function fio(ground: Ground, job: Job, more: readonly string[]): Promise<void> {
  const sizes = job.isLarge === true ? { quick: 96, usual: 384 } : { quick: 8, usual: 64 };
  const size = `${ground.quick ? sizes.quick : sizes.usual}m`;
  const flags = [`name=${job.name}`, `directory=${ground.folder}`, `size=${size}`];
  // Long enough for some kills, and no longer.
  const loops = job.kills === true ? [`loops=${ground.quick ? 12 : 3}`] : [];
  const all = [...flags, ...COMMON, 'fallocate=none', ...loops, ...words(job.flags), ...more];
  const args = all.map((flag) => `--${flag}`);
  const { status, output, errors } = await ground.run('fio', args, { anyStatus: true });
  if (status === 0) return;
  const lines = `${errors}\n${output}`.split('\n');
  const said = lines.filter((line) => /fio:|verify|err=/.test(line)).slice(0, 6);
  const state = `it ended with ${status}: ${said.join('\n  ')}`;
  throw new DfsError('IO', `fio ${all.join(' ')}: ${state}`);
}

/** fio: every engine and mix writes what it can verify, at once, after a mount, and from disks. */
export const FIO: Program = {
  name: 'fio',
  packages: { fio: 'fio' },
  async run(ground) {
    const often = { everyMs: ground.quick ? 300 : 1500, most: 4 };
    let kills = 0;
    for (const job of JOBS) {
      if (job.before !== undefined) await fio(ground, { ...job, flags: job.before }, []);
      const work = fio(ground, job, []);
      if (job.kills === true) kills += await withKills(ground, work, often);
      else await work;
    }
    await ground.remount();
    for (const job of JOBS) await fio(ground, job, ['verify_only']);
    await ground.remount({ cold: true });
    for (const job of JOBS) await fio(ground, job, ['verify_only']);
    const how = 'written, then verified three times: at once, after a mount, and without cache';
    return `${JOBS.length} jobs ${how}; ${kills} daemons killed`;
  },
};
