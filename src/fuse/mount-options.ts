import { DfsError } from '../base/errors.ts';
import { posix } from '../base/os/mod.ts';

/** What `-o` can ask of a mount. */
export interface MountFlags {
  readOnly: boolean;
  noSuid: boolean;
  noDev: boolean;
  noExec: boolean;
  /** Reads leave access times alone. */
  noAtime: boolean;
  /** Users other than the mounting one may enter. */
  allowOther: boolean;
  /** Processors may sleep between requests: saves power, and each request waits for one to wake. */
  cpuSleep: boolean;
}

type Setting = Partial<MountFlags>;

/** As mount(8) names them. Every mount has default_permissions, and relatime unless noatime. */
const OPTIONS: ReadonlyMap<string, Setting> = new Map<string, Setting>([
  ['ro', { readOnly: true }],
  ['rw', { readOnly: false }],
  ['nosuid', { noSuid: true }],
  ['nodev', { noDev: true }],
  ['noexec', { noExec: true }],
  ['noatime', { noAtime: true }],
  ['relatime', { noAtime: false }],
  ['allow_other', { allowOther: true }],
  ['cpu_sleep', { cpuSleep: true }],
  ['default_permissions', {}],
]);

/** MS_* of mount(2), and the word of it, of the flags that a mount point has. */
const KERNEL_FLAGS: readonly [keyof MountFlags, number, string][] = [
  ['readOnly', posix.MS_RDONLY, 'ro'],
  ['noSuid', posix.MS_NOSUID, 'nosuid'],
  ['noDev', posix.MS_NODEV, 'nodev'],
  ['noExec', posix.MS_NOEXEC, 'noexec'],
  ['noAtime', posix.MS_NOATIME, 'noatime'],
];

/** Reads lists like "ro,noatime"; the later of two that contradict each other counts. */
export function parseMountOptions(lists: readonly string[]): Setting {
  const flags: Setting = {};
  for (const word of lists.flatMap((list) => list.split(','))) {
    const setting = OPTIONS.get(word);
    if (setting === undefined) {
      const known = [...OPTIONS.keys()].join(', ');
      throw new DfsError('BAD_ARGUMENT', `Cannot mount with "-o ${word}": it can be ${known}`);
    }
    Object.assign(flags, setting);
  }
  return flags;
}

/** MS_* bits for mount(2). */
export function flagBits(flags: Setting): number {
  return KERNEL_FLAGS.reduce((bits, [name, bit]) => (flags[name] === true ? bits | bit : bits), 0);
}

/** The same as words for mount's `-o`. */
export function flagWords(flags: Setting): string[] {
  return KERNEL_FLAGS.filter(([name]) => flags[name] === true).map(([, , word]) => word);
}
