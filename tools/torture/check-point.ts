import { rmSync } from 'node:fs';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import type { LiveVolume } from '../../src/node/mod.ts';
import { differencesBetween } from './compare-trees.ts';
import { type FoundTree, findTree } from './found-tree.ts';
import { type Bounds, boundsOf, type Knowledge } from './knowledge.ts';
import type { Model } from './model.ts';
import { judgeAllowed, judgeInstant, type Verdict } from './oracle.ts';
import type { StateFolder } from './state-folder.ts';

/** Times of files that are not committed are kept by a file system, which may round them. */
const AGAIN = { what: 'opened again', apartMs: 20 };
const RECOVERED = { what: 'recovered', apartMs: 0 };

/** What is lost beside what was not synced. */
export interface Loss {
  home: boolean;
  /** Index of a disk that is gone too; undefined for none. Only with `home`. */
  disk: number | undefined;
}

/** A moment at which everything ends, and what of it is to be checked. */
export interface PointOptions {
  model: Model;
  known: Knowledge;
  mode: 'weak' | 'strong';
  loss: Loss;
  /** The machine stopped, not only the process. */
  isPowerCut: boolean;
  /** How much times of files may differ from what was seen; 0 by default. */
  apartMs?: number;
  /** After what is found was judged: commits again, and loses HOME then. */
  goesOn: boolean;
  /** Whether commits are possible with a disk less. */
  canCommitDegraded: boolean;
}

/** What a point showed. */
export interface PointResult {
  state: number | undefined;
  problems: string[];
}

/** Opens a volume as the cut has left it, and checks it. Never throws what the volume throws. */
export async function checkPoint(folder: StateFolder, options: PointOptions): Promise<PointResult> {
  let verdict: Verdict = { state: undefined, problems: [] };
  try {
    if (options.isPowerCut) folder.forgetBoot();
    verdict = options.loss.home
      ? await checkDisks(folder, options)
      : await checkHome(folder, options);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    verdict.problems.push(`failed: ${text}`);
  }
  return verdict;
}

/** The cache device lives. */
async function checkHome(folder: StateFolder, options: PointOptions): Promise<Verdict> {
  const { model, known, mode, goesOn } = options;
  const bounds = options.isPowerCut ? boundsOf(model, known, mode) : allOf(model, known);
  const first = await look(folder, options, folder.home);
  const verdict = judgeAllowed(model, first, bounds);
  if (verdict.problems.length > 0) return verdict;
  // What is opened again is what it was, and can be worked with.
  const volume = await folder.open(mode);
  const again = await findTree(volume.fileSystem);
  verdict.problems.push(...differencesBetween(first, again, AGAIN));
  if (!goesOn || verdict.problems.length > 0) {
    await volume.close({ commit: false });
    return verdict;
  }
  const committed = await goOn(volume, verdict);
  await volume.close({ commit: false });
  await compareRecovered(folder, { options, committed, verdict, lostDisk: known.done % 3 });
  return verdict;
}

/** A process that is killed loses nothing of what was done. */
function allOf(model: Model, { done }: Knowledge): Bounds {
  const newest = Math.min(done + 1, model.done.length);
  return { meta: done, disks: done, newest, bytes: () => done };
}

/** HOME is gone, and maybe a disk. */
async function checkDisks(folder: StateFolder, options: PointOptions): Promise<Verdict> {
  const { model, known, mode, loss, goesOn, canCommitDegraded, apartMs = 0 } = options;
  rmSync(folder.home, { recursive: true, force: true });
  const left = folder.disks.filter((_, index) => index !== loss.disk);
  const lost = loss.disk === undefined ? undefined : folder.disks[loss.disk];
  if (lost !== undefined) rmSync(lost, { recursive: true });
  const { home, report } = await folder.recover('home', left);
  const verdict: Verdict = { state: undefined, problems: [] };
  if (report.lost.length > 0) {
    verdict.problems.push(`recover lost ${JSON.stringify(report.lost)}`);
    return verdict;
  }
  const first = await look(folder, options, home);
  const judged = judgeInstant(model, first, { ...boundsOf(model, known, mode), apartMs });
  if (judged.problems.length > 0 || !goesOn) return judged;
  const volume = await folder.open(mode);
  const again = await findTree(volume.fileSystem);
  judged.problems.push(...differencesBetween(first, again, AGAIN));
  if (lost === undefined || canCommitDegraded) await goOn(volume, judged, lost !== undefined);
  await volume.close({ commit: false });
  return judged;
}

/** Opens the volume, reads all of it, and closes it without a commit. */
async function look(folder: StateFolder, { mode }: PointOptions, home: string): Promise<FoundTree> {
  const volume = await folder.open(mode, home);
  try {
    return await findTree(volume.fileSystem);
  } finally {
    await volume.close({ commit: false });
  }
}

/** Writes and commits: what the volume has then. Its disks must be whole. */
async function goOn(volume: LiveVolume, verdict: Verdict, isDegraded = false): Promise<FoundTree> {
  const fs = volume.fileSystem;
  const by = { uid: 0, gid: 0, pid: 1, umask: 0, unique: 4, resent: false };
  const made = fs.create(by, ROOT_INO, Buffer.from('after the cut'), 0o100644, 0o302);
  if (typeof made === 'number') throw new Error(`cannot make a file: errno ${-made}`);
  const ino: Ino = made.attr.ino;
  fs.release(by, ino, made.open.handle ?? 0);
  const written = await fs.write({ ...by, unique: 6 }, ino, 0, Buffer.alloc(5000, 'after'), false);
  if (written !== 5000) throw new Error(`cannot write: ${written}`);
  await volume.committer.commit();
  const report = await volume.store.fsck({ repair: false }, () => undefined);
  const { lost, inconsistencies, pieces, degradedChunks } = report;
  const isHurt = pieces.bad + pieces.missing + degradedChunks > 0;
  if (lost.length + inconsistencies.length > 0 || (!isDegraded && isHurt))
    verdict.problems.push(`fsck: ${JSON.stringify(report)}`);
  return await findTree(fs);
}

/** The disks alone, but for one, have what was committed. */
async function compareRecovered(
  folder: StateFolder,
  given: {
    options: PointOptions;
    committed: FoundTree;
    verdict: Verdict;
    lostDisk: number;
  },
): Promise<void> {
  const { options, committed, verdict, lostDisk } = given;
  const gone = folder.disks[lostDisk];
  if (gone === undefined) throw new Error(`no disk ${lostDisk}`);
  rmSync(gone, { recursive: true });
  const { home, report } = await folder.recover('home-after', folder.disks);
  if (report.lost.length > 0) verdict.problems.push(`recover lost ${JSON.stringify(report.lost)}`);
  const found = await look(folder, options, home);
  verdict.problems.push(...differencesBetween(committed, found, RECOVERED));
}
