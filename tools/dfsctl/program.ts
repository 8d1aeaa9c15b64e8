import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { registerCache } from './cache.ts';
import { registerCommit } from './commit.ts';
import { registerConfig } from './config.ts';
import { registerDiskmap } from './diskmap.ts';
import { registerDrill } from './drill.ts';
import { registerEpochs } from './epochs.ts';
import { registerFsck } from './fsck.ts';
import { registerInit } from './init.ts';
import { registerMode } from './mode.ts';
import { registerMount } from './mount.ts';
import { registerRecover } from './recover.ts';
import { registerScheme } from './scheme.ts';
import { registerScrub } from './scrub.ts';
import { registerStats } from './stats.ts';
import { registerStatus } from './status.ts';
import { registerUmount } from './umount.ts';
import { registerWork } from './work.ts';

/** The command line with all its verbs; it throws instead of ending the process. */
export function createProgram(): Command {
  const program = new Command('dfsctl')
    .description('Makes, mounts, inspects and recovers DFS volumes.')
    .version(packageVersion())
    .configureHelp({ sortSubcommands: false })
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .addHelpText('after', '\nExit status: 0 done, 1 failed, 2 the command line cannot be used.');
  const registrations = [
    registerInit,
    registerMount,
    registerUmount,
    registerStatus,
    registerStats,
    registerCommit,
    registerMode,
    registerDiskmap,
    registerScheme,
    registerWork,
    registerScrub,
    registerCache,
    registerConfig,
    registerEpochs,
    registerRecover,
    registerDrill,
    registerFsck,
  ];
  for (const register of registrations) register(program);
  return program;
}

/** The version in package.json, which lies a different way up from the source and from dist. */
function packageVersion(): string {
  for (const way of ['../../package.json', '../../../package.json']) {
    try {
      const text = readFileSync(new URL(way, import.meta.url), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    } catch {
      // Then it is the other one.
    }
  }
  return 'unknown';
}
