/**
 * Databases on the mount: SQLite (better-sqlite3) with synchronous=FULL, LevelDB (classic-level).
 *
 * Napkin. A transaction in WAL mode is three writes into the log and one fdatasync: four requests
 * of about 10 us more than natively. In DELETE mode it is a journal made, written, synced and
 * deleted: thirty requests, counted with GET /stats, three of which change metadata. A put of
 * LevelDB is one write into its log, beside tables written in the background; a get reads a table
 * the kernel has, or as it is mapped, and should cost what it does natively.
 */
import { BOTH, rateOf, type Work } from './work.ts';

const sqlite: Work[] = ['wal', 'delete'].map((mode) => ({
  name: `sqlite-${mode}`,
  sides: BOTH,
  measures: [
    {
      name: `sqlite-${mode}`,
      title: `SQLite 1-row transactions, ${mode.toUpperCase()}, FULL`,
      unit: '/s',
      napkin: (limits, native) =>
        mode === 'wal'
          ? 1 / (4 * limits.upcallSeconds + 1 / native)
          : 1 / (30 * limits.upcallSeconds + 3 * limits.transactionSeconds + 1 / native),
    },
  ],
  async run(bench, { folder }) {
    const args = ['sqlite', folder, mode, String(bench.sizes.transactions)];
    const rate = rateOf(await bench.database(...args), 'transactions');
    return { [`sqlite-${mode}`]: rate };
  },
}));

const leveldb: Work = {
  name: 'leveldb',
  sides: BOTH,
  measures: [
    {
      name: 'leveldb-fill',
      title: 'LevelDB fill random, 100-byte values',
      unit: '/s',
      napkin: (limits, native) => 1 / (limits.upcallSeconds + 1 / native),
    },
    {
      name: 'leveldb-read',
      title: 'LevelDB read random',
      unit: '/s',
      napkin: (_limits, native) => native,
    },
  ],
  async run(bench, { folder }) {
    const counts = await bench.database('leveldb', folder, String(bench.sizes.puts));
    return { 'leveldb-fill': rateOf(counts, 'puts'), 'leveldb-read': rateOf(counts, 'gets') };
  },
};

/** Works of databases. */
export const DATABASE_WORKS: readonly Work[] = [...sqlite, leveldb];
