import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readMountinfo } from '../../src/base/os/mod.ts';

const NAMED_MAX = 5;

/**
 * What uses something below `folder`: mounts, and processes as "name (process PID)", the first few.
 * It reads /proc only and never touches the folder, whose daemon may hang.
 */
export function usersOf(folder: string): string[] {
  const users = readMountinfo()
    .filter(({ mountPoint }) => mountPoint.startsWith(`${folder}/`))
    .map(({ source, mountPoint }) => `${source} (mounted on ${mountPoint})`)
    .slice(0, NAMED_MAX);
  for (const pid of namesIn('/proc').filter((name) => /^\d+$/.test(name))) {
    if (!usesFolder(`/proc/${pid}`, folder)) continue;
    if (users.length >= NAMED_MAX) return [...users, 'others'];
    users.push(`${commandOf(pid)} (process ${pid})`);
  }
  return users;
}

function usesFolder(process: string, folder: string): boolean {
  const isBelow = (path: string | undefined): boolean =>
    path === folder || path?.startsWith(`${folder}/`) === true;
  if (isBelow(linkAt(`${process}/cwd`)) || isBelow(linkAt(`${process}/root`))) return true;
  if (namesIn(`${process}/fd`).some((fd) => isBelow(linkAt(`${process}/fd/${fd}`)))) return true;
  return textAt(`${process}/maps`).includes(` ${folder}/`);
}

function commandOf(pid: string): string {
  return textAt(`/proc/${pid}/comm`).trim() || 'a process';
}

// Processes come and go while they are looked at, and some belong to others.
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function textAt(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
