import { PAGE_BYTES, type PageCut, PageHistory } from './page-history.ts';

/** Seconds and nanoseconds since 1970. */
export interface Time {
  sec: number;
  nsec: number;
}

/** What an inode says, behind one change. */
interface Meta {
  sequence: number;
  sizeBytes: number;
  /** Permission bits, which come to the device with the size. */
  mode: number;
  mtime: Time;
}

/** What a power cut leaves of a file. */
export interface FileCut extends Omit<PageCut, 'synced' | 'metaTo' | 'isDropped'> {
  /** What the device's journal has anyway: the newest change of size that is surely there. */
  journal: number;
  /** Sizes come to the device only behind the bytes they cover (ext4, data=ordered). */
  isOrdered: boolean;
  /** Picks how many of `count` changes of size or time in a row are there, 0 to `count`. */
  pickMeta: (count: number, sequences: (index: number) => number) => number;
}

/** A file as a power cut leaves it: its pages in order, without the holes. */
export interface FileState {
  sizeBytes: number;
  mode: number;
  mtime: Time;
  pages: { page: number; bytes: Buffer }[];
}

/** The content of one file, now and as a power cut at any time may leave it. */
export class FileHistory {
  readonly #pages: Map<number, PageHistory> = new Map();
  readonly #metas: Meta[];
  /** When the file was synced, and when with its times. */
  readonly #syncs: number[] = [];
  readonly #fullSyncs: number[] = [];
  /** Changes that failed syncs took back: after `from`, up to `to`. */
  #drops: { from: number; to: number }[] = [];
  #sorted: number[] | undefined;
  #sizeBytes = 0;
  #allocated = 0;

