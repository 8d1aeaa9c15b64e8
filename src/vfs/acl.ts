import { type Inode, S_IFLNK, S_IFMT } from '../meta/mod.ts';

/** Attributes that hold POSIX ACLs (the withdrawn draft 1003.1e, as acl(5) has it). */
export const ACL_ACCESS = 'system.posix_acl_access';
export const ACL_DEFAULT = 'system.posix_acl_default';

const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;
const USER_OBJ = 0x01;
const USER = 0x02;
const GROUP_OBJ = 0x04;
const GROUP = 0x08;
const MASK = 0x10;
const OTHER = 0x20;
const ALL = 0o7;
const PERMISSIONS = 0o777;

interface Entry {
  tag: number;
  permissions: number;
  id: number;
}

/** The entries of an attribute's value; undefined when it is not an ACL. */
export function parseAcl(value: Buffer): Entry[] | undefined {
  if (value.length < HEADER_BYTES || (value.length - HEADER_BYTES) % ENTRY_BYTES !== 0) {
    return undefined;
  }
  if (value.readUInt32LE(0) !== VERSION) return undefined;
  const entries: Entry[] = [];
  for (let at = HEADER_BYTES; at < value.length; at += ENTRY_BYTES) {
    const permissions = value.readUInt16LE(at + 2);
    if (permissions > ALL) return undefined;
    entries.push({ tag: value.readUInt16LE(at), permissions, id: value.readUInt32LE(at + 4) });
  }
  return entries.length === 0 || isComplete(entries) ? entries : undefined;
}

/** One entry each for owner, group and others; a mask where there are named users or groups. */
function isComplete(entries: Entry[]): boolean {
  const count = (tag: number): number => entries.filter((entry) => entry.tag === tag).length;
  const known = USER_OBJ | USER | GROUP_OBJ | GROUP | MASK | OTHER;
  if (entries.some(({ tag }) => (tag & known) !== tag || (tag & (tag - 1)) !== 0)) return false;
  const isNamed = count(USER) + count(GROUP) > 0;
  return (
    count(USER_OBJ) === 1 &&
    count(GROUP_OBJ) === 1 &&
    count(OTHER) === 1 &&
    count(MASK) <= 1 &&
    (!isNamed || count(MASK) === 1)
  );
}

function encodeAcl(entries: Entry[]): Buffer {
  const value = Buffer.alloc(HEADER_BYTES + entries.length * ENTRY_BYTES);
  value.writeUInt32LE(VERSION, 0);
  for (const [index, { tag, permissions, id }] of entries.entries()) {
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    value.writeUInt16LE(tag, at);
    value.writeUInt16LE(permissions, at + 2);
    value.writeUInt32LE(id, at + 4);
  }
  return value;
}

/** Whether mode bits say as much as the ACL. */
export function isMode(entries: Entry[]): boolean {
  return entries.every(({ tag }) => tag === USER_OBJ || tag === GROUP_OBJ || tag === OTHER);
}

/** The mode with the permissions of an access ACL: the group's bits are the mask where there is one. */
export function modeOf(entries: Entry[], mode: number): number {
  const bits = (tag: number): number => entries.find((one) => one.tag === tag)?.permissions ?? 0;
  const group = entries.some(({ tag }) => tag === MASK) ? bits(MASK) : bits(GROUP_OBJ);
  return (mode & ~PERMISSIONS) | (bits(USER_OBJ) << 6) | (group << 3) | bits(OTHER);
}

/** The access ACL after a chmod to `mode`. */
export function chmodAcl(value: Buffer, mode: number): Buffer {
  const entries = parseAcl(value) ?? [];
  const isMasked = entries.some(({ tag }) => tag === MASK);
  for (const entry of entries) {
    if (entry.tag === USER_OBJ) entry.permissions = (mode >> 6) & ALL;
    else if (entry.tag === OTHER) entry.permissions = mode & ALL;
    else if (entry.tag === (isMasked ? MASK : GROUP_OBJ)) entry.permissions = (mode >> 3) & ALL;
  }
  return encodeAcl(entries);
}

/**
 * What an inode made with `mode` in a folder with the default ACL `value` gets: both the ACL and the
 * mode keep only what the other grants. `access` is undefined where the mode says it all.
 */
export function inheritAcl(
  value: Buffer,
  mode: number,
): { mode: number; access: Buffer | undefined } {
  const entries = parseAcl(value) ?? [];
  const isMasked = entries.some(({ tag }) => tag === MASK);
  let rest = mode;
  for (const entry of entries) {
    const shift = shiftOf(entry.tag, isMasked);
    if (shift === undefined) continue;
    entry.permissions &= (mode >> shift) & ALL;
    rest = (rest & ~(ALL << shift)) | (entry.permissions << shift);
  }
  return { mode: rest, access: isMode(entries) ? undefined : encodeAcl(entries) };
}

/** Where in the mode the bits of an entry stand; undefined for those it has none for. */
function shiftOf(tag: number, isMasked: boolean): number | undefined {
  if (tag === USER_OBJ) return 6;
  if (tag === OTHER) return 0;
  return tag === (isMasked ? MASK : GROUP_OBJ) ? 3 : undefined;
}

/** Whether the mode of `inode` can have an ACL beside it. */
export function canHaveAcl(inode: Inode): boolean {
  return (inode.mode & S_IFMT) !== S_IFLNK;
}
