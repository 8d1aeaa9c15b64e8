/** A line that a program wrote into .mark. */
export interface Mark {
  sequence: number;
  text: string;
}

/** One operation that changed or synced something, to see what led to a state. */
export interface LoggedOperation {
  sequence: number;
  kind: string;
  device: string;
  path: string;
  offset?: number;
  lengthBytes?: number;
  /** What became of it, if not what was asked for: an errno, "lie" or "drop". */
  fault?: string;
}

/** What a device was asked to do. */
export interface DeviceCounts {
  reads: number;
  writes: number;
  writtenBytes: number;
  /** Of files: fsync, and fdatasync. */
  fsyncs: number;
  fdatasyncs: number;
  folderSyncs: number;
  /** Changes of names. */
  names: number;
}

/** Everything that happened, over all devices, in one order. */
export class OperationLog {
  #sequence = 0;
  readonly marks: Mark[] = [];
  #operations: LoggedOperation[] = [];
  readonly #counts: Map<string, DeviceCounts> = new Map();

  /** The number of the newest operation. */
  get sequence(): number {
    return this.#sequence;
  }

  add(operation: Omit<LoggedOperation, 'sequence'>): number {
    const sequence = ++this.#sequence;
    this.#operations.push({ sequence, ...operation });
    return sequence;
  }

  mark(text: string): void {
    this.marks.push({ sequence: ++this.#sequence, text });
  }

  /** Operations after `from`, up to `to`. */
  operations(from: number, to: number): LoggedOperation[] {
    return this.#operations.filter(({ sequence }) => sequence > from && sequence <= to);
  }

  /** Forgets what happened; the numbers and the marks go on. */
  settle(): void {
    this.#operations = [];
    this.#sequence++;
  }

  /** The counts of a device, to count on. */
  of(device: string): DeviceCounts {
    let counts = this.#counts.get(device);
    if (counts === undefined) {
      counts = {
        reads: 0,
        writes: 0,
        writtenBytes: 0,
        fsyncs: 0,
        fdatasyncs: 0,
        folderSyncs: 0,
        names: 0,
      };
      this.#counts.set(device, counts);
    }
    return counts;
  }

  counts(): Record<string, DeviceCounts> {
    return Object.fromEntries([...this.#counts].map(([name, counts]) => [name, { ...counts }]));
  }
}
