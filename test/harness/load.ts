import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Program, run } from './processes.ts';
import type { TestVolume } from './volume.ts';

/** Writers at work on one volume. */
export class Load {
  readonly #volume: TestVolume;
  readonly #writers = new Map<string, Program>();
  #committing = true;
  readonly #commits: Promise<void>;
  committed = 0;

  constructor(volume: TestVolume, roles: readonly string[]) {
    this.#volume = volume;
    for (const role of roles) {
      this.#writers.set(role, new Program('writers.py', [role, this.folder(role)]));
    }
    this.#commits = this.#commitAlways();
  }

  folder(role: string): string {
    return join(this.#volume.mountPoint, role);
  }

  /** Commits one after the other; while a daemon starts there is nobody to ask. */
  async #commitAlways(): Promise<void> {
    while (this.#committing) {
      try {
        await this.#volume.commit();
        this.committed++;
      } catch {
        await pause(20);
      }
    }
  }

  /** Resolves when every writer has begun. */
  async started(): Promise<void> {
    await Promise.all([...this.#writers.values()].map((writer) => writer.next()));
  }

  get ended(): string[] {
    return [...this.#writers].filter(([, writer]) => writer.isOver).map(([role]) => role);
  }

  /** Ends the writers, each of which checks what is there; the numbers of their steps. */
  async finish(): Promise<Map<string, number>> {
    this.#committing = false;
    await this.#commits;
    const counts = new Map<string, number>();
    for (const [role, writer] of this.#writers) {
      const { count, longest } = await writer.finish();
      if (process.env.DFS_VERBOSE) console.log({ role, count, longest });
      counts.set(role, count as number);
    }
    return counts;
  }

  /** For writers that lose their mount: the steps each was sure of. */
  async lastWords(): Promise<Map<string, number>> {
    this.#committing = false;
    const counts = new Map<string, number>();
    for (const [role, writer] of this.#writers) {
      let done = 0;
      for (;;) {
        try {
          done = (await writer.next(30_000)).done as number;
        } catch {
          break;
        }
      }
      counts.set(role, done);
      await writer.end();
    }
    await this.#commits;
    return counts;
  }

  async end(): Promise<void> {
    this.#committing = false;
    await Promise.all([...this.#writers.values()].map((writer) => writer.end()));
  }
}

/** Looks at what the writers left: each after its count of steps, or up to `slack` more. */
export async function check(
  volume: TestVolume,
  counts: Map<string, number>,
  slack: number,
): Promise<void> {
  for (const [role, count] of counts) {
    const folder = join(volume.mountPoint, role);
    await run('writers.py', ['check', role, folder, String(count), String(count + slack)]);
  }
}
