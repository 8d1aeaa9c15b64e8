import { DfsError } from '../base/errors.ts';
import { CHUNK_ID_BYTES } from '../base/ids.ts';
import { readIfPresent } from '../base/publish.ts';
import { unsealText } from '../base/sealed-text.ts';
import { type ScrubState, WORK_FORMAT, WORK_VERSION, type WorkState } from './work-file-format.ts';

/** Reads HOME/work's bytes; `path` is for messages. CORRUPT, NEWER_FORMAT. */
export function decodeWorkState(bytes: Buffer, path: string): WorkState {
  const sealed = unsealText(bytes);
  if ('problem' in sealed) throw damaged(path, sealed.problem);
  const value = parse(sealed.text, path);
  if (value.format !== WORK_FORMAT) throw damaged(path, `its format is ${String(value.format)}`);
  const { version } = value;
  if (typeof version === 'number' && version > WORK_VERSION) {
    const state = `it has version ${version}, this software reads up to ${WORK_VERSION}`;
    throw new DfsError('NEWER_FORMAT', `Cannot read ${path}: ${state}`);
  }
  const { isPaused, bytesPerSecond, scrub } = value;
  const isRight =
    version === WORK_VERSION &&
    typeof isPaused === 'boolean' &&
    (bytesPerSecond === null || isCount(bytesPerSecond)) &&
    isScrubState(scrub);
  if (!isRight) throw damaged(path, 'it has not the fields it should have');
  return { isPaused, bytesPerSecond, scrub };
}

/** Reads HOME/work; undefined when there is none. */
export async function readWorkState(path: string): Promise<WorkState | undefined> {
  const bytes = await readIfPresent(path);
  return bytes && decodeWorkState(bytes, path);
}

function parse(json: Buffer, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json.toString('utf8'));
  } catch {
    throw damaged(path, 'it is not JSON');
  }
  if (isObject(value)) return value;
  throw damaged(path, 'it is not a JSON object');
}

function isScrubState(value: unknown): value is ScrubState {
  if (!isObject(value)) return false;
  const { startedMs, cursor, bad, bytes, isAsked, lastFullMs, lastBad } = value;
  const isCursor =
    cursor === null ||
    (typeof cursor === 'string' &&
      /^[0-9a-f]+$/.test(cursor) &&
      cursor.length === CHUNK_ID_BYTES * 2);
  return (
    [startedMs, bad, bytes].every(isCount) &&
    [lastFullMs, lastBad].every((count) => count === null || isCount(count)) &&
    isCursor &&
    typeof isAsked === 'boolean'
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function damaged(path: string, state: string): DfsError {
  return new DfsError('CORRUPT', `Cannot read ${path}: ${state}`);
}
