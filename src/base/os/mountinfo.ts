import { readFileSync } from 'node:fs';

import { DfsError } from '../errors.ts';

/** One mount as the kernel lists it; strings are unescaped. */
export interface MountEntry {
  mountPoint: string;
  fsType: string;
  source: string;
  /** "major:minor" of the device, which names a bdi and a FUSE connection as well. */
  device: string;
  /** Options of the mount and of its file system. */
  options: string[];
}

/**
 * Parses the text of /proc/PID/mountinfo (its layout: proc(5)); a later mount on the same folder
 * comes later.
 */
export function parseMountinfo(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    if (line !== '') entries.push(parseLine(line));
  }
  return entries;
}

/** The mounts this process sees. */
export function readMountinfo(): MountEntry[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/**
 * The mount whose root is exactly the absolute path `mountPoint`: the topmost of several, or
 * undefined.
 */
export function findMount(mountPoint: string): MountEntry | undefined {
  return readMountinfo().findLast((entry) => entry.mountPoint === mountPoint);
}

/**
 * Fields: id, parent, major:minor, root, mount point, options, any tags, "-", type, source, super
 * options.
 */
function parseLine(line: string): MountEntry {
  const fields = line.split(' ');
  const dash = fields.indexOf('-', 6);
  const [, , device, , mountPoint, mountOptions] = fields;
  const [fsType, source, superOptions] = dash < 0 ? [] : fields.slice(dash + 1);
  if (device === undefined || mountPoint === undefined || mountOptions === undefined)
    throw malformed(line);
  if (fsType === undefined || source === undefined || superOptions === undefined)
    throw malformed(line);
  return {
    mountPoint: unescapeOctal(mountPoint),
    fsType: unescapeOctal(fsType),
    source: unescapeOctal(source),
    device,
    options: [...new Set([...mountOptions.split(','), ...superOptions.split(',')])],
  };
}

/** The kernel writes space, tab, newline and backslash as a backslash and three octal digits. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

function malformed(line: string): DfsError {
  return new DfsError(
    'IO',
    `Cannot read the list of mounts: the line "${line}" has too few fields`,
  );
}
