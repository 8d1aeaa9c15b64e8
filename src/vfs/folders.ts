import type { Ino } from '../base/ids.ts';
import { type Inode, type LiveMeta, S_IFDIR } from '../meta/mod.ts';

/** As EntryPlusSink of vfs-interface.ts, with inodes. */
type InodeSink = (
  name: Buffer,
  ino: Ino,
  type: number,
  cookie: number,
  inode: Inode | undefined,
) => boolean;

const BATCH = 128;
/** Entries one call gives at most, whatever the caller has room for: others wait meanwhile. */
const NAMES_A_CALL = 1000;
const INODES_A_CALL = 150;
const COOKIE_DOT = 1;
const COOKIE_DOTDOT = 2;
/** Added to the hash of a name, so that hash 0 comes behind "..". */
const COOKIE_BASE = 3;
const FOLDER_TYPE = S_IFDIR >>> 12;

/**
 * Lists a folder in the order of its names' hashes, from behind `cookie` until `sink` has enough or
 * the call takes too long for others; not all of it, even then. With `inodes` sink gets those, too.
 */
export function listFolder(
  meta: LiveMeta,
  folder: { ino: Ino; parent: Ino },
  from: { cookie: number; inodes: boolean },
  sink: InodeSink,
): void {
  const { cookie, inodes } = from;
  const most = inodes ? INODES_A_CALL : NAMES_A_CALL;
  let given = 0;
  if (cookie < COOKIE_DOT) {
    if (!sink(Buffer.from('.'), folder.ino, FOLDER_TYPE, COOKIE_DOT, undefined)) return;
  }
  if (cookie < COOKIE_DOTDOT) {
    if (!sink(Buffer.from('..'), folder.parent, FOLDER_TYPE, COOKIE_DOTDOT, undefined)) return;
  }
  let behind = cookie < COOKIE_BASE ? -1 : cookie - COOKIE_BASE;
  for (let limit = BATCH; ; ) {
    const read = inodes
      ? meta.state.entriesWithInodes(folder.ino, behind, limit)
      : meta.state.entries(folder.ino, behind, limit);
    const isLast = read.length < limit;
    // Names that share the last hash may go on behind the limit: they wait for the next batch.
    const last = read.at(-1)?.[0];
    const batch = isLast ? read : read.filter(([hash]) => hash !== last);
    limit = batch.length > 0 ? BATCH : limit * 2;
    for (const [index, [hash, name, ino, type, inode]] of batch.entries()) {
      // Names with one hash stay together: a call that begins among them begins at the first.
      if (given >= most && hash !== batch[index - 1]?.[0]) return;
      // Names with equal hashes share the cookie of the hash before, so that none is skipped by a
      // later call.
      const next = batch[index + 1];
      const resume = next !== undefined && next[0] === hash ? behind : hash;
      if (!sink(name, ino, type, resume + COOKIE_BASE, inode)) return;
      given++;
      behind = resume;
    }
    if (isLast) return;
    behind = batch.at(-1)?.[0] ?? behind;
  }
}
