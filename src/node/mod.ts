/**
 * One node: wires the rooms together into a volume that is served, and offers what the command line
 * needs: making, mounting, recovering and inspecting a volume, and the control API of a mounted
 * one.
 */

export type { WorkFacts } from '../repair/mod.ts';
export type { CacheDropReport } from './cache-drop.ts';
export { offlineSettings } from './config-changes.ts';
export { type AddOrder, type DiskChange, DiskOrders } from './disk-orders.ts';
export type { ChangePlan, HardwareFacts } from './disk-plan.ts';
export type { DiskAtRisk, VolumeDrill } from './drill.ts';
export { makeEpochHome } from './epoch-home.ts';
export { type EpochsReport, listEpochs } from './epochs.ts';
export type { FsckProgress, FsckRepairs, FsckReport } from './fsck.ts';
export { checkInitSizes, type InitRequest, initVolume } from './init.ts';
export { LiveVolume, type LiveVolumeOptions } from './live-volume.ts';
export { LocalStore } from './local-store.ts';
export type { LocatedExtent } from './locate.ts';
export type { MountAnswer, MountRequest } from './mount-main.ts';
export { type OfflineVolume, openOffline, withOfflineOrders } from './offline.ts';
export type { Receipt } from './receipts.ts';
export { type RecoverReport, type RecoverRequest, recoverVolume } from './recover.ts';
export { type RehearsalOutcome, rehearseRecovery } from './rehearse.ts';
export type { SchemeReport } from './scheme-change.ts';
export type { SchemeChoice } from './scheme-choice.ts';
export type { CacheFigures, CommitFigures, StatsReport } from './stats.ts';
export { liveStatus, type StatusReport } from './status.ts';
export type { LossReport, SurveyProgress } from './survey.ts';
export { survivesWords } from './survives-words.ts';
export type { DiskReport } from './volume-report.ts';
