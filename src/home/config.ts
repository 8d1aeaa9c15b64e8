import { join } from 'node:path';
import { DfsError } from '../base/errors.ts';
import { publishFile, readIfPresent } from '../base/publish.ts';
import { sealText, unsealText } from '../base/sealed-text.ts';
import {
  checkSetting,
  DEADLINE_MS,
  DEFAULT_SETTINGS,
  SETTING_NAMES,
  type Settings,
  settingsOf,
} from '../base/settings.ts';
import { parseScheme } from '../chunk/mod.ts';

// HOME/config is text: a JSON object of some lines, then one line `blake3 <64 hex digits>` over
// every byte before it. A person can read it; a change by hand, a cut or a flipped bit is noticed.
// The checksum line is the same in every version.

const FORMAT = 'dfs-config';
/** Version 1 had no deadline, version 2 no settings. */
const VERSION = 3;
/** What the fields that a version brought are for older ones. */
const ADDED: readonly { version: number; fields: Partial<Config> }[] = [
  { version: 2, fields: { commitDeadlineMs: DEADLINE_MS } },
  { version: 3, fields: DEFAULT_SETTINGS },
];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DISK_ID_MAX = 0xffff;

/** A disk of the volume as this machine reaches it. */
export interface ConfigDisk {
  /** Its id in the diskmap, from 1 to 65535. */
  id: number;
  /** Absolute path of its folder. */
  path: string;
}

/** What a node has to know before it can read anything else. */
export interface Config extends Settings {
  volumeUuid: string;
  /** `replica:N` or `ec:K+M`. */
  scheme: string;
  bucketBytes: number;
  cacheBytes: number;
  /** Longest time between two commits while something is dirty. */
  commitIntervalMs: number;
  /** How long a change may wait until it is committed, while all is well. */
  commitDeadlineMs: number;
  /** What fsync waits for unless the mount says otherwise. */
  mode: 'weak' | 'strong';
  createdMs: number;
  disks: ConfigDisk[];
}

/** The text of HOME/config. */
export function encodeConfig(config: Config): string {
  checkConfig(config);
  const { volumeUuid, scheme, bucketBytes, cacheBytes } = config;
  const { commitIntervalMs, commitDeadlineMs, mode, createdMs } = config;
  const disks = config.disks.map(({ id, path }) => ({ id, path }));
  const sizes = { volumeUuid, scheme, bucketBytes, cacheBytes };
  const facts = { ...sizes, commitIntervalMs, commitDeadlineMs, mode, createdMs };
  const all = { ...facts, ...settingsOf(config), disks };
  const json = JSON.stringify({ format: FORMAT, version: VERSION, ...all }, null, 2);
  return sealText(`${json}\n`);
}

/**
 * Reads HOME/config's bytes, all of them verified; `path` is for messages. CORRUPT, NEWER_FORMAT.
 */
export function decodeConfig(bytes: Buffer, path: string): Config {
  const sealed = unsealText(bytes);
  if ('problem' in sealed) throw damaged(path, sealed.problem);
  const value = parseObject(sealed.text.toString('utf8'), path);
  if (value.format !== FORMAT) throw damaged(path, `its format is ${String(value.format)}`);
  if (typeof value.version === 'number' && value.version > VERSION) {
    const state = `it has version ${value.version}, this software reads up to ${VERSION}`;
    throw new DfsError('NEWER_FORMAT', `Cannot read ${path}: ${state}`);
  }
  const { format: _format, version, ...fields } = value;
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
    throw damaged(path, 'its version does not exist');
  }
  const missing = ADDED.filter((added) => added.version > version).map((added) => added.fields);
  const added = Object.assign({}, ...missing) as Partial<Config>;
  const tooNew = Object.keys(added).find((name) => name in fields);
  if (tooNew !== undefined) throw damaged(path, `version ${version} has no field ${tooNew}`);
  const config = { ...fields, ...added };
  try {
    checkConfig(config);
  } catch (error) {
    if (!(error instanceof DfsError) || error.code === 'INVARIANT') throw error;
    throw damaged(path, error.message);
  }
  return config;
}

/** Publishes HOME/config, readable by its owner only. */
export async function writeConfig(home: string, config: Config): Promise<void> {
  await publishFile(join(home, 'config'), encodeConfig(config), { mode: 0o600 });
}

/** Reads HOME/config; undefined when HOME has none. */
export async function readConfig(home: string): Promise<Config | undefined> {
  const path = join(home, 'config');
  const bytes = await readIfPresent(path);
  return bytes && decodeConfig(bytes, path);
}

function damaged(path: string, state: string): DfsError {
  const hint =
    'it was damaged or changed by hand; restore it, or build a new HOME from the disks with ' +
    '`dfsctl recover`';
  return new DfsError('CORRUPT', `Cannot read ${path}: ${state}: ${hint}`);
}

function parseObject(json: string, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw damaged(path, 'it is not JSON');
  }
  if (isObject(value)) return value;
  throw damaged(path, 'it is not a JSON object');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const FIELDS: ReadonlySet<string> = new Set([
  'volumeUuid',
  'scheme',
  'bucketBytes',
  'cacheBytes',
  'commitIntervalMs',
  'commitDeadlineMs',
  'mode',
  'createdMs',
  'disks',
  ...SETTING_NAMES,
] satisfies (keyof Config)[]);

const INTEGERS = ['bucketBytes', 'cacheBytes', 'commitIntervalMs', 'commitDeadlineMs', 'createdMs'];

/** Throws BAD_ARGUMENT unless the value is a config, with no field more or less. */
function checkConfig(value: object): asserts value is Config {
  const config: Record<string, unknown> = { ...value };
  const refuse = (name: string): DfsError =>
    new DfsError('BAD_ARGUMENT', `Cannot use a config: ${name} is ${JSON.stringify(config[name])}`);
  const unknown = Object.keys(config).find((name) => !FIELDS.has(name));
  if (unknown !== undefined) throw refuse(unknown);
  const { volumeUuid, scheme, mode } = config;
  if (typeof volumeUuid !== 'string' || !UUID.test(volumeUuid)) throw refuse('volumeUuid');
  if (typeof scheme !== 'string') throw refuse('scheme');
  parseScheme(scheme);
  if (mode !== 'weak' && mode !== 'strong') throw refuse('mode');
  for (const name of INTEGERS) if (!isPositiveInteger(config[name])) throw refuse(name);
  for (const name of SETTING_NAMES) checkSetting(name, config[name]);
  checkDisks(config.disks);
}

function checkDisks(disks: unknown): void {
  const refuse = (state: string): DfsError =>
    new DfsError('BAD_ARGUMENT', `Cannot use a config: ${state}`);
  if (!Array.isArray(disks) || disks.length === 0) throw refuse('it has no disks');
  const ids = new Set<unknown>();
  for (const disk of disks as unknown[]) {
    const isDisk =
      isObject(disk) &&
      Object.keys(disk).length === 2 &&
      isPositiveInteger(disk.id) &&
      disk.id <= DISK_ID_MAX &&
      typeof disk.path === 'string' &&
      disk.path.startsWith('/');
    if (!isDisk) throw refuse(`a disk is ${JSON.stringify(disk)}`);
    if (ids.has(disk.id)) throw refuse(`two disks have the id ${String(disk.id)}`);
    ids.add(disk.id);
  }
}

function isPositiveInteger(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
