import { type Scheme, survives } from '../chunk/mod.ts';

/** "survives any 1 disk", or that it survives none. */
export function survivesWords(scheme: Scheme): string {
  const count = survives(scheme);
  if (count === 0) return 'survives the loss of no disk';
  return count === 1 ? 'survives any 1 disk' : `survives any ${count} disks`;
}
