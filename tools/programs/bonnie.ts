import { DfsError } from '../../src/base/errors.ts';
import type { Program } from './program.ts';

/** bonnie++: streams, seeks, and files that are made, looked at and deleted in their thousands. */
export const BONNIE: Program = {
  name: 'bonnie++',
  packages: { 'bonnie++': 'bonnie++' },
  async run(ground) {
    const { folder, quick } = ground;
    const [sizeMib, files] = quick ? [128, '1:4096:0:4'] : [512, '8:16384:0:16'];
    const flags = ['-d', folder, '-s', `${sizeMib}:8k`, '-r', String(sizeMib / 2)];
    const { output, errors } = await ground.run('bonnie++', [
      ...flags,
      '-n',
      files,
      '-u',
      'root',
      '-f',
      '-q',
      '-m',
      'x',
    ]);
    const fields = output.trim().split('\n').at(-1)?.split(',') ?? [];
    // A stage that failed ends the program early: its line has fewer fields.
    if (fields.length < 40 || /error|can't|failed/i.test(errors)) {
      throw new DfsError('IO', `bonnie++ did not end well: ${errors.slice(-500)} ${output}`);
    }
    return `${sizeMib} MiB written, rewritten, read, sought; files ${files} made, found, deleted`;
  },
};
