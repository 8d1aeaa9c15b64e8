import type { ChunkId } from '../base/ids.ts';
import type { ChunkAudit, FoundPiece } from './audit.ts';
import type { WorkView } from './work-volume.ts';

/** What is known of one chunk at this moment, and where its pieces are. */
export async function lookAt(view: WorkView, id: ChunkId): Promise<ChunkAudit> {
  const before = previousId(id);
  // The metadata first: what it knows, the disks have.
  const row = view.volume.committed.chunk(id);
  const lists = [...view.sources.disks].map(async ([diskId, list]): Promise<FoundPiece[]> => {
    const listed = await list(before, 1);
    return listed
      .filter(({ chunkId }) => chunkId.equals(id))
      .map((piece) => ({ ...piece, diskId }));
  });
  const pieces = (await Promise.all(lists)).flat();
  return { id, known: row && view.known(row), pieces };
}

/** The id before this one; undefined for the first. */
function previousId(id: ChunkId): ChunkId | undefined {
  const previous = Buffer.from(id) as ChunkId;
  for (let at = previous.length - 1; at >= 0; at--) {
    const byte = previous[at] ?? 0;
    previous[at] = (byte + 255) % 256;
    if (byte !== 0) return previous;
  }
  return undefined;
}
