import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Log } from '../../src/base/log.ts';
import { Dice } from '../../test/harness/seed.ts';
import { TestVolume } from '../../test/harness/volume.ts';
import { checkPoint, type PointResult } from './check-point.ts';
import { Generator } from './generator.ts';
import { historyOf } from './history.ts';
import type { Knowledge } from './knowledge.ts';
import { playLoad } from './load.ts';
import { Model } from './model.ts';
import { MountExecutor } from './mount-executor.ts';
import { StateFolder } from './state-folder.ts';

/** What is going on when everything is killed; before that only daemons are. */
export type KillMoment = 'load' | 'umount' | 'mount' | 'recover';

export interface KillPlan {
  moment: KillMoment;
  scheme: string;
  mode: 'weak' | 'strong';
  operations: number;
  /** Daemons that are killed before. */
  daemons: number;
  /** When everything is killed, after what is going on has begun. */
  afterMs: number;
}

/** A life of a volume that ended with kill -9 of all its processes. */
export interface KillReport extends PointResult {
  seed: number;
  plan: KillPlan;
  known: Knowledge;
  history: string[];
}

const MOMENTS = ['load', 'load', 'umount', 'mount', 'recover'] as const;
const DFSCTL = fileURLToPath(new URL('../dfsctl/main.js', import.meta.url));
const ASK_AGAIN_MS = 20;
/** Times of files that were written just before a daemon died; see docs/durability.md. */
const APART_MS = 30;
const SMALL_BUCKETS: number = 2 ** 26;

function planOf(dice: Dice): KillPlan {
  return {
    moment: dice.pick(MOMENTS),
    scheme: dice.below(4) === 0 ? 'ec:2+1' : 'replica:2',
    mode: dice.below(4) === 0 ? 'strong' : 'weak',
    operations: 60 + dice.below(120),
    daemons: dice.below(3),
    afterMs: dice.below(dice.pick([60, 400, 1200])),
  };
}

/** Mounts a new volume, works on it, kills everything at some moment, and checks what is left. */
export async function runKill(options: { seed: number; log: Log }): Promise<KillReport> {
  const { seed, log } = options;
  const dice = new Dice(seed);
  const plan = planOf(dice);
  const volume = await TestVolume.create({ scheme: plan.scheme, bucketBytes: SMALL_BUCKETS });
  const life = new Life(volume, plan, dice);
  try {
    await life.live();
    const { model, known } = life;
    const state = new StateFolder(volume.folder, log);
    const isRecovery = plan.moment === 'recover';
    const result = await checkPoint(state, {
      model,
      known,
      mode: plan.mode,
      loss: {
        home: isRecovery,
        disk: isRecovery && dice.below(2) === 0 ? dice.below(3) : undefined,
      },
      isPowerCut: false,
      apartMs: plan.daemons > 0 ? APART_MS : 0,
      goesOn: true,
      canCommitDegraded: plan.scheme.startsWith('replica'),
    });
    const { problems } = result;
    const history = problems.length > 0 ? historyOf(model, known, problems) : [];
    if (problems.length > 0) problems.push(volume.log);
    return { seed, plan, known, history, ...result };
  } finally {
    await life.end();
    await volume.dispose();
  }
}

class Life {
  readonly model: Model = new Model();
  readonly known: Knowledge = { done: 0, syncs: [], committed: 0 };
  readonly #volume: TestVolume;
  readonly #plan: KillPlan;
  readonly #dice: Dice;
  readonly #generator: Generator;
  #executor: MountExecutor | undefined;
  #isDead = false;

  constructor(volume: TestVolume, plan: KillPlan, dice: Dice) {
    this.#volume = volume;
    this.#plan = plan;
    this.#dice = dice;
    this.#generator = new Generator(dice, this.model);
  }

  async live(): Promise<void> {
    const { moment, mode, operations, daemons, afterMs } = this.#plan;
    const volume = this.#volume;
    await volume.mount({ mode });
    for (let kills = 0; kills < daemons; kills++) {
      await Promise.all([this.#work(operations), this.#killDaemon()]);
      await volume.serving();
    }
    if (moment === 'load') {
      const work = this.#work(10 * operations).catch(() => undefined);
      await delay(afterMs);
      this.#isDead = true;
      await volume.killAll();
      await work;
      return;
    }
    await this.#work(operations);
    // It has the mount point, which would be busy.
    await this.end();
    if (moment === 'recover') {
      await volume.killAll();
      await this.#recoverAndKill();
      return;
    }
    const going = moment === 'umount' ? volume.unmount() : this.#remount();
    const isOver = going.then(
      () => true,
      () => true,
    );
    await Promise.race([isOver, delay(afterMs)]);
    await volume.killAll();
    await isOver;
    // It may have been mounted after the first look.
    await volume.killAll();
  }

  async #remount(): Promise<void> {
    await this.#volume.killAll();
    await this.#volume.mount({ mode: this.#plan.mode });
  }

  async #killDaemon(): Promise<void> {
    await delay(this.#dice.below(150));
    await this.#volume.killDaemon();
  }

  /** A recovery that is killed; the next one begins anew. */
  async #recoverAndKill(): Promise<void> {
    const home = join(this.#volume.folder, 'half');
    const disks = this.#volume.disks.flatMap((disk) => ['--disk', disk]);
    const child = spawn(process.execPath, [DFSCTL, 'recover', home, ...disks], { stdio: 'ignore' });
    const ended = new Promise((done) => child.once('exit', done));
    await Promise.race([ended, delay(200 + this.#plan.afterMs)]);
    child.kill('SIGKILL');
    await ended;
    rmSync(home, { recursive: true, force: true });
  }

  async #work(operations: number): Promise<void> {
    const { model } = this;
    const volume = this.#volume;
    this.#executor ??= new MountExecutor({
      mountPoint: volume.mountPoint,
      model,
      commit: () => this.#commit(),
    });
    await playLoad({
      model,
      generator: this.#generator,
      executor: this.#executor,
      mark: (text) => this.#note(text),
      operations,
    });
  }

  /** Between two daemons nobody can be asked. */
  async #commit(): Promise<void> {
    for (;;) {
      try {
        await this.#volume.commit();
        return;
      } catch (error) {
        if (this.#isDead) throw error;
        await delay(ASK_AGAIN_MS);
      }
    }
  }

  #note(text: string): void {
    const [kind, number] = text.split(' ');
    if (kind === 'done') this.known.done = Number(number);
    else if (kind === 'synced') this.known.syncs.push(Number(number));
    else this.known.committed = Math.max(this.known.committed, Number(number));
  }

  async end(): Promise<void> {
    await this.#executor?.end();
    this.#executor = undefined;
  }
}
