/** Sweeps FOLDER when its input ends: when the tool that started it does, however that came. */
import { DfsError } from '../../src/base/errors.ts';
import { sweep } from './sweep.ts';

const [folder = ''] = process.argv.slice(2);
if (!folder.includes('dfs-programs-')) {
  throw new DfsError('BAD_ARGUMENT', `Cannot sweep "${folder}": no run of programs made it`);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.stdin.on('end', () => sweep(folder)).resume();
