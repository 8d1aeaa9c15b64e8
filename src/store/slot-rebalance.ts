import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { isSystemPath, type SlotPlacer } from './slot-places.ts';
import type { SlotRegister, SlotWriter } from './slot-register.ts';
import { writeSettlement } from './slot-settlement.ts';
import { surveySlots } from './slot-survey.ts';

/** What a rebalance did. */
export interface SlotMoves {
  /** Slots that there are. */
  readonly slots: number;
  /** Copies that were made where the map wants them, and dropped elsewhere. */
  readonly copied: number;
  readonly dropped: number;
  /** Slots with fewer copies than they should have, because disks are away. */
  readonly degraded: number;
}

/** What {@link rebalanceSlots} works with. */
export interface RebalanceParts {
  readonly placer: SlotPlacer;
  readonly writer: SlotWriter;
  readonly log: Log;
  /** Whether the map is still that of the placer. */
  isCurrent(): boolean;
  inTurn<T>(path: string, work: (register: SlotRegister) => Promise<T>): Promise<T>;
}

interface OneMove {
  readonly isThere: boolean;
  readonly isOnMost: boolean;
  readonly isOnAll: boolean;
  readonly copied: number;
  readonly dropped: number;
}

/**
 * Moves all slots to where the map says. Each is read, which puts it on a majority of its homes,
 * then given to the rest of them, and only then dropped elsewhere: ended at any point, it loses
 * nothing, and begun anew it does what is left.
 */
export async function rebalanceSlots(parts: RebalanceParts): Promise<SlotMoves> {
  const { placer, writer, log } = parts;
  const survey = await surveySlots(placer, writer);
  let { problem } = survey;
  const moves = { slots: 0, copied: 0, dropped: 0, degraded: 0 };
  for (const [path, copies] of survey.slots) {
    if (isSystemPath(path)) continue;
    try {
      const holders = [...copies.keys()];
      const move = await moveOne(parts, { path, holders });
      moves.copied += move.copied;
      moves.dropped += move.dropped;
      if (move.isThere) moves.slots++;
      if (move.isThere && !move.isOnAll) moves.degraded++;
      if (!move.isOnMost) {
        problem ??= new DfsError(
          'UNAVAILABLE',
          `Cannot move slot "${path}": too few disks took it`,
        );
      }
    } catch (error) {
      if (!(error instanceof DfsError) || error instanceof InvariantError) throw error;
      log('warn', 'slot not moved', { path, message: messageOf(error) });
      problem ??= error;
    }
  }
  if (problem !== undefined) throw problem;
  if (!parts.isCurrent()) {
    throw new DfsError('BUSY', 'Cannot settle slots: the map changed meanwhile; move them again');
  }
  if (!placer.isSettled) await writeSettlement(placer, writer);
  return moves;
}

async function moveOne(
  parts: RebalanceParts,
  slot: { path: string; holders: readonly DiskId[] },
): Promise<OneMove> {
  const { path, holders } = slot;
  return parts.inTurn(path, async (register) => {
    const { homes } = register;
    const state = await register.read();
    const { newest, ...filled } = await register.fill();
    const isThere = state?.content !== undefined;
    const strays = holders.filter((id) => !homes.includes(id));
    let dropped = 0;
    if (newest !== undefined && filled.isOnAll) {
      dropped = await register.drop(strays, newest.ballot);
    }
    return { isThere, dropped, ...filled };
  });
}
