import { EOPNOTSUPP } from '../../src/base/errno.ts';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import type { LiveVolume } from '../../src/node/mod.ts';
import type { Attr, RequestContext, Vfs } from '../../src/vfs/mod.ts';
import type { Executor } from './executor.ts';
import {
  type Id,
  type Operation,
  type Outcome,
  ROOT_ID,
  type SyncKind,
  xattrValue,
} from './operations.ts';
import { stamped } from './stamps.ts';

const S_IFREG = 0o100000;
const S_IFIFO = 0o010000;
const O_RDWR_CREAT_EXCL = 0o302;
const O_RDWR = 2;
const RENAME_EXCHANGE = 2;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const ZERO_RANGE = 16;
/** More lookups than the kernel can have counted. */
const ALL_LOOKUPS = 1e9;

type Copied = Pick<Outcome, 'lengthBytes' | 'isShared'>;

/** Carries operations out on a volume of this process, as the driver would ask it to. */
export class VfsExecutor implements Executor {
  readonly #volume: LiveVolume;
  readonly #fs: Vfs;
  readonly #inos: Map<Id, Ino>;
  #unique = 0;

  /** `inos`: the inodes there are already, which the executor adds to. */
  constructor(volume: LiveVolume, inos: Map<Id, Ino> = new Map([[ROOT_ID, ROOT_INO]])) {
    this.#volume = volume;
    this.#fs = volume.fileSystem;
    this.#inos = inos;
  }

  #by(): RequestContext {
    this.#unique += 2;
    return { uid: 0, gid: 0, pid: 1, umask: 0, unique: this.#unique, resent: false };
  }

