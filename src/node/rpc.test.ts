import { readFile } from 'node:fs/promises';
import { MessageChannel } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { DfsError, InvariantError } from '../base/errors.ts';
import { packError, unpackError } from '../home/mod.ts';
import { Moved, Rpc } from './rpc.ts';

function pair(
  here: ConstructorParameters<typeof Rpc>[1],
  there: ConstructorParameters<typeof Rpc>[1],
): [Rpc, Rpc] {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => {
    port1.close();
    port2.close();
  });
  return [new Rpc(port1, here), new Rpc(port2, there)];
}

test('calls go both ways, also one within the other, and answers find their callers', async () => {
  const [here]: [Rpc, Rpc] = pair(
    { half: (value: number) => value / 2 },
    { slowly: (ms: number) => new Promise((resolve) => setTimeout(() => resolve(ms), ms)) },
  );
  const ends: number[] = [];
  await Promise.all([20, 1].map(async (ms) => ends.push(await here.call<number>('slowly', ms))));
  expect(ends).toEqual([1, 20]);
  const late: { there?: Rpc } = {};
  const [, there] = pair(
    { half: (value: number) => value / 2 },
    {
      quarter: async (value: number) => ((await late.there?.call<number>('half', value)) ?? 0) / 2,
    },
  );
  late.there = there;
  expect(await there.call('half', 8)).toBe(4);
});

test('bytes arrive as bytes', async () => {
  const [here] = pair({}, { last: (bytes: Uint8Array) => bytes.subarray(-2) });
  expect(await here.call('last', Buffer.from([1, 2, 3]))).toEqual(new Uint8Array([2, 3]));
});

test('memory is moved where the caller or the answer says so', async () => {
  const answered = new Uint8Array([4, 5]);
  const [here] = pair({}, { swap: () => new Moved(answered, [answered.buffer]) });
  const sent = new Uint8Array([1, 2, 3]);
  expect(await here.call('swap', sent, [sent.buffer])).toEqual(new Uint8Array([4, 5]));
  expect([sent.length, answered.length]).toEqual([0, 0]);
});

test('an error arrives with its code and details; others are IO', async () => {
  const [here] = pair(
    {},
    {
      full: () => {
        throw new DfsError('NO_SPACE', 'Cannot write: full', { details: { disk: 3 } });
      },
      broken: () => Promise.reject(new TypeError('x is not a function')),
      failing: () => readFile('/dev/null/none'),
    },
  );
  await expect(here.call('full', 0)).rejects.toMatchObject({
    code: 'NO_SPACE',
    message: 'Cannot write: full',
    details: { disk: 3 },
  });
  await expect(here.call('broken', 0)).rejects.toMatchObject({ code: 'IO' });
  const said = "ENOTDIR: not a directory, open '/dev/null/none'";
  await expect(here.call('failing', 0)).rejects.toMatchObject({ code: 'IO', message: said });
});

test('a broken invariant stays one on the other side', async () => {
  const [here] = pair({}, {});
  await expect(here.call('nonsense', 0)).rejects.toBeInstanceOf(InvariantError);
  const packed = packError(new InvariantError('two and two'));
  expect(unpackError(structuredClone(packed))).toBeInstanceOf(InvariantError);
  expect(unpackError({ ...packed, code: 'UNHEARD_OF' }).code).toBe('IO');
});

test('what cannot be copied is an error of the call, on either side', async () => {
  const [here] = pair({}, { give: () => () => undefined, take: () => 1 });
  await expect(here.call('give', 0)).rejects.toThrow('could not be cloned');
  await expect(here.call('take', () => undefined)).rejects.toThrow('could not be cloned');
  expect(await here.call('take', 0)).toBe(1);
});

test('when the other end is gone, all that wait are told, and all who call later', async () => {
  const [here] = pair({}, { never: () => new Promise(() => undefined) });
  const waiting = [here.call('never', 0), here.call('never', 1)];
  here.close(new DfsError('CLOSED', 'gone'));
  for (const call of waiting) await expect(call).rejects.toThrow('gone');
  await expect(here.call('never', 2)).rejects.toThrow('gone');
});

test('too many waiting calls are refused', async () => {
  const [here] = pair({}, { never: () => new Promise(() => undefined) });
  for (let count = 0; count < 10_000; count++) here.call('never', 0).catch(() => undefined);
  await expect(here.call('never', 0)).rejects.toMatchObject({ code: 'BUSY' });
  here.close(new DfsError('CLOSED', 'gone'));
});
