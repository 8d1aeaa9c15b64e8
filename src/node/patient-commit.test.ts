import { expect, test } from 'vitest';
import { DfsError, type ErrorCode } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import { commitPatiently } from './patient-commit.ts';

/** Fails with these codes, one a call, and then commits. */
function failing(...codes: ErrorCode[]): { calls: number; commit: () => Promise<Epoch> } {
  const committer = {
    calls: 0,
    commit: async (): Promise<Epoch> => {
      const code = codes[committer.calls++];
      if (code !== undefined) throw new DfsError(code, 'Cannot publish');
      return 7 as Epoch;
    },
  };
  return committer;
}

const options = { isUrgent: true, pausesMs: [0, 0] };

test('a commit that a disk has failed is made again on the others', async () => {
  const committer = failing('UNAVAILABLE', 'IO');
  expect(await commitPatiently(committer, options)).toBe(7);
  expect(committer.calls).toBe(3);
});

test('and in the end it has failed', async () => {
  const committer = failing('IO', 'IO', 'TIMEOUT', 'IO');
  await expect(commitPatiently(committer, options)).rejects.toMatchObject({ code: 'TIMEOUT' });
  expect(committer.calls).toBe(3);
});

test.each(['NO_SPACE', 'CLOSED'] as const)('of %s another attempt knows no more', async (code) => {
  const committer = failing(code);
  await expect(commitPatiently(committer, options)).rejects.toMatchObject({ code });
  expect(committer.calls).toBe(1);
});
