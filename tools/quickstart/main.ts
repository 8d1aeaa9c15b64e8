/** The main job of DFS on real input; ./quickstart installs and builds, and starts this. */
import { resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import { messageOf } from '../../src/base/errors.ts';
import { parseScheme } from '../../src/chunk/mod.ts';
import { Demo } from './demo.ts';
import { Steps } from './steps.ts';

const EXIT_USAGE = 2;

const command = new Command('quickstart')
  .description('Makes, fills, breaks and recovers a volume in ./demo, and compares everything.')
  .option('--scheme <scheme>', 'auto, replica:N or ec:K+M, over three disks', 'auto')
  .option('--clean', 'only unmount and remove ./demo')
  .exitOverride()
  .configureOutput({ outputError: () => undefined });

async function main(): Promise<void> {
  command.parse();
  const { scheme, clean = false } = command.opts<{ scheme: string; clean?: boolean }>();
  if (scheme !== 'auto') parseScheme(scheme);
  const steps = new Steps();
  const demo = new Demo({ folder: resolve('demo'), scheme, steps });
  if (clean) {
    await demo.clean();
    process.stdout.write('Removed ./demo\n');
    return;
  }
  // A second Ctrl-C ends at once, and the next run cleans up.
  process.once('SIGINT', () => demo.abort());
  process.once('SIGTERM', () => demo.abort());
  try {
    await demo.run();
  } finally {
    await demo.unmountAnyhow();
    process.stdout.write(`${steps.table().join('\n')}\n`);
  }
}

try {
  await main();
} catch (error) {
  const isUsage = error instanceof CommanderError;
  if (!isUsage || error.exitCode !== 0) {
    process.stderr.write(`quickstart: ${messageOf(error)}\n`);
    process.exitCode = isUsage ? EXIT_USAGE : 1;
  }
}
