import { describe, expect, onTestFinished, test } from 'vitest';
import {
  encodePieces,
  hashChunk,
  parseScheme,
  pieceCount,
  pieceKeyText,
} from '../../src/chunk/mod.ts';
import type { ListedPiece, PieceDisk, PieceToStore } from '../../src/store/mod.ts';

/** Pieces of a chunk whose content follows from `seed`. */
export async function piecesOf(seed: number, scheme = 'ec:2+1'): Promise<PieceToStore[]> {
  const content = Buffer.alloc(1000 + seed, `chunk ${seed} `);
  const parsed = parseScheme(scheme);
  const payloads = await encodePieces(parsed, content);
  return payloads.map((payload, pieceIndex) => ({
    bucket: 1 + (seed % 3),
    chunkId: hashChunk(content),
    pieceIndex,
    scheme: parsed,
    chunkBytes: content.length,
    payload,
  }));
}

/** What every PieceDisk does. `make` opens an empty one; `flip` harms a piece of it. */
export function testPieceDisk<D extends PieceDisk>(
  name: string,
  make: () => Promise<D>,
  flip: (disk: D, piece: PieceToStore) => Promise<void>,
): void {
  const opened = async (): Promise<D> => {
    const disk = await make();
    onTestFinished(() => disk.close());
    return disk;
  };

  describe(`${name} is a PieceDisk`, () => {
    test('read() and find() return what append() wrote', async () => {
      const disk = await opened();
      const pieces = [...(await piecesOf(1)), ...(await piecesOf(2, 'replica:2'))];
      await disk.append(pieces);
      for (const piece of pieces) {
        const { payload, chunkBytes, scheme, bucket } = piece;
        const stored = await disk.read(piece);
        expect(stored).toMatchObject({ chunkBytes, scheme });
        expect(stored?.payload.equals(payload)).toBe(true);
        expect(await disk.find(piece)).toEqual({ bucket, bad: false });
      }
      expect((await disk.usage()).pieces).toBe(pieces.length);
    });

    test('what is not there is undefined, and 0 to remove()', async () => {
      const disk = await opened();
      const [piece] = await piecesOf(1);
      if (piece === undefined) throw new Error('a chunk has pieces');
      expect(await disk.read(piece)).toBe(undefined);
      expect(await disk.find(piece)).toBe(undefined);
      expect(await disk.remove([piece])).toBe(0);
      await disk.append([piece]);
      expect(await disk.read({ ...piece, pieceIndex: 1 })).toBe(undefined);
    });

    test('append() of what is there changes nothing', async () => {
      const disk = await opened();
      const pieces = await piecesOf(1);
      await disk.append(pieces);
      const usage = await disk.usage();
      await Promise.all([disk.append(pieces), disk.append(pieces), disk.sync()]);
      expect(await disk.usage()).toEqual(usage);
      expect(usage.pieces).toBe(pieceCount(parseScheme('ec:2+1')));
    });

    test('a piece with a flipped bit is CORRUPT until it is appended again', async () => {
      const disk = await opened();
      const [piece] = await piecesOf(1);
      if (piece === undefined) throw new Error('a chunk has pieces');
      const { bucket, payload } = piece;
      await disk.append([piece]);
      await flip(disk, piece);
      await expect(disk.read(piece)).rejects.toMatchObject({ code: 'CORRUPT' });
      await disk.markBad(piece);
      await disk.markBad(piece);
      expect(await disk.badCount()).toBe(1);
      expect(await disk.find(piece)).toEqual({ bucket, bad: true });
      await disk.append([piece]);
      expect(await disk.badCount()).toBe(0);
      expect((await disk.read(piece))?.payload.equals(payload)).toBe(true);
    });

    test('remove() takes one piece, and what is known of it', async () => {
      const disk = await opened();
      const pieces = await piecesOf(1);
      const [first] = pieces;
      if (first === undefined) throw new Error('a chunk has pieces');
      await disk.append(pieces);
      await disk.markBad(first);
      expect(await disk.remove([first])).toBe(1);
      expect(await disk.find(first)).toBe(undefined);
      expect([await disk.badCount(), (await disk.usage()).pieces]).toEqual([0, pieces.length - 1]);
      expect(await disk.read({ ...first, pieceIndex: 1 })).toBeDefined();
    });

    test('pieces of one chunk by two schemes lie beside each other', async () => {
      const disk = await opened();
      const [old] = await piecesOf(1, 'replica:2');
      const [other] = await piecesOf(1, 'replica:3');
      const [coded] = await piecesOf(1, 'ec:2+1');
      if (!old || !other || !coded) throw new Error('a chunk has pieces');
      await disk.append([old, coded]);
      await disk.append([other]);
      expect((await disk.usage()).pieces).toBe(3);
      expect((await disk.read(coded))?.payload.equals(coded.payload)).toBe(true);
      expect(await disk.read({ ...coded, pieceIndex: 1 })).toBe(undefined);
      await disk.markBad(old);
      expect(await disk.find(other)).toEqual({ bucket: other.bucket, bad: false });
      expect(await disk.remove([old, coded])).toBe(2);
      expect((await disk.read(other))?.scheme).toEqual(parseScheme('replica:3'));
      expect(await disk.badCount()).toBe(0);
    });

    test('list() gives every piece once, by chunk, and no chunk in two answers', async () => {
      const disk = await opened();
      const pieces = [];
      for (let seed = 0; seed < 20; seed++) {
        const schemes = seed % 3 === 0 ? ['ec:2+1', 'ec:3+1', 'replica:2'] : ['ec:2+1'];
        for (const scheme of schemes) pieces.push(...(await piecesOf(seed, scheme)));
      }
      await disk.append(pieces);
      const [bad] = pieces;
      if (bad !== undefined) await disk.markBad(bad);
      for (const limit of [1, 2, 7, 1000]) {
        const listed: ListedPiece[] = [];
        let pages = 0;
        for (;;) {
          const page = await disk.list(listed.at(-1)?.chunkId, limit);
          if (page.length === 0) break;
          if (page.length < limit)
            expect((await disk.list(page.at(-1)?.chunkId, 1)).length).toBe(0);
          const before = listed.at(-1)?.chunkId;
          if (before !== undefined) {
            for (const { chunkId } of page) expect(chunkId.compare(before)).toBe(1);
          }
          listed.push(...page);
          pages++;
        }
        const order = listed.map(({ chunkId }) => chunkId.toString('hex'));
        expect(order).toEqual(order.toSorted());
        expect(listed.map(pieceKeyText).toSorted()).toEqual(pieces.map(pieceKeyText).toSorted());
        expect(limit < 1000 ? pages > 2 : pages === 1).toBe(true);
        for (const piece of pieces) {
          const found = listed.find((one) => pieceKeyText(one) === pieceKeyText(piece));
          expect(found).toMatchObject({ bucket: piece.bucket, bad: piece === bad });
          expect(found?.bytes).toBeGreaterThanOrEqual(piece.payload.length);
        }
      }
      const bytes = (await disk.list(undefined, 1000)).map((piece) => piece.bytes);
      expect(bytes.reduce((sum, one) => sum + one)).toBe((await disk.usage()).bytes);
    });

    test('verify() reads what is there, and remembers what is bad', async () => {
      const disk = await opened();
      const pieces = [];
      for (let seed = 0; seed < 12; seed++) pieces.push(...(await piecesOf(seed, 'replica:2')));
      const [first, second, ...others] = pieces;
      if (!first || !second) throw new Error('chunks have pieces');
      await disk.append([first, ...others]);
      await flip(disk, first);
      const checks = await disk.verify(pieces);
      const healths = checks.map(({ health }) => health);
      expect(healths).toEqual(['bad', 'missing', ...others.map(() => 'ok')]);
      expect(checks.map(({ chunkBytes }) => chunkBytes)).toEqual([
        0,
        0,
        ...others.map(({ chunkBytes }) => chunkBytes),
      ]);
      expect([await disk.badCount(), (await disk.find(first))?.bad]).toEqual([1, true]);
      await disk.append([first]);
      expect((await disk.verify([first])).map(({ health }) => health)).toEqual(['ok']);
      expect(await disk.badCount()).toBe(0);
      expect(await disk.verify([])).toEqual([]);
    });

    test('remove() takes many pieces, those that are not here too', async () => {
      const disk = await opened();
      const pieces = [];
      for (let seed = 0; seed < 200; seed++) pieces.push(...(await piecesOf(seed)));
      const [kept, absent, ...removed] = pieces;
      if (!kept || !absent) throw new Error('chunks have pieces');
      await disk.append([kept, ...removed]);
      expect(await disk.remove([absent, ...removed, ...removed.slice(0, 5)])).toBe(removed.length);
      expect((await disk.list(undefined, 1000)).map(pieceKeyText)).toEqual([pieceKeyText(kept)]);
      expect((await disk.verify([kept])).map(({ health }) => health)).toEqual(['ok']);
      expect(await disk.remove([])).toBe(0);
    });

    test('space() tells of its file system', async () => {
      const { totalBytes, freeBytes } = await (await opened()).space();
      expect(totalBytes).toBeGreaterThan(0);
      expect(freeBytes).toBeLessThanOrEqual(totalBytes);
    });

    test('a closed disk says so', async () => {
      const disk = await make();
      await disk.close();
      await disk.close();
      const [piece] = await piecesOf(1);
      if (piece === undefined) throw new Error('a chunk has pieces');
      const closed = { code: 'CLOSED' };
      await expect(disk.append([piece])).rejects.toMatchObject(closed);
      await expect(disk.read(piece)).rejects.toMatchObject(closed);
      await expect(disk.find(piece)).rejects.toMatchObject(closed);
      await expect(disk.sync()).rejects.toMatchObject(closed);
      await expect(disk.list(undefined, 1)).rejects.toMatchObject(closed);
      await expect(disk.verify([])).rejects.toMatchObject(closed);
      await expect(disk.remove([piece])).rejects.toMatchObject(closed);
    });
  });
}
