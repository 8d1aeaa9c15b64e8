import { tidy } from './tidy.ts';
import { treeOfRepository } from './tree.ts';

const problems = tidy(treeOfRepository(process.cwd()));
for (const { path, line, message, warning } of problems) {
  process.stdout.write(`${path}:${line}: ${warning === true ? 'warning: ' : ''}${message}\n`);
}
const failures = problems.filter((problem) => problem.warning !== true).length;
const warnings = problems.length - failures;
process.stdout.write(`tidy: ${failures} problems, ${warnings} warnings\n`);
process.exitCode = failures === 0 ? 0 : 1;
