import { badArgument } from './errors.ts';

/** What node:fs/promises takes as the content of a file. */
export type Content =
  | string
  | NodeJS.ArrayBufferView
  | Iterable<string | NodeJS.ArrayBufferView>
  | AsyncIterable<string | NodeJS.ArrayBufferView>;

/** The bytes of a view, without a copy. */
export function bytesOfView(view: NodeJS.ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

/** A content piece by piece. */
export async function* piecesOf(
  content: Content,
  encoding?: BufferEncoding,
): AsyncGenerator<Buffer> {
  if (typeof content === 'string' || ArrayBuffer.isView(content)) {
    yield bytes(content, encoding);
    return;
  }
  for await (const piece of content) yield bytes(piece, encoding);
}

function bytes(piece: string | NodeJS.ArrayBufferView, encoding?: BufferEncoding): Buffer {
  if (typeof piece === 'string') return Buffer.from(piece, encoding);
  if (ArrayBuffer.isView(piece)) return bytesOfView(piece);
  throw badArgument('write', `${typeof piece} is no text and no bytes`);
}

/** A part of a buffer to read into or to write from, and where in the file. */
export interface Span {
  offset?: number | null | undefined;
  length?: number | null | undefined;
  /** Where in the file; null, undefined and -1 mean the current position. */
  position?: number | bigint | null | undefined;
}

/** The part of `view` that a span means. */
export function partOf(view: NodeJS.ArrayBufferView, span: Span): Buffer {
  const { byteLength } = view;
  const offset = span.offset ?? 0;
  if (!Number.isSafeInteger(offset) || offset < 0 || offset > byteLength) {
    throw badArgument('use a buffer', `offset ${offset} is not in its ${byteLength} bytes`);
  }
  const length = span.length ?? byteLength - offset;
  if (!Number.isSafeInteger(length) || length < 0 || length > byteLength - offset) {
    const state = `${length} bytes from ${offset} on are not in its ${byteLength}`;
    throw badArgument('use a buffer', state);
  }
  return bytesOfView(view).subarray(offset, offset + length);
}

/** A position in a file; undefined means the current one. */
export function positionOf(position: Span['position']): number | undefined {
  if (position === null || position === undefined) return undefined;
  const offset = Number(position);
  if (offset === -1) return undefined;
  if (Number.isSafeInteger(offset) && offset >= 0) return offset;
  throw badArgument('use a position', `${position} is no offset in a file`);
}
