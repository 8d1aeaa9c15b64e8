/** Bytes of a page: what the cache of a real system writes to the device at once. */
export const PAGE_BYTES = 4096;
/** Bytes a device writes whole or not at all. */
export const SECTOR_BYTES = 512;
const SECTORS = PAGE_BYTES / SECTOR_BYTES;
/** How many changes of parts of a page are kept before the whole page is, to read it faster. */
const PARTS_MAX = 32;

/** One change of one page. */
interface Version {
  sequence: number;
  start: number;
  end: number;
  /** undefined: zeros, by a truncation or a punched hole. */
  bytes: Buffer | undefined;
  /** The page as it is behind this change, where that is at hand. */
  page: Buffer | undefined;
  /** It is on the medium whatever is lost: a flipped bit. */
  isForced: boolean;
}

/** What of a file's changes a power cut leaves. */
export interface PageCut {
  /** Changes after it have not happened yet. */
  at: number;
  /** Changes up to it are on the device. */
  synced: number;
  /** Truncations and punched holes after it are lost. */
  metaTo: number;
  /** Whether the change was taken back by a failed sync. */
  isDropped: (sequence: number) => boolean;
  /** Whether a change that is not synced is there, in a sector of a page. */
  keeps: (sequence: number, page: number, sector: number) => boolean;
  /** Sectors of one page may differ in what was kept. */
  isTorn: boolean;
}

/**
 * One page of a file and every change of it. A change that is written to the device takes the page
 * there as it is in memory, so what is there after a power cut is always the page behind one of its
 * changes, or sector by sector behind several.
 */
export class PageHistory {
  readonly #versions: Version[] = [];
  #live: Buffer | undefined;
  /** Nobody else has #live, so it may be changed. */
  #isOwn = false;
  #parts = 0;

  /** The page as it is now; undefined is a hole. */
  get live(): Buffer | undefined {
    return this.#live;
  }

  /** `bytes` belong to the page from now on. */
  write(sequence: number, start: number, bytes: Buffer, isForced = false): void {
    const end = start + bytes.length;
    const isWhole = bytes.length === PAGE_BYTES;
    if (isWhole) {
      this.#live = bytes;
      this.#isOwn = false;
    } else {
      bytes.copy(this.#own(), start);
    }
    this.#add({ sequence, start, end, bytes, page: isWhole ? bytes : undefined, isForced });
  }

  /** Makes a part zeros; all of the page a hole. */
  zero(sequence: number, start: number, end: number): void {
    if (this.#live === undefined) return;
    if (start === 0 && end === PAGE_BYTES) this.#live = undefined;
    else this.#own().fill(0, start, end);
    const version = { sequence, start, end, bytes: undefined, page: undefined, isForced: false };
    this.#add(version);
  }

  /** Forgets what was before: the page is on the device as it is now. */
  settle(sequence: number): void {
    this.#versions.length = 0;
    this.#parts = 0;
    if (this.#live === undefined) return;
    this.#isOwn = false;
    const page = this.#live;
    const version = { sequence, start: 0, end: PAGE_BYTES, bytes: page, page, isForced: false };
    this.#versions.push(version);
  }

  /** What a power cut leaves of the page; undefined is a hole. */
  after(page: number, cut: PageCut): Buffer | undefined {
    const { base, last } = this.#range(cut);
    if (last < 0) return undefined;
    const first = this.#pick(page, 0, base, last, cut);
    if (!cut.isTorn || base === last) return this.#content(first);
    let isSame = true;
    // A block that was a hole leads to its bytes when all of them are there (ext4, XFS).
    const wasHole = this.#content(base) === undefined;
    if (wasHole && first === base) return undefined;
    const picks = Array.from({ length: SECTORS }, (_, sector) => {
      const wanted = sector === 0 ? first : this.#pick(page, sector, base, last, cut);
      const picked = wasHole && wanted === base ? first : wanted;
      if (picked !== first) isSame = false;
      return picked;
    });
    if (isSame) return this.#content(first);
    const torn = Buffer.alloc(PAGE_BYTES);
    for (const [sector, picked] of picks.entries()) {
      const start = sector * SECTOR_BYTES;
      this.#content(picked)?.copy(torn, start, start, start + SECTOR_BYTES);
    }
    return torn;
  }

  /** The newest change that is surely on the device, and the newest that may be; -1 for none. */
  #range({ at, synced, metaTo, isDropped }: PageCut): { base: number; last: number } {
    let base = -1;
    let last = -1;
    for (const [index, version] of this.#versions.entries()) {
      const { sequence } = version;
      if (sequence > at) break;
      // What was written after a lost truncation went to blocks that nothing leads to.
      if (version.bytes === undefined && sequence > metaTo) break;
      last = index;
      // A hole that is not lost is there, and nothing is left of what was before it.
      const isHole = version.bytes === undefined && version.end - version.start === PAGE_BYTES;
      const isSure = (isHole || sequence <= synced) && !isDropped(sequence);
      if (isSure || version.isForced) base = index;
    }
    return { base, last };
  }

  #pick(page: number, sector: number, base: number, last: number, cut: PageCut): number {
    for (let index = last; index > base; index--) {
      const version = this.#versions[index];
      if (version === undefined || cut.isDropped(version.sequence)) continue;
      // A truncation that is not lost is there.
      if (version.bytes === undefined || cut.keeps(version.sequence, page, sector)) return index;
    }
    return base;
  }

  /** The page behind the change at `index`. */
  #content(index: number): Buffer | undefined {
    let from = index;
    let page: Buffer | undefined;
    for (; from >= 0; from--) {
      const version = this.#versions[from];
      if (version?.page !== undefined) {
        page = version.page;
        break;
      }
      if (version?.bytes === undefined && version?.start === 0 && version.end === PAGE_BYTES) break;
    }
    if (from === index) return page;
    let copy = page === undefined ? undefined : Buffer.from(page);
    for (let next = from + 1; next <= index; next++) {
      const { start, end, bytes } = this.#versions[next] as Version;
      if (bytes !== undefined) {
        copy ??= Buffer.alloc(PAGE_BYTES);
        bytes.copy(copy, start);
      } else copy?.fill(0, start, end);
    }
    return copy;
  }

  #own(): Buffer {
    if (this.#live !== undefined && this.#isOwn) return this.#live;
    const own = Buffer.allocUnsafeSlow(PAGE_BYTES);
    if (this.#live === undefined) own.fill(0);
    else this.#live.copy(own);
    this.#live = own;
    this.#isOwn = true;
    return own;
  }

  #add(version: Version): void {
    if (version.page !== undefined) this.#parts = 0;
    else if (++this.#parts >= PARTS_MAX && this.#live !== undefined) {
      this.#parts = 0;
      version.page = Buffer.from(this.#live);
    }
    this.#versions.push(version);
  }
}
