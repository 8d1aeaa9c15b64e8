import type { Ended, Processes, RunOptions } from './processes.ts';

/** Where a program works, and what can be done to the file system below it. */
export interface Ground {
  /** New and empty, on the volume (or, with --native, on the file system under it). */
  readonly folder: string;
  /** New and empty, on the native file system. */
  readonly scratch: string;
  /** The clone this tool was built from. */
  readonly repository: string;
  /** Small works: some seconds a program. */
  readonly quick: boolean;
  readonly isNative: boolean;
  readonly processes: Processes;
  run(command: string, args: readonly string[], options?: RunOptions): Promise<Ended>;
  /** Runs a script of this folder, NAME.sh by bash or NAME.py by python3: what it printed. */
  script(name: string, args: readonly string[], options?: RunOptions): Promise<string>;
  /** Commits, unmounts, mounts; `cold`: what was cached is deleted in between. Native: nothing. */
  remount(options?: { cold?: boolean }): Promise<void>;
  /** kill -9 of the daemon; resolves when the next one has started. Native: nothing. */
  killDaemon(): Promise<void>;
}

/** One program, or family of programs, and how it is used on a volume. */
export interface Program {
  readonly name: string;
  /** Debian packages by the command that shows that they are there. */
  readonly packages: Readonly<Record<string, string>>;
  /** Throws what failed; resolves to what was checked, in a line. */
  run(ground: Ground): Promise<string>;
}
