import type { Volume } from '../commit/mod.ts';
import {
  type ChunkLoss,
  type LossReport,
  lossReport,
  type SurveyProgress,
  surveyChunks,
} from './survey.ts';
import type { Uncommitted } from './uncommitted.ts';

/** What a disk is worth at this moment. */
export interface DiskAtRisk {
  id: number;
  path: string | undefined;
  /** Why it cannot be asked now: whatever it has counts as lost already; else undefined. */
  problem: string | undefined;
  /** It alone has the metadata of the newest epoch: without it all is lost. */
  hasOnlyMetadata: boolean;
  /** What could not be read any more if it died now. */
  loss: LossReport;
}

/** What would be lost if something died now, as far as the disks are concerned. */
export interface DiskDrill {
  volumeUuid: string;
  epoch: number;
  cutTimeMs: number;
  chunks: number;
  degradedChunks: number;
  /** What cannot be read even now. */
  lost: LossReport;
  disks: DiskAtRisk[];
  problems: string[];
  /** How long the look at all pieces took, pauses for others left out. */
  piecesMs: number;
}

/** The same with what would be lost with HOME. */
export interface VolumeDrill extends DiskDrill {
  home: Uncommitted;
}

/** Of the time, this much at most is spent on a drill of a volume in use. */
const SHARE = 0.4;
const PAUSE_MS_MAX = 200;

/**
 * What the loss of each disk would take from the committed state, by the indexes of the disks. With
 * `isGentle` it leaves time for others between the pages it looks at.
 */
export async function drillDisks(
  volume: Volume,
  options: { isGentle: boolean; onProgress: (progress: SurveyProgress) => void },
): Promise<DiskDrill> {
  const pace = new Pace(options.isGentle);
  const survey = await surveyChunks(volume, {
    onProgress: options.onProgress,
    pace: () => pace.rest(),
  });
  const { committed, head, map } = volume;
  const report = (loss: ChunkLoss): LossReport => lossReport(committed, loss);
  const withMetadata = volume.disks.filter(
    ({ entry, log }) =>
      log?.head()?.epoch === head.epoch && volume.hardware.logFailure(entry.id) === undefined,
  );
  return {
    volumeUuid: map.volumeUuid,
    epoch: head.epoch,
    cutTimeMs: head.cutTimeMs,
    chunks: survey.chunks,
    degradedChunks: survey.degraded,
    lost: report(survey.lost),
    disks: volume.disks.map((disk) => ({
      id: disk.entry.id,
      path: disk.path,
      problem: disk.problem ?? volume.hardware.logFailure(disk.entry.id),
      hasOnlyMetadata: withMetadata.length === 1 && withMetadata[0] === disk,
      loss: report(survey.without.get(disk.entry.id) ?? { chunks: 0, bytes: 0, ids: [] }),
    })),
    problems: survey.problems,
    piecesMs: Math.round(pace.workMs),
  };
}

/** Rests in proportion to the work since the last rest. */
class Pace {
  workMs = 0;
  readonly #isGentle: boolean;
  #since = performance.now();

  constructor(isGentle: boolean) {
    this.#isGentle = isGentle;
  }

  async rest(): Promise<void> {
    const workedMs = performance.now() - this.#since;
    this.workMs += workedMs;
    if (this.#isGentle) {
      const pauseMs = Math.min(PAUSE_MS_MAX, workedMs * (1 / SHARE - 1));
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    this.#since = performance.now();
  }
}
