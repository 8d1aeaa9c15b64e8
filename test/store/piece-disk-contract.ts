import { describe, expect, onTestFinished, test } from 'vitest';
import { encodePieces, hashChunk, parseScheme, pieceCount } from '../../src/chunk/mod.ts';
import type { PieceDisk, PieceToStore } from '../../src/store/mod.ts';

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
      for (const { chunkId, pieceIndex, payload, chunkBytes, scheme, bucket } of pieces) {
        const stored = await disk.read(chunkId, pieceIndex);
        expect(stored).toMatchObject({ chunkBytes, scheme });
        expect(stored?.payload.equals(payload)).toBe(true);
        expect(await disk.find(chunkId, pieceIndex)).toEqual({ bucket, bad: false });
      }
      expect((await disk.usage()).pieces).toBe(pieces.length);
    });

    test('what is not there is undefined, and false to remove()', async () => {
      const disk = await opened();
      const [piece] = await piecesOf(1);
      if (piece === undefined) throw new Error('a chunk has pieces');
      expect(await disk.read(piece.chunkId, 0)).toBe(undefined);
      expect(await disk.find(piece.chunkId, 0)).toBe(undefined);
      expect(await disk.remove(piece.chunkId, 0)).toBe(false);
      await disk.append([piece]);
      expect(await disk.read(piece.chunkId, 1)).toBe(undefined);
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
      const { chunkId, bucket, payload } = piece;
      await disk.append([piece]);
      await flip(disk, piece);
      await expect(disk.read(chunkId, 0)).rejects.toMatchObject({ code: 'CORRUPT' });
      await disk.markBad(chunkId, 0);
      await disk.markBad(chunkId, 0);
      expect(await disk.badCount()).toBe(1);
      expect(await disk.find(chunkId, 0)).toEqual({ bucket, bad: true });
      await disk.append([piece]);
      expect(await disk.badCount()).toBe(0);
      expect((await disk.read(chunkId, 0))?.payload.equals(payload)).toBe(true);
    });

    test('remove() takes one piece, and what is known of it', async () => {
      const disk = await opened();
      const pieces = await piecesOf(1);
      const [first] = pieces;
      if (first === undefined) throw new Error('a chunk has pieces');
      await disk.append(pieces);
      await disk.markBad(first.chunkId, 0);
      expect(await disk.remove(first.chunkId, 0)).toBe(true);
      expect(await disk.find(first.chunkId, 0)).toBe(undefined);
      expect([await disk.badCount(), (await disk.usage()).pieces]).toEqual([0, pieces.length - 1]);
      expect(await disk.read(first.chunkId, 1)).toBeDefined();
    });

    test('a closed disk says so', async () => {
      const disk = await make();
      await disk.close();
      await disk.close();
      const [piece] = await piecesOf(1);
      if (piece === undefined) throw new Error('a chunk has pieces');
      const closed = { code: 'CLOSED' };
      await expect(disk.append([piece])).rejects.toMatchObject(closed);
      await expect(disk.read(piece.chunkId, 0)).rejects.toMatchObject(closed);
      await expect(disk.find(piece.chunkId, 0)).rejects.toMatchObject(closed);
      await expect(disk.sync()).rejects.toMatchObject(closed);
    });
  });
}
