import { blake3 } from '@napi-rs/blake-hash';

// Text that notices a change by hand, a cut or a flipped bit: lines, then one line
// `blake3 <64 hex digits>` over every byte before it.

const LAST_LINE = /^blake3 [0-9a-f]{64}\n$/;
const LAST_LINE_BYTES = 'blake3 '.length + 64 + 1;

/** `text`, whole lines, with its checksum as one more. */
export function sealText(text: string): string {
  return text + lastLineOf(Buffer.from(text));
}

/** The text that was sealed, or, for a message, what is wrong with its seal. */
export function unsealText(bytes: Buffer): { text: Buffer } | { problem: string } {
  const end = Math.max(0, bytes.length - LAST_LINE_BYTES);
  const line = bytes.toString('latin1', end);
  if (!LAST_LINE.test(line)) return { problem: 'its last line is not a checksum' };
  const text = bytes.subarray(0, end);
  return line === lastLineOf(text) ? { text } : { problem: 'its checksum is wrong' };
}

function lastLineOf(text: Buffer): string {
  return `blake3 ${blake3(text).toString('hex')}\n`;
}
