import { readFileSync } from 'node:fs';
import type { RequestContext } from './vfs-interface.ts';

/**
 * Whether the caller is in group `gid`: by its own group, which the request names, or by one of its
 * supplementary groups, which only the kernel's table of processes knows. A caller outside of our
 * pid namespace (0), or one that is gone, counts as in none.
 */
export function isInGroup(context: RequestContext, gid: number): boolean {
  if (context.gid === gid) return true;
  if (context.pid === 0) return false;
  try {
    return groupsOf(readFileSync(`/proc/${context.pid}/status`, 'latin1')).includes(gid);
  } catch {
    return false;
  }
}

/** The supplementary groups in the text of /proc/PID/status. */
export function groupsOf(status: string): number[] {
  const listed = /^Groups:(.*)$/m.exec(status)?.[1] ?? '';
  return listed
    .split(/\s+/)
    .filter((word) => word !== '')
    .map(Number);
}
