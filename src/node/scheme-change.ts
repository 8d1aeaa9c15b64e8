import { formatScheme, parseScheme, schemesEqual } from '../chunk/mod.ts';
import type { Volume } from '../commit/mod.ts';
import { chooseScheme } from './scheme-choice.ts';
import { survivesWords } from './survives-words.ts';

/** The scheme of a volume, and what speaks for another. */
export interface SchemeReport {
  scheme: string;
  survives: string;
  mapVersion: number;
  /** What `auto` would be with these disks, and why. */
  auto: { scheme: string; reason: string };
  /** Bytes of content by scheme: those of another are on their way. */
  stored: { scheme: string; bytes: number }[];
}

/** Which scheme a volume has, and what of it is stored under which. */
export function schemeReport({ map, readable }: Volume): SchemeReport {
  const scheme = parseScheme(map.scheme);
  const auto = chooseScheme('auto', weightsOf(map));
  return {
    scheme: formatScheme(scheme),
    survives: survivesWords(scheme),
    mapVersion: map.version,
    auto: { scheme: formatScheme(auto.scheme), reason: auto.reason },
    stored: readable.bytesByScheme(),
  };
}

/**
 * Gives the volume another scheme, for new chunks at once, for those that are there in the
 * background. BAD_ARGUMENT when there are too few disks for it; BUSY, UNAVAILABLE as
 * {@link Volume.changeMap}.
 */
export async function changeScheme(volume: Volume, wanted: string): Promise<SchemeReport> {
  const { map } = volume;
  const { scheme } = chooseScheme(wanted, weightsOf(map));
  if (!schemesEqual(scheme, parseScheme(map.scheme))) {
    await volume.changeMap({ ...map, version: map.version + 1, scheme: formatScheme(scheme) });
  }
  return schemeReport(volume);
}

function weightsOf({ disks }: Volume['map']): number[] {
  return disks.filter(({ state }) => state === 'in').map(({ weight }) => weight);
}
