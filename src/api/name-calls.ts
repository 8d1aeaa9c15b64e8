import { posix } from 'node:path';
import {
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  type NegativeErrno,
} from '../base/errno.ts';
import { AttributeCalls } from './attribute-calls.ts';
import { must } from './errors.ts';
import { modeBits } from './flags.ts';
import { listFolder, removeTree } from './folders.ts';
import { isFolder, isSymlink, type Last, type Place, walk } from './paths.ts';
import { bytesOf, type Path, textOf } from './session.ts';
import { Dirent } from './stats.ts';

const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;

/** How a folder is listed: names as text unless they shall be Buffers. */
export interface ReaddirOptions {
  encoding?: 'utf8' | 'buffer';
  withFileTypes?: boolean;
}

/** The calls of node:fs/promises that list, make, move and remove names. */
export class NameCalls extends AttributeCalls {
  /** The names in a folder, in no order; without "." and "..". */
  readdir(path: Path, options?: { encoding?: 'utf8'; withFileTypes?: false }): Promise<string[]>;
  readdir(
    path: Path,
    options: { encoding?: 'utf8'; withFileTypes: true },
  ): Promise<Dirent<string>[]>;
  readdir(path: Path, options: { encoding: 'buffer'; withFileTypes?: false }): Promise<Buffer[]>;
  readdir(
    path: Path,
    options: { encoding: 'buffer'; withFileTypes: true },
  ): Promise<Dirent<Buffer>[]>;
  async readdir(path: Path, options: ReaddirOptions = {}): Promise<unknown[]> {
    const { encoding = 'utf8', withFileTypes = false } = options;
    const entries = await this.session.on(path, { syscall: 'scandir' }, (attr) =>
      listFolder(this.session.fs, attr.ino),
    );
    return entries.map(({ name, type }) => {
      const shown = encoding === 'buffer' ? name : name.toString();
      const parentPath = textOf(path);
      return withFileTypes ? new Dirent({ name: shown, parentPath, type }) : shown;
    });
  }

  /**
   * Makes a folder; with `recursive` also those it lies in, and then none is no error: the first
   * one that was made.
   */
  async mkdir(
    path: Path,
    options: { recursive?: boolean; mode?: number | string } = {},
  ): Promise<string | undefined> {
    const { recursive = false } = options;
    const mode = modeBits(options.mode ?? 0o777);
    if (!recursive) {
      await this.#makeFolder(path, mode);
      return undefined;
    }
    return this.#makeFolders(path, mode);
  }

