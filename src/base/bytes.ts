import { DfsError } from './errors.ts';

/** Grows as it is written: little-endian integers, length-prefixed byte strings. */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(capacityBytes);
  }

  get length(): number {
    return this.#length;
  }

  #reserve(bytes: number): number {
    const at = this.#length;
    const needed = at + bytes;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    this.#length = needed;
    return at;
  }

  u8(value: number): this {
    const at = this.#reserve(1);
    this.#buffer.writeUInt8(value, at);
    return this;
  }

  u16(value: number): this {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16LE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }

  /** A safe integer from 0 to 2^53-1 in eight bytes. */
  u53(value: number): this {
    const at = this.#reserve(8);
    this.#buffer.writeUInt32LE(value % 0x1_0000_0000, at);
    this.#buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
    return this;
  }

  /** A safe integer of either sign in eight bytes, two's complement. */
  i53(value: number): this {
    const at = this.#reserve(8);
    this.#buffer.writeBigInt64LE(BigInt(value), at);
    return this;
  }

  /** Bytes as they are, without a length. */
  raw(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  /** A u32 length, then the bytes. */
  bytes(value: Uint8Array): this {
    return this.u32(value.length).raw(value);
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value, 'utf8'));
  }

  /** Begins anew in the same memory. */
  reset(): void {
    this.#length = 0;
  }

  /** What was written, a view that the next write may invalidate. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  finish(): Buffer {
    return Buffer.from(this.view());
  }
}

/** Reads what {@link ByteWriter} wrote; running past the end throws CORRUPT. */
export class ByteReader {
  readonly #buffer: Buffer;
  readonly #what: string;
  #at = 0;

  constructor(buffer: Buffer, what: string) {
    this.#buffer = buffer;
    this.#what = what;
  }

  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#buffer.length - this.#at;
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#buffer.length - at) {
      throw new DfsError(
        'CORRUPT',
        `Cannot read ${this.#what}: it ends at byte ${this.#buffer.length}, ${bytes} more were expected at ${at}`,
      );
    }
    this.#at = at + bytes;
    return at;
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  u53(): number {
    const at = this.#take(8);
    const high = this.#buffer.readUInt32LE(at + 4);
    if (high > 0x1f_ffff)
      throw new DfsError(
        'CORRUPT',
        `Cannot read ${this.#what}: the integer at byte ${at} exceeds 2^53`,
      );
    return high * 0x1_0000_0000 + this.#buffer.readUInt32LE(at);
  }

  i53(): number {
    const value = Number(this.#buffer.readBigInt64LE(this.#take(8)));
    if (!Number.isSafeInteger(value))
      throw new DfsError('CORRUPT', `Cannot read ${this.#what}: an integer exceeds 2^53`);
    return value;
  }

  /** A view of the next `length` bytes. */
  raw(length: number): Buffer {
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  /** A copy of a length-prefixed byte string. */
  bytes(): Buffer {
    return Buffer.from(this.raw(this.u32()));
  }

  text(): string {
    return this.raw(this.u32()).toString('utf8');
  }

  /** Throws CORRUPT unless everything was read. */
  end(): void {
    if (this.remaining !== 0)
      throw new DfsError(
        'CORRUPT',
        `Cannot read ${this.#what}: ${this.remaining} bytes are left over`,
      );
  }
}
