import type { DiskId, Epoch } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import type { Head } from '../meta/mod.ts';
import type { Capture } from './capture-reader.ts';
import type { ReplayProgress } from './replay.ts';
import type { OpenBuckets } from './volume-disk.ts';

/** What a volume is opened with. */
export interface VolumeOptions {
  home: string;
  volumeUuid: string;
  /** Where this machine finds the disks. */
  disks: { id: DiskId; path: string }[];
  readOnly: boolean;
  /** Opens, writable too, a state that is older than what is known to have been committed. */
  takesOlder?: boolean;
  /** As it was at this retained epoch, beside whoever writes it; to be read only. */
  epoch?: Epoch;
  /** What is set; the defaults without. */
  settings?: Settings;
  log: Log;
  capture: Capture;
  /** Has an epoch made although nothing may have changed; without it none is asked for. */
  wantEpoch?: () => void;
  /** How often the disks are looked at, in ms. */
  watchMs?: number;
  /** Opens the buckets of a disk; on the caller's thread without. */
  openBuckets?: OpenBuckets;
  /** Hears how much of the disks' logs is carried out while the volume opens. */
  onReplay?: ReplayProgress;
}

/** The newest published epoch, and the first number no epoch on any disk has. */
export interface VolumeHead extends Head {
  nextEpoch: Epoch;
}
