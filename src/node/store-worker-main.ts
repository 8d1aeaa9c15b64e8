/**
 * The store's thread: the committed side of the volume, driven by calls of the thread that serves
 * the kernel.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../base/errors.ts';
import type { ChunkId, DiskId, Epoch } from '../base/ids.ts';
import type { Settings } from '../base/settings.ts';
import type {
  CapturedRange,
  EpochCut,
  FetchOrder,
  ReadRange,
  Segment,
  SmallCommit,
} from '../commit/mod.ts';
import { Volume } from '../commit/mod.ts';
import { openDiskThread } from './disk-thread.ts';
import { drillDisks } from './drill.ts';
import { type FsckProgress, fsck } from './fsck.ts';
import { carryOut, type HardwareOrder } from './hardware-orders.ts';
import { locate } from './locate.ts';
import { Rpc } from './rpc.ts';
import { volumeReport } from './volume-report.ts';

/** What the thread is started with. */
export interface StoreWorkerData {
  home: string;
  volumeUuid: string;
  disks: { id: DiskId; path: string }[];
  readOnly: boolean;
  epoch?: Epoch;
  settings: Settings;
}

assert(parentPort !== null, 'the store worker runs in a thread of its own');
const data = workerData as StoreWorkerData;
let opened: Volume | undefined;

function volume(): Volume {
  assert(opened !== undefined, 'the volume is open');
  return opened;
}

const rpc: Rpc = new Rpc(parentPort, {
  open: async () => {
    opened = await Volume.open({
      ...data,
      openBuckets: openDiskThread,
      log: (level, event, facts) => void rpc.call('log', { level, event, facts }),
      wantEpoch: () => void rpc.call('wantEpoch', undefined),
      capture: (ranges: ReadRange[]) => rpc.call<CapturedRange[]>('capture', ranges),
    });
    return opened.head;
  },
  store: (segments: Segment[]) => volume().store(segments),
  publish: (cut: EpochCut) => volume().publish(cut),
  commitSmall: (small: SmallCommit) => volume().commitSmall(small),
  abandon: () => volume().abandon(),
  checkpoint: () => volume().checkpoint(),
  fetch: (order: FetchOrder) => volume().fetch(order),
  configure: (settings: Settings) => volume().configure(settings),
  report: () => volumeReport(volume()),
  map: () => volume().map,
  changeHardware: (order: HardwareOrder) => carryOut(volume(), order),
  locate: (extents: { chunk: Uint8Array; offset: number; lengthBytes: number }[]) =>
    locate(
      volume(),
      extents.map((extent) => ({ ...extent, chunk: Buffer.from(extent.chunk) as ChunkId })),
    ),
  fsck: () => fsck(volume(), (progress: FsckProgress) => void rpc.call('fsckProgress', progress)),
  drill: () =>
    drillDisks(volume(), {
      isGentle: true,
      onProgress: (progress) => void rpc.call('drillProgress', progress),
    }),
  close: () => opened?.close(),
});
