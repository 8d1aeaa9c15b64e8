import { readFile } from 'node:fs/promises';
import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { readLooseSlot, type SlotBallot } from '../bucket/mod.ts';
import { type DiskMap, decodeDiskMap, encodeDiskMap, volumeTag } from '../diskmap/mod.ts';
import {
  type DiskIdentity,
  decodeDiskIdentity,
  encodeDiskIdentity,
  readDiskIdentity,
  writeDiskIdentity,
} from '../meta/mod.ts';
import type { SlotDisk } from '../store/mod.ts';

// What every disk says of itself and of the volume in slots beside the files that say it first:
// whose it is, and the map. Read when such a file is gone or damaged; docs/formats/slot.md.

const IDENTITY_PATH = 'system/identity';
const MAP_PATH = 'system/map';
/** There is one identity, for ever. */
const IDENTITY_BALLOT: SlotBallot = { map: 1, counter: 1, incarnation: 1 };

/** Where a disk's files are: what `diskPaths` says. */
interface DiskFiles {
  readonly root: string;
  readonly identity: string;
  readonly diskmap: string;
}

/** Whose a disk is; undefined when it is none. CORRUPT when its slot does not say it either. */
export async function readIdentityOf(files: DiskFiles): Promise<DiskIdentity | undefined> {
  let failure: DfsError | undefined;
  try {
    const identity = await readDiskIdentity(files.identity);
    if (identity !== undefined) return identity;
  } catch (error) {
    if (!(error instanceof DfsError) || error.code !== 'CORRUPT') throw error;
    failure = error;
  }
  const noted = await slotAt(files.root, IDENTITY_PATH, (content, owner) => {
    const identity = decodeDiskIdentity(content);
    const isOurs =
      identity.diskId === owner.diskId && volumeTag(identity.volumeUuid).equals(owner.volumeTag);
    return isOurs ? identity : undefined;
  });
  if (noted === undefined && failure !== undefined) throw failure;
  return noted;
}

/** The map on a disk. CORRUPT, NEWER_FORMAT, or what reading fails with, if its slot has none. */
export async function readMapOf(files: DiskFiles): Promise<DiskMap> {
  try {
    return decodeDiskMap(await readFile(files.diskmap));
  } catch (error) {
    if (error instanceof DfsError && error.code !== 'CORRUPT') throw error;
    const noted = await slotAt(files.root, MAP_PATH, (content) => decodeDiskMap(content));
    if (noted === undefined) throw error;
    return noted;
  }
}

/** Writes the identity of a disk again if it is gone or damaged, and its slot has it. */
export async function restoreIdentity(files: DiskFiles): Promise<void> {
  const found = await readDiskIdentity(files.identity).catch(() => undefined);
  const identity = found === undefined ? await readIdentityOf(files) : undefined;
  if (identity !== undefined) await writeDiskIdentity(files.identity, identity);
}

/** Gives a disk the slots it should have; whether it has them. */
export async function noteOnDisk(
  disk: { readonly files: DiskFiles; readonly slots: SlotDisk },
  map: DiskMap,
  log: Log,
): Promise<boolean> {
  const { files, slots } = disk;
  const put = async (path: string, ballot: SlotBallot, content: Buffer): Promise<void> => {
    const { counter, incarnation } = ballot;
    const state = { version: { counter, incarnation }, content };
    await slots.accept(path, { ballot, state }, { replaceDamaged: true });
  };
  try {
    const identity = await readIdentityOf(files);
    if (identity === undefined) return false;
    await put(IDENTITY_PATH, IDENTITY_BALLOT, encodeDiskIdentity(identity));
    const counter = (map.createdAt ?? 0) + 1;
    await put(MAP_PATH, { map: map.version, counter, incarnation: 1 }, encodeDiskMap(map));
    return true;
  } catch (error) {
    if (!(error instanceof DfsError) || error instanceof InvariantError) throw error;
    log('warn', 'disk not described in slots', { root: files.root, message: messageOf(error) });
    return false;
  }
}

/** What a slot on the disk at `root` says; undefined when it says nothing that can be used. */
async function slotAt<T>(
  root: string,
  path: string,
  read: (content: Buffer, owner: { volumeTag: Buffer; diskId: number }) => T | undefined,
): Promise<T | undefined> {
  try {
    const found = await readLooseSlot(root, path);
    const content = found?.copy.accepted?.state.content;
    return found && content && read(content, found.owner);
  } catch (error) {
    if (!(error instanceof DfsError) || error.code === 'NEWER_FORMAT') throw error;
    return undefined;
  }
}
