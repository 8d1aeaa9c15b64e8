import type Database from 'better-sqlite3';
import { INODE_COLUMNS, S_IFMT } from './inode.ts';

/** The statements of {@link MetaState}. */
export type StateSql = Record<
  | 'lookup'
  | 'anyEntry'
  | 'entries'
  | 'nameIn'
  | 'entriesWithInodes'
  | 'putEntry'
  | 'dropEntry'
  | 'putTarget'
  | 'target'
  | 'dropTarget'
  | 'putXattr'
  | 'xattr'
  | 'xattrNames'
  | 'xattrsNamed'
  | 'dropXattr'
  | 'dropXattrs'
  | 'putOrphan'
  | 'dropOrphan'
  | 'orphans'
  | 'inoMax'
  | 'totals',
  Database.Statement
>;

/** Compiles them for one database. */
export function prepareState(db: Database.Database): StateSql {
  return {
    lookup: db
      .prepare('select ino, type from dentry where parent = ? and hash = ? and name = ?')
      .raw(),
    nameIn: db.prepare('select name from dentry where parent = ? and ino = ? limit 1').raw(),
    anyEntry: db.prepare('select 1 from dentry where parent = ? limit 1'),
    entries: db
      .prepare(
        `select hash, name, ino, type from dentry where parent = ? and hash > ?
         order by hash, name limit ?`,
      )
      .raw(),
    // A cross join: dentry is read in its order, whatever SQLite takes for faster.
    entriesWithInodes: db
      .prepare(
        `select d.hash, d.name, d.ino, d.type, ${INODE_COLUMNS.replaceAll(/\w+/g, 'i.$&')}
         from dentry d cross join inode i on i.ino = d.ino where d.parent = ? and d.hash > ?
         order by d.hash, d.name limit ?`,
      )
      .raw(),
    putEntry: db.prepare('insert into dentry (parent, hash, name, ino, type) values (?,?,?,?,?)'),
    dropEntry: db.prepare('delete from dentry where parent = ? and hash = ? and name = ?'),
    putTarget: db.prepare('insert into symlink (ino, target) values (?, ?)'),
    target: db.prepare('select target from symlink where ino = ?').raw(),
    dropTarget: db.prepare('delete from symlink where ino = ?'),
    putXattr: db.prepare('insert or replace into xattr (ino, name, value) values (?, ?, ?)'),
    xattr: db.prepare('select value from xattr where ino = ? and name = ?').raw(),
    xattrNames: db.prepare('select name from xattr where ino = ?').raw(),
    xattrsNamed: db.prepare('select ino, value from xattr where name = ?').raw(),
    dropXattr: db.prepare('delete from xattr where ino = ? and name = ?'),
    dropXattrs: db.prepare('delete from xattr where ino = ?'),
    putOrphan: db.prepare('insert or ignore into orphan (ino) values (?)'),
    dropOrphan: db.prepare('delete from orphan where ino = ?'),
    orphans: db.prepare('select ino from orphan').raw(),
    inoMax: db.prepare('select max(ino) from inode').raw(),
    totals: db
      .prepare(
        `select count(*), sum(case when (mode & ${S_IFMT}) = 32768 then size else 0 end) from inode`,
      )
      .raw(),
  };
}
