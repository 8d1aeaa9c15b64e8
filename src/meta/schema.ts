/** Tables of the metadata state machine: the same in the live database and in the committed one. */
export const STATE_SCHEMA = `
create table if not exists inode (
  ino integer primary key,
  mode integer not null, nlink integer not null, uid integer not null, gid integer not null,
  rdev integer not null, size integer not null,
  parent integer not null,       -- see Inode; 0 when unknown
  atime integer not null, atimensec integer not null,
  mtime integer not null, mtimensec integer not null,
  ctime integer not null, ctimensec integer not null,
  btime integer not null, btimensec integer not null
) strict;
create table if not exists dentry (
  parent integer not null, hash integer not null, name blob not null,
  ino integer not null, type integer not null, -- mode >> 12
  primary key (parent, hash, name)
) strict, without rowid;
create table if not exists symlink (ino integer primary key, target blob not null) strict;
create table if not exists xattr (
  ino integer not null, name blob not null, value blob not null, primary key (ino, name)
) strict, without rowid;
-- Ranges never overlap. What no extent covers below the size is a hole.
create table if not exists extent (
  ino integer not null, offset integer not null, length integer not null,
  chunk blob not null, chunkoffset integer not null,
  primary key (ino, offset)
) strict, without rowid;
-- Inodes without a name, kept while somebody has them open.
create table if not exists orphan (ino integer primary key) strict;
`;

/** The tables of {@link STATE_SCHEMA}. */
export const STATE_TABLES = ['inode', 'dentry', 'symlink', 'xattr', 'extent', 'orphan'] as const;

/**
 * What only the live database has: the operations not committed yet, and what is needed after a
 * crash.
 */
export const LIVE_SCHEMA = `
-- The operations no published epoch has; a row has those of many changes.
create table if not exists batch (
  seq integer primary key, count integer not null, ops blob not null
) strict;
-- Inodes whose cache file may hold data no chunk has, with the epoch of their last first write.
create table if not exists dirty (ino integer primary key, epoch integer not null) strict;
-- Inodes whose cache file an fsync brought to its device, with the epoch that was open then.
create table if not exists synced (ino integer primary key, epoch integer not null) strict;
-- The last mutations and their answers, for requests the kernel sends again; a ring.
create table if not exists answers (id integer primary key check (id = 1), ring blob not null) strict;
create table if not exists local (key text primary key, value integer not null) strict, without rowid;
`;

/**
 * What only the committed database has: stored chunks with their reference counts, the content of
 * those whose scheme is `inline`, and the head.
 *
 * `born` is the epoch that stored a chunk, 0 if that was not written down then; `died` the epoch in
 * which it lost its last name, or was stored without one, null while an extent names it.
 */
export const COMMITTED_SCHEMA = `
create table if not exists chunk (
  id blob primary key, length integer not null, scheme text not null, refs integer not null,
  born integer not null default 0, died integer
) strict, without rowid;
create table if not exists inline (chunk blob primary key, content blob not null) strict;
create table if not exists head (
  id integer primary key check (id = 1),
  epoch integer not null, incarnation integer not null, seq integer not null, record blob not null,
  cuttime integer not null
) strict;
`;

/** What a committed database of before `born` and `died` is given; then {@link DEAD_INDEX}. */
export const LIFE_OF_CHUNKS = `
alter table chunk add column born integer not null default 0;
alter table chunk add column died integer;
update chunk set died = coalesce((select epoch from head), 0) where refs = 0;
`;

/** Chunks that nothing names, the longest dead first. */
export const DEAD_INDEX = 'create index if not exists dead on chunk (died) where died is not null';
