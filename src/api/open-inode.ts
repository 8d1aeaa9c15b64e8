import { constants } from 'node:fs';
import {
  EEXIST,
  EISDIR,
  ELOOP,
  ENOENT,
  ENOTDIR,
  ENXIO,
  type NegativeErrno,
} from '../base/errno.ts';
import type { Attr, OpenResult } from '../vfs/mod.ts';
import { accessOf } from './flags.ts';
import { OpenFile } from './open-file.ts';
import { isFolder, isSymlink, type Last, type Place } from './paths.ts';
import { type Path, type Session, textOf } from './session.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_TRUNC, S_IFMT, S_IFREG } = constants;

interface Wanted {
  path: Path;
  flags: number;
  mode: number;
}

/** Opens a file or folder as open(2) does, and makes it first if it is to. */
export function openInode(session: Session, wanted: Wanted): Promise<OpenFile> {
  const { path, flags } = wanted;
  return session.at(path, { syscall: 'open', last: lastOf(flags) }, (place) =>
    place.attr === undefined
      ? create(session, place, wanted)
      : openExisting(session, place, place.attr, wanted),
  );
}

function lastOf(flags: number): Last {
  const follows = (flags & O_NOFOLLOW) === 0;
  if ((flags & O_CREAT) === 0) return follows ? 'followed' : 'itself';
  return follows && (flags & O_EXCL) === 0 ? 'made' : 'new';
}

function create(session: Session, place: Place, wanted: Wanted): OpenFile | NegativeErrno {
  const { parent, name } = place;
  const { flags, mode } = wanted;
  if ((flags & O_CREAT) === 0 || name === undefined) return -ENOENT;
  const made = session.fs.create(session.creator(), parent, name, S_IFREG | mode, flags);
  // The count of the name that was made goes with the open.
  if (typeof made === 'number') return made;
  return opened(session, made.attr, { open: made.open, isCounted: true }, wanted);
}

async function openExisting(
  session: Session,
  { parent, name }: Place,
  attr: Attr,
  wanted: Wanted,
): Promise<OpenFile | NegativeErrno> {
  const { fs } = session;
  const { flags } = wanted;
  const refused = refusal(attr, flags);
  if (refused !== 0) return refused;
  const open = fs.open(session.context(), attr.ino, flags);
  if (typeof open === 'number') return open;
  // Looked up once more, for the count: without its name it lives as long as the open.
  const isCounted = name !== undefined && typeof fs.lookup(parent, name) !== 'number';
  const file = opened(session, attr, { open, isCounted }, wanted);
  if ((flags & O_TRUNC) === 0 || !file.opened.access.writes) return file;
  const failed = await file.truncate(0);
  if (failed === 0) return file;
  await file.close();
  return failed;
}

/** What the kernel refuses before it asks a file system to open. */
function refusal(attr: Attr, flags: number): 0 | NegativeErrno {
  const { writes } = accessOf(flags);
  if ((flags & O_CREAT) !== 0 && (flags & O_EXCL) !== 0) return -EEXIST;
  if (isSymlink(attr)) return -ELOOP;
  if (isFolder(attr)) return writes || (flags & O_CREAT) !== 0 ? -EISDIR : 0;
  if ((flags & O_DIRECTORY) !== 0) return -ENOTDIR;
  // Pipes, sockets and devices are the kernel's to open.
  return (attr.mode & S_IFMT) === S_IFREG ? 0 : -ENXIO;
}

function opened(
  session: Session,
  attr: Attr,
  { open, isCounted }: { open: OpenResult; isCounted: boolean },
  wanted: Wanted,
): OpenFile {
  return new OpenFile(session, {
    ino: attr.ino,
    path: textOf(wanted.path),
    access: accessOf(wanted.flags),
    isFolder: isFolder(attr),
    handle: open.handle ?? 0,
    isCounted,
  });
}
