import Database from 'better-sqlite3';
import type { Epoch } from '../base/ids.ts';
import { sqliteError } from './database.ts';
import { STATE_TABLES } from './schema.ts';

/** Columns that a database of before they were kept fills in when it is opened, and not always alike. */
const NOT_COMPARED: ReadonlySet<string> = new Set(['born', 'died']);
const TABLES: readonly string[] = [...STATE_TABLES, 'chunk', 'inline'];

interface Column {
  name: string;
  /** Place in the primary key, from 1; else 0. */
  pk: number;
}

/**
 * A committed database that somebody else may write to, as it is at one moment, beside another one.
 * Nothing is written to either.
 */
export class StateReader {
  readonly #db: Database.Database;
  readonly #path: string;

  constructor(path: string, otherPath: string) {
    this.#path = path;
    try {
      this.#db = new Database(path, { readonly: true, fileMustExist: true });
      this.#db.prepare('attach ? as other').run(otherPath);
      this.#db.exec('begin');
    } catch (error) {
      throw sqliteError(error, path);
    }
  }

  /** The epoch that the database stands at, until {@link close}. */
  head(): { epoch: Epoch; recordId: Buffer } | undefined {
    return this.#read(
      () =>
        this.#db.prepare('select epoch, record as recordId from head').get() as
          | { epoch: Epoch; recordId: Buffer }
          | undefined,
    );
  }

  /** In what the other one is not the same: "table inode: 3 of 17 rows"; else nothing. */
  differences(): string[] {
    return this.#read(() => TABLES.flatMap((table) => this.#difference(table)));
  }

  #difference(table: string): string[] {
    const columns = this.#db.pragma(`main.table_info(${table})`) as Column[];
    const keys = columns.filter(({ pk }) => pk > 0).map(({ name }) => `a.${name} = b.${name}`);
    const rest = columns
      .filter(({ pk, name }) => pk === 0 && !NOT_COMPARED.has(name))
      .map(({ name }) => `a.${name} is b.${name}`);
    const count = (sql: string): number => (this.#db.prepare(sql).raw().get() as [number])[0];
    const same = count(
      `select count(*) from main.${table} a cross join other.${table} b on ${[...keys, ...rest].join(' and ')}`,
    );
    const here = count(`select count(*) from main.${table}`);
    const there = count(`select count(*) from other.${table}`);
    const other = Math.max(here, there) - same;
    return other === 0 ? [] : [`table ${table}: ${other} of ${Math.max(here, there)} rows`];
  }

  #read<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw sqliteError(error, this.#path);
    }
  }

  close(): void {
    this.#db.close();
  }
}
