import type { Ino } from '../../src/base/ids.ts';
import type { Backing, OpenResult } from '../../src/vfs/mod.ts';

/** A cache file the kernel was told of. Two numbers of one file are two of these. */
interface BackingFile {
  ino: Ino;
}

interface KernelOpen {
  ino: Ino;
  handle: number;
  file: BackingFile | undefined;
}

/** The rules by which Linux 6.18 mixes cached and passed opens of an inode (fs/fuse/iomode.c). */
export class OpenKernel implements Backing {
  readonly isPossible = true;
  readonly #files = new Map<number, BackingFile>();
  readonly #opens: KernelOpen[] = [];
  /** Inodes whose cache file is mapped, once for each mapping. */
  readonly mappings: Ino[] = [];
  #id = 0;

  open(path: string): number {
    this.#files.set(++this.#id, { ino: Number(path) as Ino });
    return this.#id;
  }

  close(id: number): void {
    this.#files.delete(id);
  }

  get openCount(): number {
    return this.#opens.length;
  }

  get numbers(): number {
    return this.#files.size;
  }

  #of(ino: Ino): KernelOpen[] {
    return this.#opens.filter((one) => one.ino === ino);
  }

  /** Whether somebody has the cache file open or mapped: what a lease tells. */
  isInUse(ino: Ino): boolean {
    return this.mappings.includes(ino) || this.#of(ino).some(({ file }) => file !== undefined);
  }

  /** Takes the answer to an open; a message when it would fail with EIO. */
  opened(ino: Ino, { handle = 0, backing }: OpenResult): string | undefined {
    const others = this.#of(ino);
    const passed = others.find(({ file }) => file !== undefined)?.file;
    if (backing === undefined) {
      if (passed !== undefined) return 'a cached open beside a passed one';
      this.#opens.push({ ino, handle, file: undefined });
      return undefined;
    }
    const file = this.#files.get(backing.id);
    if (file === undefined) return `the number ${backing.id} is unknown`;
    if (file.ino !== ino) return `the number ${backing.id} is that of inode ${file.ino}`;
    if (others.some((one) => one.file === undefined)) return 'a passed open beside a cached one';
    if (passed !== undefined && passed !== file) return 'a second file behind an inode';
    this.#opens.push({ ino, handle, file });
    return undefined;
  }

  /** The last descriptor of an open is closed: the kernel ends it, and sends RELEASE later. */
  closeOne(at: number, isMapped: boolean): KernelOpen | undefined {
    const [one] = this.#opens.splice(at % Math.max(1, this.#opens.length), 1);
    if (one?.file !== undefined && isMapped) this.mappings.push(one.ino);
    return one;
  }
}
