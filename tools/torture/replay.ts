import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { createLog } from '../../src/base/log.ts';
import { readRecord } from './record.ts';
import { checkState } from './run-seed.ts';
import { StateFolder } from './state-folder.ts';

/** Checks a state that was kept, on a copy in `folder`; whether all is well. */
export async function replay(kept: string, folder: string): Promise<boolean> {
  const { report, model } = readRecord(kept);
  const path = join(folder, 'state');
  execFileSync('cp', ['-a', '--sparse=auto', join(kept, 'state'), path]);
  const log = createLog((line) => process.stderr.write(line), 'debug');
  const { known, plan, point } = report;
  const result = await checkState(new StateFolder(path, log), { model, known, plan, point });
  console.log(JSON.stringify(result, undefined, 2));
  return result.problems.length === 0;
}
