import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OpenVolumeOptions, openVolume, type Volume } from 'dfs';
import { initVolume, type RecoverReport, recoverVolume } from '../../src/node/mod.ts';

const MIB = 2 ** 20;

/** A volume in a temporary folder, to be opened by its package's name. */
export class ApiScene {
  readonly folder: string;
  readonly disks: string[];
  home: string;
  readonly #open = new Set<Volume>();
  #homes = 0;

  private constructor() {
    this.folder = mkdtempSync(join(process.env.DFS_TEST_FOLDER ?? tmpdir(), 'dfs-api-'));
    this.disks = [1, 2, 3].map((number) => join(this.folder, `disk${number}`));
    this.home = join(this.folder, 'home');
  }

  static async create(): Promise<ApiScene> {
    const scene = new ApiScene();
    for (const disk of scene.disks) mkdirSync(disk);
    await initVolume({
      home: scene.home,
      disks: scene.disks,
      scheme: 'replica:2',
      bucketBytes: 256 * MIB,
      cacheBytes: 256 * MIB,
    });
    return scene;
  }

  /** Opens the volume; it is closed with the scene at the latest. */
  async open(options: OpenVolumeOptions = {}): Promise<Volume> {
    const volume = await openVolume(this.home, options);
    this.#open.add(volume);
    return volume;
  }

  /** Builds a new HOME from the disks, in place of the one that is lost. */
  async loseHome(): Promise<RecoverReport> {
    rmSync(this.home, { recursive: true });
    this.home = join(this.folder, `home${++this.#homes}`);
    return recoverVolume({
      home: this.home,
      disks: this.disks,
      cacheBytes: 256 * MIB,
      log: () => undefined,
      onProgress: () => undefined,
    });
  }

  async dispose(): Promise<void> {
    // What a close rejects with is for the tests to look at.
    for (const volume of this.#open) await volume.close({ commit: false }).catch(() => undefined);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The code of the error that something rejects with, or "none". */
export async function codeOf(action: Promise<unknown>): Promise<string> {
  try {
    await action;
    return 'none';
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error);
  }
}
