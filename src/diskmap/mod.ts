/**
 * The hardware of a volume and where pieces go on it: the map of rooms, rows, racks, machines and
 * disks with its encoding, bucket ids, and the placement of a chunk's pieces, which is computed
 * from the map and the chunk's hash. Pure: no I/O, no clock, no randomness but the keys.
 */
export {
  BUCKET_ID_BYTES,
  type BucketId,
  type BucketLocation,
  decodeBucketId,
  encodeBucketId,
  formatLocation,
  parseLocation,
  VOLUME_TAG_BYTES,
  volumeTag,
} from './bucket-id.ts';
export {
  createDiskMap,
  type DiskEntry,
  type DiskMap,
  type DiskState,
  findDisk,
  presentDisks,
  withDisk,
} from './diskmap.ts';
export { decodeDiskMap } from './diskmap-reader.ts';
export { encodeDiskMap } from './diskmap-writer.ts';
export { LEVELS, type Level } from './failure-domain.ts';
export { type Place, parsePlace } from './place.ts';
export {
  createPlacer,
  PLACEMENT_KEY_BYTES,
  type Placement,
  type Placer,
  type Spread,
  type Usable,
} from './placement.ts';
