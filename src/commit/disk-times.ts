import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InvariantError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { publishFile } from '../base/publish.ts';

/** What HOME remembers of a disk that is not as it should be. */
export interface DiskTrouble {
  /** Since when it is out of service, in ms since 1970. */
  downSinceMs?: number;
  /** It was failed by hand, and does not come back by itself. */
  failedByHand?: boolean;
}

/**
 * Since when disks are out of service, kept in HOME/disks.json so that a restart does not begin
 * their grace anew. A file that cannot be read counts as empty: then the grace begins again.
 */
export class DiskTimes {
  readonly #path: string;
  readonly #log: Log;
  readonly #troubles: Map<DiskId, DiskTrouble>;

  constructor(home: string, log: Log) {
    this.#path = join(home, 'disks.json');
    this.#log = log;
    this.#troubles = readTroubles(this.#path);
  }

  of(id: DiskId): DiskTrouble {
    return this.#troubles.get(id) ?? {};
  }

  /** Notes what changed about a disk; undefined forgets it. */
  async note(id: DiskId, change: Partial<Record<keyof DiskTrouble, unknown>>): Promise<void> {
    const next = { ...this.of(id), ...change };
    const { downSinceMs, failedByHand } = next;
    const trouble: DiskTrouble = {
      ...(typeof downSinceMs === 'number' ? { downSinceMs } : {}),
      ...(failedByHand === true ? { failedByHand } : {}),
    };
    if (JSON.stringify(trouble) === JSON.stringify(this.of(id))) return;
    if (Object.keys(trouble).length === 0) this.#troubles.delete(id);
    else this.#troubles.set(id, trouble);
    try {
      const disks = Object.fromEntries(this.#troubles);
      await publishFile(this.#path, `${JSON.stringify({ version: 1, disks })}\n`, { mode: 0o600 });
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#log('warn', 'times of disks not kept', { message: messageOf(error) });
    }
  }
}

function readTroubles(path: string): Map<DiskId, DiskTrouble> {
  const troubles = new Map<DiskId, DiskTrouble>();
  try {
    const { disks } = JSON.parse(readFileSync(path, 'utf8')) as { disks: Record<string, unknown> };
    for (const [id, value] of Object.entries(disks)) {
      const { downSinceMs, failedByHand } = value as Record<string, unknown>;
      troubles.set(Number(id) as DiskId, {
        ...(typeof downSinceMs === 'number' ? { downSinceMs } : {}),
        ...(failedByHand === true ? { failedByHand } : {}),
      });
    }
  } catch {
    // There is none, or it is damaged.
  }
  return troubles;
}
