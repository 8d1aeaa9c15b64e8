import { createRequire } from 'node:module';
import { assert } from '../base/errors.ts';
import { type ErasureScheme, formatScheme, pieceBytes } from './scheme.ts';

// The package's main file is the native addon itself, which an import statement cannot load.
const require = createRequire(import.meta.url);
const addon = require('@ronomon/reed-solomon') as typeof import('@ronomon/reed-solomon');

// Creating a context searches for good parameters, so each scheme does it once.
const contexts = new Map<string, Buffer>();

function contextOf(scheme: ErasureScheme): Buffer {
  const key = formatScheme(scheme);
  let context = contexts.get(key);
  if (context === undefined) {
    context = addon.create(scheme.dataPieces, scheme.parityPieces);
    contexts.set(key, context);
  }
  return context;
}

interface Shards {
  scheme: ErasureScheme;
  /** Bit i is set when shard i is right. */
  sources: number;
  /** Bit i is set when shard i is to be computed. */
  targets: number;
  data: Buffer;
  parity: Buffer;
}

function encode({ scheme, sources, targets, data, parity }: Shards): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: Error): void => (error ? reject(error) : resolve());
    const context = contextOf(scheme);
    const [dataBytes, parityBytes] = [data.length, parity.length];
    addon.encode(context, sources, targets, data, 0, dataBytes, parity, 0, parityBytes, end);
  });
}

/** The K+M shards of `content`; the data shards are views of it where it needs no padding. */
export async function encodeShards(scheme: ErasureScheme, content: Buffer): Promise<Buffer[]> {
  const { dataPieces, parityPieces } = scheme;
  const shardBytes = pieceBytes(scheme, content.length);
  let data = content;
  if (content.length !== dataPieces * shardBytes) {
    data = Buffer.alloc(dataPieces * shardBytes);
    content.copy(data);
  }
  const parity = Buffer.allocUnsafeSlow(parityPieces * shardBytes);
  const sources = 2 ** dataPieces - 1;
  const targets = 2 ** (dataPieces + parityPieces) - 1 - sources;
  await encode({ scheme, sources, targets, data, parity });
  return [...slices(data, shardBytes), ...slices(parity, shardBytes)];
}

/** The first `chunkBytes` bytes of the data that any K of the shards stand for. */
export async function decodeShards(
  scheme: ErasureScheme,
  chunkBytes: number,
  shards: readonly (Buffer | undefined)[],
): Promise<Buffer> {
  const { dataPieces, parityPieces } = scheme;
  const shardBytes = pieceBytes(scheme, chunkBytes);
  const data = Buffer.allocUnsafeSlow(dataPieces * shardBytes);
  let sources = 0;
  let targets = 0;
  let missing = 0;
  for (let index = 0; index < dataPieces; index++) {
    const shard = shards[index];
    if (shard === undefined) {
      targets += 2 ** index;
      missing++;
    } else {
      shard.copy(data, index * shardBytes);
      sources += 2 ** index;
    }
  }
  if (missing === 0) return data.subarray(0, chunkBytes);
  const parity = Buffer.allocUnsafeSlow(parityPieces * shardBytes);
  // The first parity shard is a plain XOR, so the lower ones are the faster sources.
  for (let row = 0; row < parityPieces && missing > 0; row++) {
    const shard = shards[dataPieces + row];
    if (shard === undefined) continue;
    shard.copy(parity, row * shardBytes);
    sources += 2 ** (dataPieces + row);
    missing--;
  }
  assert(missing === 0, `decoding ${formatScheme(scheme)} takes ${dataPieces} shards`);
  await encode({ scheme, sources, targets, data, parity });
  return data.subarray(0, chunkBytes);
}

function slices(buffer: Buffer, sliceBytes: number): Buffer[] {
  const result: Buffer[] = [];
  for (let at = 0; at < buffer.length; at += sliceBytes) {
    result.push(buffer.subarray(at, at + sliceBytes));
  }
  return result;
}
