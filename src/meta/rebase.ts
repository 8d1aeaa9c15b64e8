import type Database from 'better-sqlite3';
import { STATE_TABLES } from './schema.ts';
import type { Transactions } from './transactions.ts';

/**
 * Puts the tables of the state machine of the database at `committedPath` in the place of those of
 * the live one, and has `again` do what is not in them: one transaction.
 */
export function replaceState(options: {
  db: Database.Database;
  transactions: Transactions;
  committedPath: string;
  again: () => void;
}): void {
  const { db, transactions, committedPath, again } = options;
  transactions.outside(() => void db.prepare('attach ? as committed').run(committedPath));
  try {
    const takeOver = (): void => {
      for (const name of STATE_TABLES) {
        db.exec(`delete from ${name}; insert into main.${name} select * from committed.${name}`);
      }
      again();
    };
    transactions.unlogged(takeOver, { isLasting: true });
  } finally {
    transactions.outside(() => void db.exec('detach committed'));
  }
}
