import { DfsError } from '../base/errors.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export const UUID_BYTES = 16;

/** Throws BAD_ARGUMENT unless the text is a UUID in lower case with dashes. */
export function checkUuid(uuid: string): void {
  if (UUID.test(uuid)) return;
  const state = 'it is not 32 lower-case hex digits with dashes (8-4-4-4-12)';
  throw new DfsError('BAD_ARGUMENT', `Cannot use the UUID "${uuid}": ${state}`);
}

/** The 16 bytes of a UUID's text; throws BAD_ARGUMENT. */
export function uuidBytes(uuid: string): Buffer {
  checkUuid(uuid);
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

/** The text of 16 bytes, in lower case with dashes. */
export function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  const cuts = [0, 8, 12, 16, 20, 32];
  return cuts
    .slice(1)
    .map((end, index) => hex.slice(cuts[index], end))
    .join('-');
}
