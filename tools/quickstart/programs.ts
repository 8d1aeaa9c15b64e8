import { fileURLToPath } from 'node:url';
import { formatBytes, formatCount } from '../dfsctl/format.ts';
import { createProgress } from '../dfsctl/progress.ts';
import type { Children } from './child.ts';

/** A line that one of the small programs prints. */
export type ProgramLine =
  | { progress: { done: number; total: number } }
  | { result: Record<string, number> };

/** The command line of one of the small programs in this folder. */
export function programCommand(name: string, args: string[]): string[] {
  return [process.execPath, fileURLToPath(new URL(`./${name}.js`, import.meta.url)), ...args];
}

/** Runs one of the small programs in a process of its own, with a progress bar: its result. */
export async function runProgram(
  children: Children,
  call: { name: string; args: string[]; what: string },
): Promise<Record<string, number>> {
  const bar = createProgress(`  ${call.what}`, 'count');
  let result: Record<string, number> = {};
  try {
    await children.run(programCommand(call.name, call.args), {
      onLine: (text) => {
        const line = JSON.parse(text) as ProgramLine;
        if ('progress' in line) bar.update(line.progress);
        else result = line.result;
      },
    });
  } finally {
    bar.stop();
  }
  return result;
}

/** What a small program says to the one that started it. */
export function say(line: ProgramLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** "5,095 files, 281 MiB" */
export function treeWords({ files = 0, bytes = 0 }: Record<string, number>): string {
  return `${formatCount(files, 'file')}, ${formatBytes(bytes)}`;
}
