import {
  chownSync,
  closeSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writevSync,
} from 'node:fs';
import { join } from 'node:path';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import { Cut, type CutPolicy, type NameModel } from './cut.ts';
import type { Device, DeviceTree, Node } from './device-tree.ts';
import type { FileCut, FileState } from './file-history.ts';
import { PAGE_BYTES } from './page-history.ts';

/** How many buffers writev(2) takes at once. */
const VECTOR_MAX = 1024;

/** A power cut to look at. */
export interface CrashOptions {
  /** What came after this operation has not happened. */
  sequence: number;
  seed: number;
  policy: CutPolicy;
  names: NameModel;
  /** An existing folder, not of the rig: gets one folder a device. */
  target: string;
  /** Which devices are written; all without. */
  devices?: string[];
  /** Whether to hash what is written. */
  hash?: boolean;
}

/** What was written. */
export interface CrashState {
  /** The policy that was picked for each device. */
  policies: Record<string, string>;
  files: number;
  bytes: number;
  /** Of names, sizes and contents, if asked for: the same seed gives the same. */
  hash?: string;
  ms: number;
}

/** Writes what a power cut leaves of all devices as plain folders. */
export function writeCrashState(tree: DeviceTree, options: CrashOptions): CrashState {
  const start = performance.now();
  const state = { policies: {} as Record<string, string>, files: 0, bytes: 0 };
  const hasher = options.hash === true ? new Blake3Hasher() : undefined;
  for (const device of tree.devices.values()) {
    if (options.devices !== undefined && !options.devices.includes(device.name)) continue;
    const writer = new DeviceWriter(tree, device, options, hasher);
    const { files, bytes, policy } = writer.write();
    state.files += files;
    state.bytes += bytes;
    state.policies[device.name] = policy;
  }
  const hash = hasher === undefined ? {} : { hash: hasher.digest('hex') };
  return { ...state, ...hash, ms: performance.now() - start };
}

class DeviceWriter {
  readonly #tree: DeviceTree;
  readonly #device: Device;
  readonly #options: CrashOptions;
  readonly #hasher: Blake3Hasher | undefined;
  readonly #cut: Cut;
  readonly #journal: number;
  readonly #folders: Map<number, Map<string, number>>;
  /** Where files are already, for their further names. */
  readonly #paths: Map<number, string> = new Map();
  #files = 0;
  #bytes = 0;

  constructor(tree: DeviceTree, device: Device, options: CrashOptions, hasher?: Blake3Hasher) {
    const { sequence: at, seed, policy, names } = options;
    const commits = device.commits.filter((commit) => commit <= at);
    const from = device.commits[0] ?? 0;
    this.#tree = tree;
    this.#device = device;
    this.#options = options;
    this.#hasher = hasher;
    this.#cut = new Cut({ seed, device: device.name, policy, from: Math.min(from, at), at });
    const isStrict = names === 'strict';
    this.#journal = isStrict ? 0 : this.#cut.journalEnd(commits.at(-1) ?? 0, at);
    const keeps = (sequence: number): boolean =>
      isStrict ? this.#cut.keeps(sequence) : sequence <= this.#journal;
    this.#folders = device.names.after(at, keeps);
  }

  write(): { files: number; bytes: number; policy: string } {
    const path = join(this.#options.target, this.#device.name);
    mkdirSync(path, { recursive: true });
    this.#folder(this.#device.root, path, this.#device.name);
    return { files: this.#files, bytes: this.#bytes, policy: this.#cut.policy };
  }

  #folder(ino: number, path: string, shown: string): void {
    const names = [...(this.#folders.get(ino) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, child] of names) {
      const node = this.#tree.nodes.get(child as never);
      if (node === undefined) continue;
      const childPath = `${path}/${Buffer.from(name, 'latin1').toString('utf8')}`;
      this.#node(node, childPath, `${shown}/${name}`);
    }
  }

  #node(node: Node, path: string, shown: string): void {
    const { ino, mode, uid, gid } = node.attr;
    const other = this.#paths.get(ino);
    if (other !== undefined) {
      // A folder has one name; a lost rename may not give it a second one.
      if (node.entries === undefined) linkSync(other, path);
      this.#hasher?.update(`link ${shown}\n`);
      return;
    }
    this.#paths.set(ino, path);
    this.#hasher?.update(`${shown} ${mode}\n`);
    if (node.entries !== undefined) {
      mkdirSync(path, mode & 0o7777);
      this.#folder(ino, path, shown);
    } else if (node.target !== undefined) {
      symlinkSync(node.target, path);
    } else if (node.file !== undefined) {
      const state = node.file.after(this.#fileCut(ino));
      if (state !== undefined) this.#file(state, path);
    } else {
      return; // Sockets and pipes are nothing without their processes.
    }
    if (uid !== 0 || gid !== 0) chownSync(path, uid, gid);
  }

  #fileCut(ino: number): FileCut {
    const cut = this.#cut;
    return {
      at: this.#options.sequence,
      journal: this.#journal,
      isOrdered: this.#options.names === 'ext4',
      keeps: (sequence, page, sector) => cut.keepsSector(sequence, page, sector),
      isTorn: cut.isTorn,
      pickMeta: (count, sequenceOf) => cut.pickMeta(ino, count, sequenceOf),
    };
  }

  #file({ sizeBytes, mode, mtime, pages }: FileState, path: string): void {
    this.#files++;
    this.#hasher?.update(`${sizeBytes} ${mode} ${mtime.sec}\n`);
    const fd = openSync(path, 'w', mode);
    try {
      for (let index = 0; index < pages.length; ) {
        const first = pages[index]?.page ?? 0;
        const run: Buffer[] = [];
        while (pages[index]?.page === first + run.length && run.length < VECTOR_MAX) {
          run.push(pages[index++]?.bytes as Buffer);
        }
        this.#hasher?.update(`${first} ${run.length}\n`);
        for (const bytes of run) this.#hasher?.update(bytes);
        writeAll(fd, run, first * PAGE_BYTES);
        this.#bytes += run.length * PAGE_BYTES;
      }
      ftruncateSync(fd, sizeBytes);
      futimesSync(fd, mtime.sec, mtime.sec + mtime.nsec / 1e9);
    } finally {
      closeSync(fd);
    }
  }
}

function writeAll(fd: number, buffers: Buffer[], offset: number): void {
  const written = writevSync(fd, buffers, offset);
  const wanted = buffers.reduce((sum, { length }) => sum + length, 0);
  if (written !== wanted) throw new Error(`Cannot write a state: ${written} of ${wanted} bytes`);
}
