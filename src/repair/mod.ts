/**
 * Background work: an audit says of every chunk what is where, a plan what has to happen to it, and
 * the work carries that out, verified before anything old goes: rebuilding what a disk lost, moving
 * pieces to where the map wants them, another scheme, scrubbing, and garbage. All of it can be
 * ended at any point and begun anew.
 */
export { audit, type ChunkAudit, type FoundPiece, type KnownChunk } from './audit.ts';
export { KINDS, type Kind } from './survey.ts';
export { Foreground } from './throttle.ts';
export { Work, type WorkOptions } from './work.ts';
export type { ScrubFacts, WalkFacts, WorkFacts, WorkPhase, WorkTotals } from './work-facts.ts';
export type { Maintenance, WorkVolume } from './work-volume.ts';
