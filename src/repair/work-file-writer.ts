import { publishFile } from '../base/publish.ts';
import { sealText } from '../base/sealed-text.ts';
import { WORK_FORMAT, WORK_VERSION, type WorkState } from './work-file-format.ts';

/** The text of HOME/work. */
export function encodeWorkState({ isPaused, bytesPerSecond, scrub }: WorkState): string {
  const { startedMs, cursor, bad, bytes, isAsked, lastFullMs, lastBad } = scrub;
  const round = { startedMs, cursor, bad, bytes, isAsked, lastFullMs, lastBad };
  const facts = { format: WORK_FORMAT, version: WORK_VERSION, isPaused, bytesPerSecond };
  const json = `${JSON.stringify({ ...facts, scrub: round }, null, 2)}\n`;
  return sealText(json);
}

/** Publishes HOME/work, readable by its owner only. */
export async function writeWorkState(path: string, state: WorkState): Promise<void> {
  await publishFile(path, encodeWorkState(state), { mode: 0o600 });
}