  /** Goes up to the first folder that there is, and makes the others on the way back. */
  async #makeFolders(path: Path, mode: number): Promise<string | undefined> {
    const missing = [bytesOf(path).toString('latin1')];
    let first: string | undefined;
    for (let next = missing.pop(); next !== undefined; next = missing.pop()) {
      const bytes = Buffer.from(next, 'latin1');
      const state = await this.#makeIfMissing(bytes, mode, missing.length > 0);
      if (state === 'made') first ??= bytes.toString();
      if (state === 'in nothing') missing.push(next, posix.dirname(next));
    }
    return first;
  }

  async #makeIfMissing(
    path: Buffer,
    mode: number,
    hasFurther: boolean,
  ): Promise<'made' | 'there' | 'in nothing'> {
    try {
      await this.#makeFolder(path, mode);
      return 'made';
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' && posix.dirname(path.toString('latin1')) !== '.') return 'in nothing';
      if (code !== 'EEXIST') throw error;
    }
    const call = { syscall: 'mkdir', path: textOf(path) };
    const place = await this.session.run(() => walk(this.session.fs, bytesOf(path), 'followed'));
    // Whatever the name leads to, if it is no folder the one that is wanted cannot be in it.
    const attr = typeof place === 'number' ? undefined : place.attr;
    if (attr !== undefined && isFolder(attr)) return 'there';
    if (hasFurther) must(-ENOTDIR, call);
    must(must(place, call).attr === undefined ? -ENOENT : -EEXIST, call);
    return 'there';
  }

  #makeFolder(path: Path, mode: number): Promise<unknown> {
    const { session } = this;
    return session.at(path, { syscall: 'mkdir', last: 'entry' }, ({ parent, name, attr }) => {
      if (attr !== undefined || name === undefined) return -EEXIST;
      return session.made(session.fs.mkdir(session.creator(), parent, name, mode));
    });
  }

  /** Removes a name that is none of a folder. */
  async unlink(path: Path): Promise<void> {
    const { session } = this;
    await session.on(path, { syscall: 'unlink', last: 'entry' }, (attr, place) => {
      const { parent, name, wantsFolder } = place;
      if (name === undefined || isFolder(attr)) return -EISDIR;
      if (wantsFolder) return -ENOTDIR;
      return session.fs.unlink(session.context(), parent, name);
    });
  }

  /** Removes an empty folder. */
  async rmdir(path: Path): Promise<void> {
    const { session } = this;
    await session.on(path, { syscall: 'rmdir', last: 'entry' }, (_attr, { parent, name }) => {
      if (name === undefined) return unnamed(path);
      return session.fs.rmdir(session.context(), parent, name);
    });
  }

  /** Removes a file, with `recursive` also a folder and all in it; `force`: none is no error. */
  async rm(path: Path, options: { recursive?: boolean; force?: boolean } = {}): Promise<void> {
    const { recursive = false, force = false } = options;
    const { session } = this;
    await session.at(path, { syscall: 'rm', last: 'entry' }, (place) => {
      const { parent, name, attr, wantsFolder } = place;
      if (attr === undefined) return force ? 0 : -ENOENT;
      if (name === undefined) return unnamed(path);
      if (wantsFolder && !isFolder(attr)) return -ENOTDIR;
      if (recursive) return removeTree(session, parent, name);
      return session.fs.unlink(session.context(), parent, name);
    });
  }

  /**
   * Renames; what has the new name goes, unless `noReplace` (EEXIST) or `exchange` are asked for.
   */
  async rename(
    from: Path,
    to: Path,
    options: { noReplace?: boolean; exchange?: boolean } = {},
  ): Promise<void> {
    const { noReplace = false, exchange = false } = options;
    const flags = (noReplace ? RENAME_NOREPLACE : 0) | (exchange ? RENAME_EXCHANGE : 0);
    const { session } = this;
    await this.#two({ syscall: 'rename', last: 'entry' }, from, to, (source, target) => {
      const refused = renameRefusal(source, target, exchange);
      if (refused !== 0) return refused;
      const [name, newName] = [source.name, target.name];
      if (name === undefined || newName === undefined) return -EBUSY;
      const context = session.context();
      return session.fs.rename(context, source.parent, name, target.parent, newName, flags);
    });
  }

  /** Gives a file one more name. */
  async link(existing: Path, path: Path): Promise<void> {
    const { session } = this;
    await this.#two(
      { syscall: 'link', last: 'itself' },
      existing,
      path,
      ({ attr }, { parent, name, ...target }) => {
        if (attr === undefined) return -ENOENT;
        if (target.attr !== undefined || name === undefined) return -EEXIST;
        if (target.missing !== -ENOENT) return target.missing;
        if (target.wantsFolder) return -ENOENT;
        if (isFolder(attr)) return -EPERM;
        return session.made(session.fs.link(session.context(), attr.ino, parent, name));
      },
    );
  }

  /** Makes a symlink at `path` that leads to `target`. */
  async symlink(target: Path, path: Path): Promise<void> {
    const { session } = this;
    const call = { syscall: 'symlink', path: textOf(target), dest: textOf(path) };
    await session.run(() => {
      const place = must(walk(session.fs, bytesOf(path), 'entry'), call);
      const { parent, name, attr, wantsFolder } = place;
      const bytes = bytesOf(target);
      if (bytes.length === 0) return must(-ENOENT, call);
      if (attr !== undefined || name === undefined) return must(-EEXIST, call);
      if (wantsFolder) return must(-ENOENT, call);
      return must(session.made(session.fs.symlink(session.creator(), parent, name, bytes)), call);
    });
  }

  /** Where a symlink leads. */
  readlink(path: Path, options?: { encoding?: 'utf8' }): Promise<string>;
  readlink(path: Path, options: { encoding: 'buffer' }): Promise<Buffer>;
  async readlink(
    path: Path,
    options: { encoding?: 'utf8' | 'buffer' } = {},
  ): Promise<string | Buffer> {
    const { fs } = this.session;
    const call = { syscall: 'readlink', last: 'itself' } as const;
    const target = await this.session.on(path, call, (attr) => {
      if (!isSymlink(attr)) return -EINVAL;
      fs.accessed(attr.ino);
      return fs.readlink(attr.ino);
    });
    return options.encoding === 'buffer' ? Buffer.from(target) : target.toString();
  }

  /** A call on two places, the second of which is an entry. */
  #two(
    { syscall, last }: { syscall: string; last: Last },
    path: Path,
    dest: Path,
    action: (from: Place, to: Place) => 0 | NegativeErrno,
  ): Promise<number> {
    const { fs } = this.session;
    const call = { syscall, path: textOf(path), dest: textOf(dest) };
    return this.session.run(() => {
      const from = must(walk(fs, bytesOf(path), last), call);
      // A file to link is looked up first; of two entries, both folders are.
      if (last !== 'entry' && from.attr === undefined) must(-ENOENT, call);
      const to = must(walk(fs, bytesOf(dest), 'entry'), call);
      return must(action(from, to), call);
    });
  }
}

/** What the kernel refuses before it asks a file system to rename. */
function renameRefusal(from: Place, to: Place, exchange: boolean): 0 | NegativeErrno {
  if (from.name === undefined || to.name === undefined) return -EBUSY;
  if (from.attr === undefined) return from.missing;
  if (to.missing === -ENAMETOOLONG) return to.missing;
  if (!isFolder(from.attr) && (from.wantsFolder || (to.wantsFolder && !exchange))) return -ENOTDIR;
  // A folder cannot go into itself, nor take the place of one that it is in.
  if (to.folders.includes(from.attr.ino)) return -EINVAL;
  if (to.attr !== undefined && from.folders.includes(to.attr.ino)) {
    return exchange ? -EINVAL : -ENOTEMPTY;
  }
  return 0;
}

/** Why what a path leads to cannot be removed: the root, or a folder by the name "." or "..". */
function unnamed(path: Path): NegativeErrno {
  const names = bytesOf(path)
    .toString('latin1')
    .split('/')
    .filter((name) => name !== '');
  const last = names.at(-1);
  if (last === undefined) return -EBUSY;
  return last === '.' ? -EINVAL : -ENOTEMPTY;
}
