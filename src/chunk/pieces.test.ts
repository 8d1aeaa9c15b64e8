import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CHUNK_BYTES_MAX } from '../base/limits.ts';
import {
  DATA_PIECES_MAX,
  decodePieces,
  encodePieces,
  hashChunk,
  PARITY_PIECES_MAX,
  parseScheme,
  pieceBytes,
  pieceCount,
  type Scheme,
  survives,
} from './mod.ts';

const anyScheme: fc.Arbitrary<Scheme> = fc.oneof(
  fc.record({ kind: fc.constant('replica' as const), copies: fc.integer({ min: 1, max: 16 }) }),
  fc.record({
    kind: fc.constant('ec' as const),
    dataPieces: fc.integer({ min: 1, max: DATA_PIECES_MAX }),
    parityPieces: fc.integer({ min: 1, max: PARITY_PIECES_MAX }),
  }),
);

/** Content of a length, its bytes drawn from a small generator so that shrinking stays quick. */
function contentOf(bytes: number, seed: number): Buffer {
  const content = Buffer.alloc(bytes);
  let state = seed | 1;
  for (let at = 0; at < bytes; at++) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223;
    content[at] = state >>> 24;
  }
  return content;
}

test('decodePieces() returns the content for any loss the scheme survives', async () => {
  const losses = fc.array(fc.nat(29), { maxLength: 16 });
  const bytes = fc.oneof(fc.integer({ min: 1, max: 70_000 }), fc.integer({ min: 1, max: 300 }));
  const loss = fc.asyncProperty(
    anyScheme,
    bytes,
    fc.integer(),
    losses,
    async (scheme, length, seed, lost) => {
      const content = contentOf(length, seed);
      const pieces: (Buffer | undefined)[] = await encodePieces(scheme, content);
      expect(pieces.map((piece) => piece?.length)).toEqual(
        new Array(pieceCount(scheme)).fill(pieceBytes(scheme, length)),
      );
      let left = survives(scheme);
      for (const index of lost) {
        const at = index % pieces.length;
        if (left > 0 && pieces[at] !== undefined) left--;
        else continue;
        pieces[at] = undefined;
      }
      const decoded = await decodePieces(scheme, length, pieces);
      expect(decoded.equals(content)).toBe(true);
      expect(content.equals(contentOf(length, seed))).toBe(true);
    },
  );
  await fc.assert(loss, { numRuns: 400 });
});

test('decodePieces() of ec:4+2 returns the content for every pair of lost pieces', async () => {
  const scheme = parseScheme('ec:4+2');
  const content = contentOf(CHUNK_BYTES_MAX - 5, 7);
  const pieces = await encodePieces(scheme, content);
  for (let first = 0; first < 6; first++) {
    for (let second = first; second < 6; second++) {
      const left = pieces.map((piece, at) => (at === first || at === second ? undefined : piece));
      const decoded = await decodePieces(scheme, content.length, left);
      expect(hashChunk(decoded).equals(hashChunk(content))).toBe(true);
    }
  }
});

test('decodePieces() of a replica returns the piece itself', async () => {
  const content = contentOf(1000, 1);
  const pieces = await encodePieces(parseScheme('replica:3'), content);
  expect(await decodePieces(parseScheme('replica:3'), 1000, [undefined, pieces[1]])).toBe(content);
});

test('decodePieces() refuses too few pieces and pieces of a wrong length', async () => {
  const scheme = parseScheme('ec:3+2');
  const pieces: (Buffer | undefined)[] = await encodePieces(scheme, contentOf(1000, 1));
  const few = decodePieces(scheme, 1000, [pieces[0], undefined, undefined, pieces[3]]);
  await expect(few).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  pieces[1] = pieces[1]?.subarray(8);
  await expect(decodePieces(scheme, 1000, pieces)).rejects.toMatchObject({ code: 'CORRUPT' });
});

test('hashChunk() is BLAKE3-256', () => {
  const empty = 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262';
  expect(hashChunk(Buffer.alloc(0)).toString('hex')).toBe(empty);
});
