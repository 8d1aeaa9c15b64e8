import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../harness/root.ts';

const DFSCTL: string = join(ROOT, 'bin/dfsctl');

/** What a verb said. */
export interface Said {
  readonly status: number | null;
  readonly out: string;
  readonly errors: string;
}

/** Runs dfsctl as a person does; it is killed at the deadline, which counts as a failure. */
export async function dfsctl(args: readonly string[], deadlineMs = 120_000): Promise<Said> {
  const child = spawn(process.execPath, [DFSCTL, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, errors]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => errors.push(bytes));
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  const status = await new Promise<number | null>((done) => child.once('close', done));
  clearTimeout(timer);
  const text = (parts: Buffer[]): string => Buffer.concat(parts).toString('utf8');
  return { status, out: text(out), errors: text(errors) };
}

/** The same, but a verb that fails is an error. */
export async function dfsctlWell(args: readonly string[], deadlineMs?: number): Promise<string> {
  const { status, out, errors } = await dfsctl(args, deadlineMs);
  if (status === 0) return out;
  throw new Error(`dfsctl ${args.join(' ')} ended with ${status}: ${errors.trim()} ${out.trim()}`);
}

/** Whether this version of dfsctl has a verb, as in "diskmap add". */
export async function hasVerb(verb: string): Promise<boolean> {
  const words = verb.split(' ');
  const last = words.pop() as string;
  const { out } = await dfsctl([...words, '--help']);
  return new RegExp(`^  ${last}\\b`, 'm').test(out);
}
