/** What we use of the native addon; it brings no types of its own. */
declare module '@ronomon/reed-solomon' {
  /** Most data shards of an encoding. */
  export const MAX_K: number;
  /** Most parity shards of an encoding. */
  export const MAX_M: number;

  /** An encoding context for k data and m parity shards; several encodings may use it at once. */
  export function create(k: number, m: number): Buffer;

  /**
   * Computes the shards of the bit set `targets` from those of `sources`, on the thread pool.
   * Shard i is bit 1 << i: data shards lie in `buffer`, parity shards behind k in `parity`.
   */
  export function encode(
    context: Buffer,
    sources: number,
    targets: number,
    buffer: Buffer,
    bufferOffset: number,
    bufferSize: number,
    parity: Buffer,
    parityOffset: number,
    paritySize: number,
    end: (error?: Error) => void,
  ): void;
}
