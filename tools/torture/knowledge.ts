import type { Model } from './model.ts';
import type { Id } from './operations.ts';

/** A line in the log of the faulty devices, and where in it. */
export interface Mark {
  sequence: number;
  text: string;
}

/** What the load was told before the cut; numbers of operations. */
export interface Knowledge {
  /** The last operation that was acknowledged; the next one may have happened. */
  done: number;
  /** Syncs that were acknowledged, by the numbers of their operations. */
  syncs: number[];
  /** The last operation whose commit was acknowledged. */
  committed: number;
}

/** Texts of marks: an operation is done, its sync is acknowledged, its commit is. */
export const markOf = {
  done: (number: number): string => `done ${number}`,
  synced: (number: number): string => `synced ${number}`,
  committed: (number: number): string => `committed ${number}`,
};

/** What the marks up to `sequence` say. */
export function knowledgeAt(marks: readonly Mark[], sequence: number): Knowledge {
  const known: Knowledge = { done: 0, syncs: [], committed: 0 };
  for (const mark of marks) {
    if (mark.sequence > sequence) break;
    const [kind, text] = mark.text.trim().split(' ');
    const number = Number(text);
    if (kind === 'done') known.done = Math.max(known.done, number);
    else if (kind === 'synced') known.syncs.push(number);
    else if (kind === 'committed') known.committed = Math.max(known.committed, number);
  }
  return known;
}

/** From which state on the recovered one must be, as numbers of operations. */
export interface Bounds {
  /** All metadata. */
  meta: number;
  /** The bytes of a file. */
  bytes: (id: Id) => number;
  /** The whole, on the disks alone. */
  disks: number;
  /** The newest state it can be. */
  newest: number;
}

/** What must have survived. `mode` says what a sync was told to mean. */
export function boundsOf(model: Model, known: Knowledge, mode: 'weak' | 'strong'): Bounds {
  const synced = new Map<Id, number>();
  let meta = known.committed;
  let disks = known.committed;
  for (const number of known.syncs) {
    const operation = model.done[number - 1]?.operation;
    if (operation?.kind !== 'sync') throw new Error(`operation ${number} is no sync`);
    const { id } = operation;
    // What nobody can reach after a crash is not waited for.
    const hasName = (model.states[number]?.get(id)?.nlink ?? 0) > 0;
    if (operation.how === 'flush' && (mode === 'weak' || !hasName)) continue;
    synced.set(id, Math.max(synced.get(id) ?? 0, number));
    const [lastMeta, lastBytes] = lastChanges(model, id, number);
    meta = Math.max(meta, lastMeta);
    if (mode === 'strong' && hasName) disks = Math.max(disks, lastMeta, lastBytes);
  }
  if (mode === 'strong') meta = Math.max(meta, disks);
  const newest = Math.min(known.done + 1, model.done.length);
  return { meta, disks, newest, bytes: (id) => Math.max(disks, synced.get(id) ?? 0) };
}

/** The last operations up to `number` that changed the metadata and the bytes of an inode. */
function lastChanges(model: Model, id: Id, number: number): [number, number] {
  let bytes = 0;
  for (let at = number; at > 0; at--) {
    const change = model.changes[at - 1];
    if (change === undefined) continue;
    if (bytes === 0 && change.content === id) bytes = at;
    if (change.meta.includes(id)) return [at, Math.max(bytes, at)];
  }
  return [0, bytes];
}
