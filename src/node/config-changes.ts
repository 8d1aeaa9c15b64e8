import { closeSync } from 'node:fs';
import { checkSetting, SETTING_NAMES, type Settings, settingsOf } from '../base/settings.ts';
import { type Config, lockHome, requireConfig, writeConfig } from '../home/mod.ts';

/** Changes of HOME/config by the one process that has HOME: one after another. */
export class ConfigChanges {
  readonly #home: string;
  #last: Promise<unknown> = Promise.resolve();

  constructor(home: string) {
    this.#home = home;
  }

  /** Publishes what `change` makes of the config that is there: the new one. */
  change(change: (config: Config) => Config): Promise<Config> {
    const next = this.#last.then(async () => {
      const config = change(await requireConfig(this.#home));
      await writeConfig(this.#home, config);
      return config;
    });
    this.#last = next.catch(() => undefined);
    return next;
  }
}

/** The changes among `values`, checked; BAD_ARGUMENT. Names that are no settings do not count. */
export function checkedSettings(
  values: Partial<Record<keyof Settings, unknown>>,
): Partial<Settings> {
  const changes: Partial<Settings> = {};
  for (const name of SETTING_NAMES) {
    const value = values[name];
    if (value === undefined) continue;
    checkSetting(name, value);
    changes[name] = value;
  }
  return changes;
}

/** Changes the settings of a volume that nobody has mounted, if any are given: all of them. */
export async function offlineSettings(home: string, changes: Partial<Settings>): Promise<Settings> {
  const config = await requireConfig(home);
  if (Object.keys(changes).length === 0) return settingsOf(config);
  const lock = lockHome(home);
  try {
    return settingsOf(
      await new ConfigChanges(home).change((known) => ({ ...known, ...checkedSettings(changes) })),
    );
  } finally {
    closeSync(lock);
  }
}
