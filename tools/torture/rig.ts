import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { initVolume } from '../../src/node/mod.ts';
import {
  type CutPolicy,
  FaultFs,
  type LoggedOperation,
  type NameModel,
} from '../../test/faultfs/mod.ts';
import type { Mark } from './knowledge.ts';

const BUCKET_BYTES: number = 2 ** 26;
const CACHE_BYTES: number = 2 ** 28;
const DISKS: readonly string[] = ['disk1', 'disk2', 'disk3'];
const DEVICES: readonly string[] = ['home', ...DISKS];

/** Where a volume's life ended, and what the power cut left of what was not synced. */
export interface PowerCut {
  sequence: number;
  seed: number;
  policy: CutPolicy;
  names: NameModel;
}

/** Devices that remember everything, with a volume on them; for many volumes, one at a time. */
export class Rig {
  readonly #devices: FaultFs;
  /** New volumes by scheme, to be copied. */
  readonly #templates: string;
  #markFd: number | undefined;
  #start = 0;

  private constructor(devices: FaultFs, folder: string) {
    this.#devices = devices;
    this.#templates = join(folder, 'templates');
    mkdirSync(this.#templates, { recursive: true });
  }

  /** `folder` is on plain storage. */
  static async start(folder: string): Promise<Rig> {
    return new Rig(await FaultFs.start({ devices: [...DEVICES], folder }), folder);
  }

  /** The folder with HOME and the disks. */
  get path(): string {
    return this.#devices.mountPoint;
  }

  /** Puts a new volume on the devices; what was before is forgotten. */
  async renew(scheme: string): Promise<void> {
    const template = await this.#template(scheme);
    for (const device of DEVICES) {
      const path = join(this.path, device);
      for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true });
      execFileSync('cp', ['-a', '--sparse=auto', `${join(template, device)}/.`, path]);
    }
    await this.#devices.settle();
    this.#start = await this.#devices.sequence();
  }

  async #template(scheme: string): Promise<string> {
    const template = join(this.#templates, scheme.replace(/\W/g, '-'));
    if (readdirSync(this.#templates).includes(scheme.replace(/\W/g, '-'))) return template;
    mkdirSync(template);
    const disks = DISKS.map((name) => join(template, name));
    for (const disk of disks) mkdirSync(disk);
    const sizes = { bucketBytes: BUCKET_BYTES, cacheBytes: CACHE_BYTES };
    await initVolume({ home: join(template, 'home'), disks, scheme, ...sizes });
    return template;
  }

  readonly mark = (text: string): void => {
    this.#markFd ??= openSync(this.#devices.markPath, 'a');
    writeSync(this.#markFd, `${text}\n`);
  };

  /** The marks of this volume. */
  async marks(): Promise<Mark[]> {
    const marks = await this.#devices.marks();
    return marks.filter(({ sequence }) => sequence > this.#start);
  }

  /** What happened to this volume's devices. */
  async operations(): Promise<LoggedOperation[]> {
    return await this.#devices.operations(this.#start, await this.#devices.sequence());
  }

  /** Numbers of the first and last operation on this volume. */
  async range(): Promise<{ from: number; to: number }> {
    return { from: this.#start, to: await this.#devices.sequence() };
  }

  /** Writes what a power cut leaves into the folder `target`: the policy of each device. */
  async write(cut: PowerCut, target: string): Promise<Record<string, string>> {
    mkdirSync(target);
    const { policies } = await this.#devices.crashState({ ...cut, target });
    return policies;
  }

  async stop(): Promise<void> {
    if (this.#markFd !== undefined) closeSync(this.#markFd);
    await this.#devices.stop();
  }
}
