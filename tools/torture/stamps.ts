const WORDS = 4;
const STAMP_BYTES: number = WORDS * 4;
const MAGIC = 0x53_54_4d_50;

/**
 * The bytes that operation `number` writes into file `file` at `offset`: every 16 of them say whose
 * they are, and are found nowhere else.
 */
export function stamped(file: number, number: number, offset: number, length: number): Buffer {
  const before = offset % STAMP_BYTES;
  const words = new Uint32Array(Math.ceil((before + length) / STAMP_BYTES) * WORDS);
  let at = (offset - before) / STAMP_BYTES;
  for (let word = 0; word < words.length; word += WORDS) {
    words[word] = MAGIC;
    words[word + 1] = file;
    words[word + 2] = number;
    words[word + 3] = at++;
  }
  return Buffer.from(words.buffer, before, length);
}

/** What bytes say of themselves, for people; `offset` is that of the first in the file. */
export function readStamp(bytes: Buffer, offset: number): string {
  if (bytes.every((byte) => byte === 0)) return 'zeros';
  const from = (STAMP_BYTES - (offset % STAMP_BYTES)) % STAMP_BYTES;
  if (from + STAMP_BYTES > bytes.length) return `bytes ${bytes.toString('hex')}`;
  const [magic, file, number, at] = [0, 4, 8, 12].map((word) => bytes.readUInt32LE(from + word));
  if (magic !== MAGIC) return `bytes ${bytes.toString('hex', from, from + STAMP_BYTES)}`;
  const place = (at ?? 0) * STAMP_BYTES;
  const moved = place === offset + from ? '' : `, written for offset ${place}`;
  return `operation ${number} on file ${file}${moved}`;
}
