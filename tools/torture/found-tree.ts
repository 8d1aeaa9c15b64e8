import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { MIB } from '../../src/base/limits.ts';
import type { Attr, RequestContext, Vfs } from '../../src/vfs/mod.ts';
import type { NodeKind } from './model.ts';

/** An inode as a volume shows it. */
export interface FoundNode {
  ino: Ino;
  kind: NodeKind;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  target: string;
  xattrs: Map<string, Buffer>;
  bytes: Buffer;
  entries: Map<string, Ino>;
  mtime: string;
  ctime: string;
}

/** All inodes that have a name. */
export type FoundTree = Map<Ino, FoundNode>;

const KINDS: Readonly<Record<number, NodeKind>> = {
  0o100000: 'file',
  0o040000: 'folder',
  0o120000: 'symlink',
  0o010000: 'fifo',
};
const S_IFMT = 0o170000;
const BY: RequestContext = { uid: 0, gid: 0, pid: 1, umask: 0, unique: 2, resent: false };

/** Reads all of a volume. Throws what could not be read. */
export async function findTree(fs: Vfs): Promise<FoundTree> {
  const tree: FoundTree = new Map();
  const waiting: Ino[] = [ROOT_INO];
  for (let ino = waiting.pop(); ino !== undefined; ino = waiting.pop()) {
    if (tree.has(ino)) continue;
    const node = await findNode(fs, ino);
    tree.set(ino, node);
    waiting.push(...node.entries.values());
  }
  return tree;
}

async function findNode(fs: Vfs, ino: Ino): Promise<FoundNode> {
  const attr = got(`attributes of inode ${ino}`, await fs.getattr(ino));
  const kind = KINDS[attr.mode & S_IFMT];
  if (kind === undefined) throw new Error(`inode ${ino} has mode ${attr.mode.toString(8)}`);
  const node: FoundNode = {
    ino,
    kind,
    mode: attr.mode & 0o7777,
    uid: attr.uid,
    gid: attr.gid,
    nlink: attr.nlink,
    target: '',
    xattrs: await findXattrs(fs, ino),
    bytes: Buffer.alloc(0),
    entries: new Map(),
    mtime: `${attr.mtimeSec}.${String(attr.mtimeNsec).padStart(9, '0')}`,
    ctime: `${attr.ctimeSec}.${String(attr.ctimeNsec).padStart(9, '0')}`,
  };
  if (kind === 'symlink') node.target = got('target', await fs.readlink(ino)).toString();
  else if (kind === 'file') node.bytes = await findBytes(fs, attr);
  else if (kind === 'folder') await findEntries(fs, node);
  return node;
}

async function findXattrs(fs: Vfs, ino: Ino): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const list = got('attribute names', await fs.listxattr(BY, ino));
  for (const name of list.toString().split('\0').filter(Boolean)) {
    found.set(name, Buffer.from(got(name, await fs.getxattr(ino, Buffer.from(name)))));
  }
  return found;
}

async function findBytes(fs: Vfs, { ino, sizeBytes }: Attr): Promise<Buffer> {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes; at += MIB) {
    const length = Math.min(MIB, sizeBytes - at);
    const read = await fs.read(ino, at, length, bytes, at);
    if (typeof read !== 'number') read.copy(bytes, at);
    const count = typeof read === 'number' ? read : read.length;
    if (count !== length)
      throw new Error(`inode ${ino}: read ${count} of ${length} bytes at ${at}`);
  }
  return bytes;
}

async function findEntries(fs: Vfs, node: FoundNode): Promise<void> {
  const names: [string, Ino][] = [];
  const end = await fs.readdir(node.ino, 0, (name, ino) => {
    names.push([name.toString(), ino]);
    return true;
  });
  if (end !== 0) throw new Error(`folder ${node.ino} cannot be listed: ${end}`);
  for (const [name, ino] of names) {
    if (name === '.' || name === '..') continue;
    const attr = got(name, await fs.lookup(node.ino, Buffer.from(name)));
    if (attr.ino !== ino)
      throw new Error(`${name} is inode ${ino} in the listing, else ${attr.ino}`);
    node.entries.set(name, ino);
  }
}

function got<T>(what: string, reply: T | number): T {
  if (typeof reply === 'number') throw new Error(`${what}: errno ${-reply}`);
  return reply;
}
