import type { LiveVolume } from '../node/mod.ts';

/** What a commit answers: where everything done before it is now. */
export interface CommitReceipt {
  /** The epoch that has it, or an earlier one when there was nothing to commit. */
  epoch: number;
  scheme: string;
  /** What that survives, in words. */
  survives: string;
}

/** Commits everything up to now. */
export async function commitVolume(volume: LiveVolume): Promise<CommitReceipt> {
  const epoch = await volume.commit();
  const { scheme, survives } = volume.report;
  return { epoch, scheme, survives };
}
