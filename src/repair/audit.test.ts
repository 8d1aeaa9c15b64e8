import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChunkId, DiskId } from '../base/ids.ts';
import { parseScheme } from '../chunk/mod.ts';
import { audit, type ChunkAudit, type FoundPiece, type KnownChunk, type Pages } from './audit.ts';

const scheme = parseScheme('replica:2');

function idOf(number: number): ChunkId {
  const id = Buffer.alloc(32) as Buffer as ChunkId;
  id.writeUInt16BE(number);
  return id;
}

/** Pages as a disk gives them: all of one chunk in one answer, the last one may be over the limit. */
function pagesOf<T>(items: readonly T[], id: (item: T) => ChunkId): Pages<T> {
  return async (after, limit) => {
    const rest = items.filter((item) => after === undefined || id(item).compare(after) > 0);
    const page = rest.slice(0, limit);
    const last = page.at(-1);
    return rest.filter((item) => last !== undefined && id(item).compare(id(last)) <= 0);
  };
}

async function all(entries: AsyncGenerator<ChunkAudit[]>): Promise<ChunkAudit[]> {
  const found: ChunkAudit[] = [];
  for await (const page of entries) found.push(...page);
  return found;
}

const anyPieces = fc.uniqueArray(
  fc.record({ chunk: fc.nat({ max: 40 }), pieceIndex: fc.nat({ max: 2 }) }),
  { selector: ({ chunk, pieceIndex }) => chunk * 3 + pieceIndex, maxLength: 40 },
);

test('audit() says of every chunk behind `after` what is where, once and in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat({ max: 40 }), { maxLength: 40 }),
      fc.array(anyPieces, { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat({ max: 40 }), { nil: undefined }),
      fc.integer({ min: 1, max: 7 }),
      async (chunks, disks, after, limit) => {
        const byId = (a: number, b: number): number => a - b;
        const known = chunks.toSorted(byId).map((number): KnownChunk => {
          return { id: idOf(number), lengthBytes: number + 1, scheme, isDoomed: false };
        });
        const lists = disks.map((pieces) =>
          pieces
            .toSorted((a, b) => a.chunk - b.chunk || a.pieceIndex - b.pieceIndex)
            .map(({ chunk, pieceIndex }): Omit<FoundPiece, 'diskId'> => {
              const chunkId = idOf(chunk);
              return { chunkId, scheme, pieceIndex, bucket: 1, bytes: 9, bad: false };
            }),
        );
        const sources = {
          known: pagesOf(known, ({ id }) => id),
          disks: new Map(
            lists.map((list, at) => [(at + 1) as DiskId, pagesOf(list, (one) => one.chunkId)]),
          ),
        };
        const start = after === undefined ? undefined : idOf(after);
        const found = await all(audit(sources, start, limit));
        const numbers = [...new Set([...chunks, ...disks.flat().map(({ chunk }) => chunk)])]
          .filter((number) => after === undefined || number > after)
          .toSorted(byId);
        const expected = numbers.map((number) => ({
          number,
          known: chunks.includes(number),
          pieces: disks.flatMap((pieces, at) =>
            pieces
              .filter(({ chunk }) => chunk === number)
              .map(({ pieceIndex }) => `${at + 1}.${pieceIndex}`)
              .toSorted(),
          ),
        }));
        const shown = found.map(({ id, known: row, pieces }) => ({
          number: id.readUInt16BE(),
          known: row !== undefined,
          pieces: pieces.map(({ diskId, pieceIndex }) => `${diskId}.${pieceIndex}`),
        }));
        expect(shown).toEqual(expected);
      },
    ),
  );
});

test('audit() fails with a disk that fails', async () => {
  const broken: Pages<never> = () => Promise.reject(new Error('Cannot list: the disk is gone'));
  const sources = {
    known: pagesOf<KnownChunk>([], ({ id }) => id),
    disks: new Map([[1 as DiskId, broken]]),
  };
  await expect(all(audit(sources))).rejects.toThrow('the disk is gone');
});
