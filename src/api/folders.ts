import { setImmediate as nextTurn } from 'node:timers/promises';
import { EISDIR, ENOENT, type NegativeErrno } from '../base/errno.ts';
import type { Ino } from '../base/ids.ts';
import type { FileSystem } from '../vfs/mod.ts';
import { isDots } from './paths.ts';
import type { Session } from './session.ts';

/** One name in a folder. */
export interface Entry {
  name: Buffer;
  ino: Ino;
  /** File type as in a mode. */
  type: number;
}

/**
 * The names in a folder, without "." and "..": what is made or removed meanwhile may be in it or
 * not, everything else is, once.
 */
export async function listFolder(fs: FileSystem, ino: Ino): Promise<Entry[] | NegativeErrno> {
  const entries: Entry[] = [];
  for (let cookie = 0, isEnd = false; !isEnd; ) {
    isEnd = true;
    const result = fs.readdir(ino, cookie, (name, entryIno, type, next) => {
      cookie = next;
      isEnd = false;
      if (!isDots(name)) entries.push({ name: Buffer.from(name), ino: entryIno, type: type << 12 });
      return true;
    });
    if (result !== 0) return result;
    if (!isEnd) await nextTurn();
  }
  fs.accessed(ino);
  return entries;
}

/** Removes a name, and a folder with all that is in it; entry by entry, in turns. */
export async function removeTree(
  session: Session,
  parent: Ino,
  name: Buffer,
): Promise<0 | NegativeErrno> {
  const { fs } = session;
  const removed = fs.unlink(session.context(), parent, name);
  if (removed !== -EISDIR) return removed;
  const folder = fs.lookup(parent, name);
  if (typeof folder === 'number') return folder;
  const { ino } = folder;
  // The count of the lookup is kept: the folder is ours to list until it is given back.
  try {
    const entries = await listFolder(fs, ino);
    if (typeof entries === 'number') return entries;
    for (const [index, entry] of entries.entries()) {
      const done = await removeTree(session, ino, entry.name);
      if (done !== 0 && done !== -ENOENT) return done;
      if (index % ENTRIES_A_TURN === ENTRIES_A_TURN - 1) await nextTurn();
    }
    return fs.rmdir(session.context(), parent, name);
  } finally {
    fs.forget(ino, 1);
  }
}

const ENTRIES_A_TURN = 50;
