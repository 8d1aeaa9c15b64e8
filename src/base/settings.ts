import { DfsError } from './errors.ts';

/** What may be changed while the volume is mounted; kept in HOME/config. */
export interface Settings {
  /** A disk that is down for so long is failed: its pieces are built anew on others. */
  rebuildAfterMs: number;
  /** How far back epochs are retained, so that they can be mounted. */
  retentionMs: number;
  /** How long a chunk that nothing refers to any more is kept. */
  garbageGraceMs: number;
  /** In so many days every piece is read and verified once. */
  scrubDays: number;
  /** The share of the disks' time for background work while the foreground is busy. */
  workShare: number;
}

/** How long a change may wait for its commit, unless somebody says so. */
export const DEADLINE_MS = 30_000;

const SECOND_MS = 1000;
const MINUTE_MS: number = 60 * SECOND_MS;
const HOUR_MS: number = 60 * MINUTE_MS;
const DAY_MS: number = 24 * HOUR_MS;
const TEN_YEARS_MS: number = 3650 * DAY_MS;

/** What a new volume has, and one that was made before there were settings. */
export const DEFAULT_SETTINGS: Readonly<Settings> = {
  rebuildAfterMs: 15 * MINUTE_MS,
  retentionMs: DAY_MS,
  garbageGraceMs: 10 * MINUTE_MS,
  scrubDays: 30,
  workShare: 0.5,
};

const RANGES: Readonly<Record<keyof Settings, { min: number; max: number; isWhole: boolean }>> = {
  rebuildAfterMs: { min: 1, max: TEN_YEARS_MS, isWhole: true },
  retentionMs: { min: 0, max: TEN_YEARS_MS, isWhole: true },
  garbageGraceMs: { min: 0, max: TEN_YEARS_MS, isWhole: true },
  scrubDays: { min: 0.001, max: 3650, isWhole: false },
  workShare: { min: 0.01, max: 1, isWhole: false },
};

/** The names of all settings, in the order they are shown. */
export const SETTING_NAMES: readonly (keyof Settings)[] = Object.keys(
  DEFAULT_SETTINGS,
) as (keyof Settings)[];

/** Throws BAD_ARGUMENT unless the value can be that of the setting. */
export function checkSetting(name: keyof Settings, value: unknown): asserts value is number {
  const { min, max, isWhole } = RANGES[name];
  const isIn = typeof value === 'number' && value >= min && value <= max;
  if (isIn && (!isWhole || Number.isInteger(value))) return;
  const wanted = isWhole ? 'a whole number' : 'a number';
  throw new DfsError(
    'BAD_ARGUMENT',
    `Cannot set ${name} to ${JSON.stringify(value)}: give ${wanted} from ${min} to ${max}`,
  );
}

/** The settings among other fields. */
export function settingsOf(fields: Settings): Settings {
  const { rebuildAfterMs, retentionMs, garbageGraceMs, scrubDays, workShare } = fields;
  return { rebuildAfterMs, retentionMs, garbageGraceMs, scrubDays, workShare };
}
