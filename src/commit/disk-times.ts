import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { publishFile } from '../base/publish.ts';
import { sealText, unsealText } from '../base/sealed-text.ts';

const FORMAT = 'dfs-disks';
const VERSION = 1;

/** What HOME remembers of a disk that is not as it should be. */
export interface DiskTrouble {
  /** Since when it is out of service, in ms since 1970. */
  downSinceMs?: number;
  /** It was failed by hand, and does not come back by itself. */
  failedByHand?: boolean;
}

/**
 * Since when disks are out of service, kept in HOME/disks so that a restart does not begin
 * their grace anew. A file that cannot be read counts as empty: then the grace begins again.
 */
export class DiskTimes {
  readonly #path: string;
  readonly #log: Log;
  readonly #troubles: Map<DiskId, DiskTrouble>;

  constructor(home: string, log: Log) {
    this.#path = join(home, 'disks');
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
      await publishFile(this.#path, encodeTroubles(this.#troubles), { mode: 0o600 });
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#log('warn', 'times of disks not kept', { message: messageOf(error) });
    }
  }
}

function readTroubles(path: string): Map<DiskId, DiskTrouble> {
  try {
    return decodeTroubles(readFileSync(path));
  } catch {
    // There is none, or it is damaged.
    return new Map();
  }
}

/** The text of HOME/disks. */
export function encodeTroubles(troubles: ReadonlyMap<DiskId, DiskTrouble>): string {
  const disks = Object.fromEntries(troubles);
  return sealText(`${JSON.stringify({ format: FORMAT, version: VERSION, disks })}\n`);
}

/** Reads it. CORRUPT when any byte is not as it was written, or a later version wrote it. */
export function decodeTroubles(bytes: Buffer): Map<DiskId, DiskTrouble> {
  const sealed = unsealText(bytes);
  if ('problem' in sealed) {
    throw new DfsError('CORRUPT', `Cannot read the times of disks: ${sealed.problem}`);
  }
  const { format, version, disks } = JSON.parse(sealed.text.toString()) as {
    format: unknown;
    version: unknown;
    disks: Record<string, DiskTrouble>;
  };
  if (format !== FORMAT || version !== VERSION) {
    throw new DfsError('CORRUPT', 'Cannot read the times of disks: another version wrote them');
  }
  return new Map(Object.entries(disks).map(([id, trouble]) => [Number(id) as DiskId, trouble]));
}
