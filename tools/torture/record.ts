import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Model } from './model.ts';
import type { Done } from './operations.ts';
import type { PointReport } from './run-seed.ts';

/** What is needed to check a kept state again, without its load. */
interface Kept {
  report: PointReport;
  done: Done[];
}

/** Writes down beside a kept state what was done before it, and what was known. */
export function writeRecord(
  folder: string,
  { report, model }: { report: PointReport; model: Model },
): void {
  mkdirSync(folder, { recursive: true });
  const kept: Kept = { report, done: model.done };
  writeFileSync(join(folder, 'record.json'), JSON.stringify(kept));
}

/** Reads what {@link writeRecord} wrote. */
export function readRecord(folder: string): { report: PointReport; model: Model } {
  const { report, done } = JSON.parse(readFileSync(join(folder, 'record.json'), 'utf8')) as Kept;
  const model = new Model();
  for (const one of done) model.add(one);
  return { report, model };
}
