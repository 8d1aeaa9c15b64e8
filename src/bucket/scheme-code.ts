import { DfsError } from '../base/errors.ts';
import { checkScheme, type Scheme } from '../chunk/mod.ts';
import { SCHEME_ERASURE, SCHEME_REPLICA } from './bucket-format.ts';

/** The largest number that {@link schemeCode} gives. */
export const SCHEME_CODE_MAX = 0xff_ff_ff;

/** The three bytes that a record header has for a scheme, as one number. */
export function schemeCode(scheme: Scheme): number {
  if (scheme.kind === 'replica') return (SCHEME_REPLICA << 16) | (scheme.copies << 8);
  return (SCHEME_ERASURE << 16) | (scheme.dataPieces << 8) | scheme.parityPieces;
}

/** The scheme of a {@link schemeCode}; CORRUPT when no scheme has it. */
export function schemeOfCode(code: number): Scheme {
  const [kind, first, second] = [code >> 16, (code >> 8) & 0xff, code & 0xff];
  try {
    if (kind === SCHEME_REPLICA && second === 0) {
      return checkScheme({ kind: 'replica', copies: first });
    }
    if (kind === SCHEME_ERASURE) {
      return checkScheme({ kind: 'ec', dataPieces: first, parityPieces: second });
    }
  } catch (cause) {
    throw new DfsError('CORRUPT', `Cannot read scheme ${code}: it is out of bounds`, { cause });
  }
  throw new DfsError('CORRUPT', `Cannot read scheme ${code}: it is ${kind}, ${first}, ${second}`);
}
