/** A database, or what stands for one, that one process works with. */
export interface Running {
  /** Transaction `number`, from 1 on; when it returns the transaction is acknowledged. */
  step(number: number): void | Promise<void>;
  close(): void | Promise<void>;
}

/** What is known of the transactions of a load when its state is looked at. */
export interface Known {
  /** All up to this one must be there. */
  least: number;
  /** The last one that was acknowledged; at most the one behind it may be there, too. */
  acknowledged: number;
  /** The whole volume is as it was at one instant: a file cannot have a part of a write. */
  isInstant: boolean;
}

/** A kind of database, how it is used and how it is checked. */
export interface Load {
  name: string;
  /** An acknowledged transaction was synced. */
  isSynced: boolean;
  /** Makes it in an existing folder. */
  begin(folder: string): Promise<Running>;
  /** Opens what is left of it, which may change it: what is wrong, in sentences. */
  check(folder: string, known: Known): Promise<string[]>;
}

/** Numbers that look random and that only `number` and `salt` decide, from 0 to `limit` - 1. */
export function numberFor(number: number, salt: number, limit: number): number {
  let mixed = Math.imul(number ^ 0x9e3779b9, 0x85ebca6b) + Math.imul(salt + 1, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return ((mixed ^ (mixed >>> 16)) >>> 0) % limit;
}

/** Bytes that only `number` decides. */
export function bytesFor(number: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes, `transaction ${number} `);
  if (lengthBytes >= 4) bytes.writeUInt32LE(number, lengthBytes - 4);
  return bytes;
}

/** Whether the last transaction that is there is one that may be the last. */
export function judgeLast(last: number, { least, acknowledged }: Known): string[] {
  if (last < least) return [`transaction ${least} was acknowledged, the last one is ${last}`];
  if (last <= acknowledged + 1) return [];
  return [`transaction ${last} is there, only ${acknowledged} and one more were begun`];
}
