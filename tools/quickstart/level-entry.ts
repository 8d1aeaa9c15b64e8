import { blake3 } from '@napi-rs/blake-hash';

/** Key and value number `number`: the value can be computed from the key, and so be checked. */
export function levelEntry(number: number): { key: string; value: string } {
  const key = `key-${String(number).padStart(8, '0')}`;
  return { key, value: blake3(Buffer.from(key)).toString('hex') };
}
