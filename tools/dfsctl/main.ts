/** dfsctl: makes, mounts, inspects and recovers volumes. docs/cli.md describes every verb. */
import { createProgram } from './program.ts';
import { exitStatusOf, oneLine } from './report.ts';

// `dfsctl status | head -1` closes our output early, which is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

try {
  await createProgram().parseAsync(process.argv);
} catch (error) {
  const status = exitStatusOf(error);
  const line = oneLine(error);
  if (line !== '') process.stderr.write(`dfsctl: ${line}\n`);
  process.exitCode = status;
}
