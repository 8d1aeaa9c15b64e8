import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { DfsError } from '../../src/base/errors.ts';
import type { Processes } from './processes.ts';
import type { Program } from './program.ts';

const INSTALL_MS: number = 10 * 60_000;

/** A command of the path, or a whole path, which may have a version as one of its names: `*`. */
function isInstalled(command: string): boolean {
  const [folder = '', rest] = command.split('/*/');
  if (rest !== undefined) {
    return (
      existsSync(folder) && readdirSync(folder).some((name) => existsSync(join(folder, name, rest)))
    );
  }
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return command.startsWith('/')
    ? existsSync(command)
    : folders.some((folder) => existsSync(join(folder, command)));
}

/** Installs the Debian packages that `programs` need and that are not there: their names. */
export async function installMissing(
  programs: readonly Program[],
  processes: Processes,
): Promise<string[]> {
  const missing = new Set<string>();
  for (const { packages } of programs) {
    for (const [command, name] of Object.entries(packages)) {
      if (!isInstalled(command)) missing.add(name);
    }
  }
  if (missing.size === 0) return [];
  const names = [...missing];
  if (!isInstalled('apt-get')) {
    const state = `there is no apt-get; install ${names.join(', ')}`;
    throw new DfsError('NOT_FOUND', `Cannot install what is missing: ${state}`);
  }
  const options = { deadlineMs: INSTALL_MS, env: { DEBIAN_FRONTEND: 'noninteractive' } };
  await processes.run('apt-get', ['update', '-qq'], options);
  const args = ['install', '-qq', '-y', '--no-install-recommends', ...names];
  await processes.run('apt-get', args, options);
  return names;
}
