import type { Command } from 'commander';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { checkSetting, SETTING_NAMES, type Settings } from '../../src/base/settings.ts';
import { withDaemon } from './client.ts';
import { examples } from './examples.ts';
import { formatDuration, formatFacts } from './format.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { UsageError } from './report.ts';
import { findTarget } from './target.ts';

const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['ms', 1],
  ['s', 1000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);
const NUMBER = /^(\d{1,15}(?:\.\d{1,6})?)([a-z]*)$/;

/** dfsctl config: what can be changed of a volume, mounted or not. */
export function registerConfig(program: Command): void {
  program
    .command('config')
    .description('Show the settings of a volume, and change them, mounted or not.')
    .argument('<volume>', 'HOME or mountpoint')
    .argument('[settings...]', 'NAME=VALUE; times are ms, or have a unit: s, min, h, d')
    .option('--json', 'print the facts as JSON')
    .addHelpText(
      'after',
      examples(
        'dfsctl config /var/lib/dfs',
        'dfsctl config /srv/files rebuildAfterMs=30min workShare=0.3',
      ),
    )
    .action(config);
}

async function config(volume: string, words: string[], options: OutputOptions): Promise<void> {
  const changes = parseSettings(words);
  const { home, mountPoint } = findTarget(volume);
  const settings =
    mountPoint === undefined
      ? await settingsOfHome(home, changes)
      : await liveSettings(home, changes);
  printFacts(options, settings, (style) =>
    formatFacts(
      SETTING_NAMES.map((name) => [name, shown(name, settings[name])]),
      style,
    ),
  );
}

async function settingsOfHome(home: string, changes: Partial<Settings>): Promise<Settings> {
  const { offlineSettings } = await import('../../src/node/mod.ts');
  return offlineSettings(home, changes);
}

async function liveSettings(home: string, changes: Partial<Settings>): Promise<Settings> {
  const names = Object.entries(changes).map(([name, value]): [string, string] => [
    name,
    String(value),
  ]);
  if (names.length === 0) return withDaemon(home, (client) => client.get<Settings>('/config'));
  const query = new URLSearchParams(names).toString();
  return withDaemon(home, (client) => client.post<Settings>(`/config?${query}`));
}

function shown(name: keyof Settings, value: number): string {
  return name.endsWith('Ms') ? `${value} (${formatDuration(value)})` : String(value);
}

/** Words like NAME=VALUE as settings; UsageError for what is none. */
export function parseSettings(words: string[]): Partial<Settings> {
  const settings: Partial<Settings> = {};
  for (const word of words) {
    const at = word.indexOf('=');
    const name = SETTING_NAMES.find((one) => one === word.slice(0, Math.max(0, at)));
    if (name === undefined) {
      const list = SETTING_NAMES.join(', ');
      throw new UsageError(
        `Cannot use "${word}" as a setting: give NAME=VALUE with one of ${list}`,
      );
    }
    settings[name] = parseValue(name, word.slice(at + 1));
  }
  return settings;
}

function parseValue(name: keyof Settings, text: string): number {
  const [, digits, unit = ''] = NUMBER.exec(text) ?? [];
  const factor = name.endsWith('Ms') || unit === '' ? UNITS_MS.get(unit) : undefined;
  const value = factor === undefined || digits === undefined ? undefined : Number(digits) * factor;
  try {
    checkSetting(name, value ?? text);
    return value as number;
  } catch (error) {
    if (error instanceof DfsError && error.code === 'BAD_ARGUMENT') {
      throw new UsageError(messageOf(error));
    }
    throw error;
  }
}
