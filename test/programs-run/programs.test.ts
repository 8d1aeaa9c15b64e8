import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { canMount } from '../harness/volume.ts';

const TOOL = resolve(import.meta.dirname, '../../dist/tools/programs/main.js');
/** Those of whose packages .ci/run installs; `npm run programs` has the others as well. */
const PROGRAMS = ['git', 'sqlite3', 'rsync', 'tar'];

/** It takes 20 seconds on a machine that has nothing else to do. */
const RUN_MS = 300_000;

/** Runs the tool in a process of its own, which sweeps up after itself: status and words. */
async function runTool(...args: string[]): Promise<{ status: number | null; said: string }> {
  const child = spawn(process.execPath, [TOOL, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  process.once('exit', () => child.kill());
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  }
  const status = await new Promise<number | null>((done) => child.once('close', done));
  return { status, said };
}

test.skipIf(!canMount)(
  'everyday programs do on a volume what they do natively',
  { timeout: RUN_MS },
  async () => {
    const { status, said } = await runTool('--quick', '--only', PROGRAMS.join(','));
    for (const name of PROGRAMS) expect(said).toMatch(new RegExp(`^${name} +ok `, 'm'));
    expect(status, said).toBe(0);
  },
);
