import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../src/base/log.ts';
import { requireConfig } from '../../src/home/mod.ts';
import { LiveVolume, LocalStore, type RecoverReport, recoverVolume } from '../../src/node/mod.ts';

const CACHE_BYTES: number = 2 ** 30;

/** A volume in one folder: HOME is `home`, the disks are `disk1` and so on. */
export class StateFolder {
  readonly path: string;
  readonly #log: Log;

  constructor(path: string, log: Log) {
    this.path = path;
    this.#log = log;
  }

  get home(): string {
    return join(this.path, 'home');
  }

  get disks(): string[] {
    return readdirSync(this.path)
      .filter((name) => /^disk\d+$/.test(name))
      .sort()
      .map((name) => join(this.path, name));
  }

  /** As if another boot of the machine had been the last one to use HOME. */
  forgetBoot(): void {
    const path = join(this.home, 'boot-id');
    if (existsSync(path)) writeFileSync(path, 'another boot\n');
  }

  /** Opens the volume in this process, without a mount; what a daemon would do. */
  async open(mode: 'weak' | 'strong', home: string = this.home): Promise<LiveVolume> {
    const config = await requireConfig(home);
    const disks = config.disks.map((disk) => ({
      ...disk,
      path: join(this.path, `disk${disk.id}`),
    }));
    let failure: unknown;
    const volume = await LiveVolume.open({
      home,
      config: { ...config, disks },
      mode,
      readOnly: false,
      updatesAtime: () => true,
      log: this.#log,
      onDeath: (error) => {
        failure = error;
      },
      storeOf: (options) => new LocalStore(options),
    });
    if (failure !== undefined) throw failure as Error;
    volume.fileSystem.mounted();
    return volume;
  }

  /** Builds a new HOME in the folder `name` from `disks`: its path and what was found. */
  async recover(name: string, disks: string[]): Promise<{ home: string; report: RecoverReport }> {
    const home = join(this.path, name);
    rmSync(home, { recursive: true, force: true });
    const report = await recoverVolume({
      home,
      disks,
      cacheBytes: CACHE_BYTES,
      log: this.#log,
      onProgress: () => undefined,
    });
    return { home, report };
  }
}
