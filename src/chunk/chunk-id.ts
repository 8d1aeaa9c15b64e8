import { blake3 } from '@napi-rs/blake-hash';
import type { ChunkId } from '../base/ids.ts';

/** The name of a chunk: the BLAKE3-256 of its content, 32 bytes. */
export function hashChunk(content: Uint8Array): ChunkId {
  return blake3(content) as ChunkId;
}
