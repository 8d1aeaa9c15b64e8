import { DfsError } from '../base/errors.ts';
import { formatScheme, parseScheme, pieceCount, type Scheme } from '../chunk/mod.ts';

/** A scheme and why it was chosen. */
export interface SchemeChoice {
  scheme: Scheme;
  reason: string;
}

/** Erasure coding only when any one disk holds less than this share of the buckets. */
const DISK_SHARE_MAX = 0.05;
const ERASURE: Scheme = { kind: 'ec', dataPieces: 4, parityPieces: 2 };

/**
 * The scheme for disks of the given weights (numbers of buckets). `auto`: erasure coding if losing
 * any one disk loses less than 5% of the buckets and there are spare disks to rebuild on, else
 * replicas. Throws BAD_ARGUMENT for a scheme wider than the disks.
 */
export function chooseScheme(wanted: string, weights: number[]): SchemeChoice {
  if (wanted !== 'auto') {
    const scheme = parseScheme(wanted);
    if (pieceCount(scheme) > weights.length) {
      throw new DfsError(
        'BAD_ARGUMENT',
        `Cannot use scheme ${formatScheme(scheme)}: it needs ${pieceCount(scheme)} disks, ${weights.length} were given; add disks or choose a narrower scheme`,
      );
    }
    return { scheme, reason: 'as asked for' };
  }
  if (weights.length === 1) {
    return { scheme: { kind: 'replica', copies: 1 }, reason: 'because there is only one disk' };
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const share = Math.max(...weights) / total;
  const disk = weights.indexOf(Math.max(...weights)) + 1;
  if (share < DISK_SHARE_MAX && weights.length > pieceCount(ERASURE)) {
    return { scheme: ERASURE, reason: 'because no disk holds 5% of the buckets' };
  }
  const percent = Math.round(share * 100);
  return {
    scheme: { kind: 'replica', copies: 2 },
    reason: `because losing disk ${disk} would lose ${percent}% of the buckets`,
  };
}