  #ino(id: Id): Ino {
    const ino = this.#inos.get(id);
    if (ino === undefined) throw new Error(`Cannot find the inode of ${id}`);
    return ino;
  }

  async run(operation: Operation, number: number, touched: readonly Id[]): Promise<Outcome> {
    const copied = await this.#do(operation, number);
    const times = touched
      .filter((id) => this.#inos.has(id))
      .map((id): Outcome['times'][number] => {
        const attr = valueOf(operation, this.#fs.getattr(this.#ino(id)) as Attr | number);
        return [id, { mtime: timeOf(attr, 'mtime'), ctime: timeOf(attr, 'ctime') }];
      });
    return { times, ...copied };
  }

  async #do(operation: Operation, number: number): Promise<Copied | undefined> {
    const fs = this.#fs;
    const by = this.#by();
    switch (operation.kind) {
      case 'create':
      case 'mkdir':
      case 'symlink':
      case 'fifo':
      case 'tmpfile':
        return await this.#make(operation);
      case 'write': {
        const { id, offset, lengthBytes } = operation;
        const data = stamped(id, number, offset, lengthBytes);
        checked(operation, await fs.write(by, this.#ino(id), offset, data, false));
        return undefined;
      }
      case 'truncate': {
        const change = { sizeBytes: operation.sizeBytes };
        valueOf(operation, await fs.setattr(by, this.#ino(operation.id), change));
        return undefined;
      }
      case 'punch':
      case 'zero':
      case 'grow': {
        const { kind, id, offset, lengthBytes } = operation;
        const mode = kind === 'punch' ? PUNCH_HOLE | KEEP_SIZE : kind === 'zero' ? ZERO_RANGE : 0;
        const range = { offset, lengthBytes, mode };
        checked(operation, await fs.fallocate(by, this.#ino(id), range));
        return undefined;
      }
      case 'clone':
        return await this.#clone(operation);
      case 'rename':
      case 'link':
      case 'unlink':
      case 'rmdir':
        await this.#names(operation);
        return undefined;
      case 'close':
        fs.forget(this.#ino(operation.id), ALL_LOOKUPS);
        return undefined;
      case 'setxattr':
      case 'removexattr':
      case 'chmod':
      case 'chown':
      case 'utimes':
        await this.#attributes(operation, number);
        return undefined;
      case 'evict':
        await this.#volume.cache.evict(this.#ino(operation.id));
        return undefined;
      default:
        return undefined;
    }
  }

  async #make(
    operation: Operation & { kind: 'create' | 'mkdir' | 'symlink' | 'fifo' | 'tmpfile' },
  ): Promise<undefined> {
    const fs = this.#fs;
    const by = this.#by();
    const { kind, id, mode } = operation;
    const parent = this.#ino(operation.parent);
    let attr: Attr;
    if (kind === 'tmpfile' || kind === 'create') {
      const made =
        kind === 'tmpfile'
          ? await fs.tmpfile(by, parent, S_IFREG | mode, O_RDWR)
          : await fs.create(by, parent, nameOf(operation.name), S_IFREG | mode, O_RDWR_CREAT_EXCL);
      const opened = valueOf(operation, made);
      fs.release(this.#by(), opened.attr.ino, opened.open.handle ?? 0);
      attr = opened.attr;
    } else {
      const name = nameOf(operation.name);
      const reply =
        kind === 'mkdir'
          ? fs.mkdir(by, parent, name, mode)
          : kind === 'fifo'
            ? fs.mknod(by, parent, name, S_IFIFO | mode, 0)
            : fs.symlink(
                by,
                parent,
                name,
                Buffer.from('target' in operation ? operation.target : ''),
              );
      attr = valueOf(operation, await reply);
    }
    this.#inos.set(id, attr.ino);
    return undefined;
  }

  async #names(
    operation: Operation & { kind: 'rename' | 'link' | 'unlink' | 'rmdir' },
  ): Promise<void> {
    const fs = this.#fs;
    const by = this.#by();
    const parent = this.#ino(operation.parent);
    const name = nameOf(operation.name);
    switch (operation.kind) {
      case 'link':
        valueOf(operation, await fs.link(by, this.#ino(operation.id), parent, name));
        return;
      case 'rmdir': {
        const folder = valueOf(operation, await fs.lookup(parent, name));
        checked(operation, await fs.rmdir(by, parent, name));
        fs.forget(folder.ino, ALL_LOOKUPS);
        return;
      }
      case 'unlink': {
        const { ino } = valueOf(operation, await fs.lookup(parent, name));
        checked(operation, await fs.unlink(by, parent, name));
        if (!operation.keepOpen) this.#forgetUnnamed(ino);
        return;
      }
      case 'rename': {
        const { newParent, newName, exchange, keepOpen } = operation;
        const to = this.#ino(newParent);
        const onto = await fs.lookup(to, nameOf(newName));
        const flags = exchange ? RENAME_EXCHANGE : 0;
        checked(operation, await fs.rename(by, parent, name, to, nameOf(newName), flags));
        if (typeof onto !== 'number' && !exchange && !keepOpen) this.#forgetUnnamed(onto.ino);
      }
    }
  }

  /** The kernel forgets an inode when its last name is gone and nobody has it open. */
  #forgetUnnamed(ino: Ino): void {
    const attr = this.#fs.getattr(ino);
    if (typeof attr === 'object' && 'nlink' in attr && attr.nlink > 0) return;
    this.#fs.forget(ino, ALL_LOOKUPS);
  }

  async #attributes(
    operation: Operation & { kind: 'setxattr' | 'removexattr' | 'chmod' | 'chown' | 'utimes' },
    number: number,
  ): Promise<void> {
    const fs = this.#fs;
    const by = this.#by();
    const ino = this.#ino(operation.id);
    switch (operation.kind) {
      case 'setxattr': {
        const value = xattrValue(number, operation.lengthBytes);
        const change = { name: nameOf(operation.name), value, flags: 0, killSgid: false };
        checked(operation, await fs.setxattr(by, ino, change));
        return;
      }
      case 'removexattr':
        checked(operation, await fs.removexattr(by, ino, nameOf(operation.name)));
        return;
      case 'chmod':
        valueOf(operation, await fs.setattr(by, ino, { mode: operation.mode }));
        return;
      case 'chown': {
        const { uid, gid } = operation;
        valueOf(operation, await fs.setattr(by, ino, { uid, gid }));
        return;
      }
      case 'utimes': {
        const mtime = { sec: operation.sec, nsec: operation.nsec };
        valueOf(operation, await fs.setattr(by, ino, { mtime }));
      }
    }
  }

  /** Shares what can be shared; what cannot is copied by bytes, as the kernel does it. */
  async #clone(operation: Operation & { kind: 'clone' }): Promise<Copied> {
    const { source, sourceOffset, id, offset, lengthBytes } = operation;
    const [from, to] = [this.#ino(source), this.#ino(id)];
    const copy = { from, fromOffset: sourceOffset, to, toOffset: offset, lengthBytes };
    const shared = await this.#fs.copyRange(this.#by(), copy);
    if (shared !== -EOPNOTSUPP) {
      return { lengthBytes: checked(operation, shared), isShared: true };
    }
    const memory = Buffer.alloc(lengthBytes);
    const read = await this.#fs.read(from, sourceOffset, lengthBytes, memory, 0);
    const data = typeof read === 'number' ? memory.subarray(0, read) : read;
    const written = await this.#fs.write(this.#by(), to, offset, data, false);
    return { lengthBytes: checked(operation, written), isShared: false };
  }

  async sync(id: Id, how: SyncKind): Promise<void> {
    const ino = this.#ino(id);
    const fs = this.#fs;
    const reply = how === 'flush' ? fs.flush(ino) : fs.fsync(ino, how === 'fdatasync');
    if ((await reply) !== 0) throw new Error(`Cannot ${how} file ${id}: ${String(await reply)}`);
  }

  async commit(): Promise<void> {
    await this.#volume.committer.commit();
  }
}

function nameOf(name: string): Buffer {
  return Buffer.from(name);
}

function valueOf<T>(operation: Operation, reply: T | number): T {
  if (typeof reply === 'number') return failed(operation, reply);
  return reply;
}

function checked(operation: Operation, reply: number): number {
  return reply < 0 ? failed(operation, reply) : reply;
}

function failed(operation: Operation, errno: number): never {
  throw new Error(`${JSON.stringify(operation)} failed with errno ${-errno}`);
}

function timeOf(attr: Attr, which: 'mtime' | 'ctime'): string {
  const [sec, nsec] = [attr[`${which}Sec`], attr[`${which}Nsec`]];
  return `${sec}.${String(nsec).padStart(9, '0')}`;
}
