import type { ListedSlot, SlotAnswer, SlotBallot, SlotCopy } from '../bucket/mod.ts';
import type { SlotDisk, SlotProposal } from '../store/mod.ts';
import type { Rpc } from './rpc.ts';

interface SlotAccept {
  path: string;
  proposal: SlotProposal;
  options: { replaceDamaged: boolean } | undefined;
}

/** The slots of a disk on another thread. */
export function remoteSlots(rpc: Rpc): SlotDisk {
  const answerOf = async (call: Promise<SlotAnswer>): Promise<SlotAnswer> => {
    const { isDone, copy } = await call;
    return { isDone, copy: revived(copy) };
  };
  return {
    read: async (path) => revived(await rpc.call<SlotCopy | undefined>('slotRead', path)),
    prepare: (path, ballot) => answerOf(rpc.call('slotPrepare', { path, ballot })),
    accept: (path, proposal, options) => {
      const accept: SlotAccept = { path, proposal: plain(proposal), options };
      return answerOf(rpc.call('slotAccept', accept));
    },
    list: (after, limit) => rpc.call<ListedSlot[]>('slotList', { after, limit }),
    drop: (path, upTo) => rpc.call<boolean>('slotDrop', { path, upTo }),
  };
}

/** What the thread of the disk answers such calls with. */
export function slotHandlers(slots: () => SlotDisk): Record<string, (argument: never) => unknown> {
  return {
    slotRead: (path: string) => slots().read(path),
    slotPrepare: ({ path, ballot }: { path: string; ballot: SlotBallot }) =>
      slots().prepare(path, ballot),
    slotAccept: ({ path, proposal, options }: SlotAccept) =>
      slots().accept(path, revivedProposal(proposal), options),
    slotList: ({ after, limit }: { after: string; limit: number }) => slots().list(after, limit),
    slotDrop: ({ path, upTo }: { path: string; upTo: SlotBallot }) => slots().drop(path, upTo),
  };
}

/** Contents arrive as plain bytes. */
function revived(copy: SlotCopy | undefined): SlotCopy | undefined {
  if (copy?.accepted === undefined) return copy;
  return { ...copy, accepted: revivedProposal(copy.accepted) };
}

function revivedProposal({ ballot, state }: SlotProposal): SlotProposal {
  const { version, content } = state;
  if (content === undefined) return { ballot, state };
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  return { ballot, state: { version, content: bytes } };
}

/** A clone of a part of something large would take all of it. */
function plain({ ballot, state }: SlotProposal): SlotProposal {
  const { version, content } = state;
  const bytes = content && Buffer.from(Uint8Array.from(content).buffer);
  return { ballot, state: { version, content: bytes } };
}