  constructor(sequence: number, made: { mode: number; mtime: Time }) {
    this.#metas = [{ sequence, sizeBytes: 0, ...made }];
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** How many pages hold data. */
  get allocatedPages(): number {
    return this.#allocated;
  }

  /** How many pages a write would allocate. */
  newPages(offset: number, lengthBytes: number): number {
    let count = 0;
    for (const { page } of spans(offset, offset + lengthBytes)) {
      if (this.#pages.get(page)?.live === undefined) count++;
    }
    return count;
  }

  read(offset: number, into: Buffer, at: number, lengthBytes: number): number {
    const to = Math.min(this.#sizeBytes, offset + lengthBytes);
    if (to <= offset) return 0;
    for (const { page, start, end } of spans(offset, to)) {
      const where = at + page * PAGE_BYTES + start - offset;
      const live = this.#pages.get(page)?.live;
      if (live === undefined) into.fill(0, where, where + end - start);
      else live.copy(into, where, start, end);
    }
    return to - offset;
  }

  /** `data` belongs to the history from now on. */
  write(sequence: number, offset: number, data: Buffer, mtime: Time): void {
    const to = offset + data.length;
    for (const { page, start, end } of spans(offset, to)) {
      const from = page * PAGE_BYTES + start - offset;
      this.#page(page).write(sequence, start, data.subarray(from, from + end - start));
    }
    this.#setMeta(sequence, Math.max(this.#sizeBytes, to), mtime);
  }

  /** Sets the size, or with the size as it is the time alone. */
  resize(sequence: number, sizeBytes: number, mtime: Time): void {
    if (sizeBytes < this.#sizeBytes) this.#zero(sequence, sizeBytes, this.#sizeBytes);
    this.#setMeta(sequence, sizeBytes, mtime);
  }

  /** Sets the permission bits. */
  chmod(sequence: number, mode: number): void {
    const { mtime } = this.#metas.at(-1) as Meta;
    this.#metas.push({ sequence, sizeBytes: this.#sizeBytes, mode, mtime });
  }

  punch(sequence: number, start: number, end: number, mtime: Time): void {
    this.#zero(sequence, start, Math.min(end, this.#sizeBytes));
    this.#setMeta(sequence, this.#sizeBytes, mtime);
  }

  /** Turns a bit of the medium over; the file's pages are on the device then. */
  flip(sequence: number, page: number, bit: number): void {
    const live = this.#pages.get(page)?.live;
    if (live === undefined) return;
    const byte = Math.floor(bit / 8);
    const flipped = Buffer.from([(live[byte] ?? 0) ^ (1 << (bit % 8))]);
    this.#pages.get(page)?.write(sequence, byte, flipped, true);
  }

  sync(sequence: number, dataOnly: boolean): void {
    this.#syncs.push(sequence);
    if (!dataOnly) this.#fullSyncs.push(sequence);
  }

  /** A sync that failed: what it should have written never comes to the device by itself. */
  drop(sequence: number): void {
    this.#drops.push({ from: this.#syncs.at(-1) ?? 0, to: sequence });
  }

  settle(sequence: number): void {
    const last = this.#metas.at(-1) as Meta;
    this.#metas.length = 0;
    this.#metas.push({ ...last, sequence });
    this.#syncs.splice(0, this.#syncs.length, sequence);
    this.#fullSyncs.splice(0, this.#fullSyncs.length, sequence);
    this.#drops = [];
    for (const page of this.#pages.values()) page.settle(sequence);
  }

  /** Numbers of the pages that hold data, in order. */
  dataPages(): readonly number[] {
    this.#sorted ??= [...this.#pages]
      .filter(([, page]) => page.live !== undefined)
      .map(([number]) => number)
      .sort((a, b) => a - b);
    return this.#sorted;
  }

  /** The first offset with data from `offset` on. */
  nextData(offset: number): number | undefined {
    const pages = this.dataPages();
    const next = pages[upTo(pages, Math.floor(offset / PAGE_BYTES) - 1, (page) => page)];
    const found = next === undefined ? Infinity : Math.max(offset, next * PAGE_BYTES);
    return found < this.#sizeBytes ? found : undefined;
  }

  /** The first offset in a hole from `offset` on; the end of the file counts as one. */
  nextHole(offset: number): number {
    const pages = this.dataPages();
    let page = Math.floor(offset / PAGE_BYTES);
    for (let index = upTo(pages, page - 1, (one) => one); pages[index] === page; index++) page++;
    return Math.min(Math.max(offset, page * PAGE_BYTES), this.#sizeBytes);
  }

  /** What a power cut leaves; undefined when the file is not there yet. */
  after(cut: FileCut): FileState | undefined {
    const { at } = cut;
    const count = upTo(this.#metas, at, (meta) => meta.sequence);
    if (count === 0) return undefined;
    const synced = Math.max(lastUpTo(this.#syncs, at), cut.journal);
    const size = this.#pickMeta(cut, count, synced);
    const time = this.#pickMeta(cut, count, lastUpTo(this.#fullSyncs, at));
    const drops = this.#drops.filter(({ to }) => to <= at);
    const isDropped = (sequence: number): boolean =>
      drops.some(({ from, to }) => sequence > from && sequence <= to);
    const durable = this.#metas[upTo(this.#metas, synced, (meta) => meta.sequence) - 1];
    const oldPages = Math.floor((durable?.sizeBytes ?? 0) / PAGE_BYTES);
    const metaTo = Math.max(size.sequence, synced);
    const pageCut = { ...cut, synced: lastUpTo(this.#syncs, at), metaTo, isDropped };
    const ordered = { ...pageCut, synced: metaTo };
    const pages: FileState['pages'] = [];
    for (const [page, history] of this.#pages) {
      if (page * PAGE_BYTES >= size.sizeBytes) continue;
      const bytes = history.after(page, cut.isOrdered && page >= oldPages ? ordered : pageCut);
      if (bytes !== undefined) pages.push({ page, bytes });
    }
    pages.sort((a, b) => a.page - b.page);
    return { sizeBytes: size.sizeBytes, mode: size.mode, mtime: time.mtime, pages };
  }

  /** The inode as it is on the device: one of the states since `synced`. */
  #pickMeta(cut: FileCut, count: number, synced: number): Meta {
    const base = Math.max(0, upTo(this.#metas, synced, (meta) => meta.sequence) - 1);
    const more = count - 1 - base;
    const at = (index: number): number => this.#metas[base + index]?.sequence ?? 0;
    const picked = more <= 0 ? 0 : cut.pickMeta(more, at);
    return this.#metas[Math.min(base + picked, count - 1)] as Meta;
  }

  #setMeta(sequence: number, sizeBytes: number, mtime: Time): void {
    const { mode } = this.#metas.at(-1) as Meta;
    this.#sizeBytes = sizeBytes;
    this.#metas.push({ sequence, sizeBytes, mode, mtime });
  }

  #zero(sequence: number, from: number, to: number): void {
    if (to <= from) return;
    const isFew = (to - from) / PAGE_BYTES < this.#pages.size;
    const touched = isFew ? spans(from, to) : this.#spansOfPages(from, to);
    for (const { page, start, end } of touched) {
      const history = this.#pages.get(page);
      if (history?.live === undefined) continue;
      // Behind the end of the file nothing is to be kept.
      const isLast = to >= this.#sizeBytes && page === Math.floor(to / PAGE_BYTES);
      history.zero(sequence, start, isLast ? PAGE_BYTES : end);
      if (history.live !== undefined) continue;
      this.#allocated--;
      this.#sorted = undefined;
    }
  }

  *#spansOfPages(from: number, to: number): Generator<Span> {
    for (const page of this.#pages.keys()) {
      const start = Math.max(0, from - page * PAGE_BYTES);
      const end = Math.min(PAGE_BYTES, to - page * PAGE_BYTES);
      if (start < end) yield { page, start, end };
    }
  }

  /** The page that is about to be written. */
  #page(number: number): PageHistory {
    let page = this.#pages.get(number);
    if (page?.live === undefined) {
      this.#allocated++;
      this.#sorted = undefined;
    }
    if (page === undefined) {
      page = new PageHistory();
      this.#pages.set(number, page);
    }
    return page;
  }
}

interface Span {
  page: number;
  start: number;
  end: number;
}

/** The parts of pages between two offsets. */
function* spans(from: number, to: number): Generator<Span> {
  for (let page = Math.floor(from / PAGE_BYTES); page * PAGE_BYTES < to; page++) {
    const start = Math.max(0, from - page * PAGE_BYTES);
    yield { page, start, end: Math.min(PAGE_BYTES, to - page * PAGE_BYTES) };
  }
}

/** How many of a sorted list are at or below `limit`. */
function upTo<T>(list: readonly T[], limit: number, value: (item: T) => number): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value(list[middle] as T) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function lastUpTo(list: readonly number[], limit: number): number {
  return list[upTo(list, limit, (value) => value) - 1] ?? 0;
}
