import { describe, expect, it } from 'vitest';
import { canMount } from '../harness/volume.ts';
import { runSqliteLife } from './sqlite-life.ts';

describe.skipIf(!canMount)('a database at work', () => {
  it.each(['weak', 'strong'] as const)(
    'sees no error while disks die, come and return: %s',
    {
      timeout: 400_000,
    },
    async (mode) => {
      const { phases, transactions } = await runSqliteLife({ seconds: 1, mode });
      console.log(JSON.stringify(phases));
      expect(transactions).toBeGreaterThan(0);
      expect(phases.map(({ phase }) => phase)).toEqual(
        expect.arrayContaining(['before', 'a disk dies', 'after']),
      );
    },
  );
});
