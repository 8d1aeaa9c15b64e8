/**
 * An audit says of every chunk what is where: the metadata merged with the lists of all disks, a
 * page at a time.
 */
export { audit, type ChunkAudit, type KnownChunk } from './audit.ts';
