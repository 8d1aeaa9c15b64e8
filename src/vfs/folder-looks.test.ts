import { expect, test } from 'vitest';
import type { Ino } from '../base/ids.ts';
import type { MetaOp } from '../meta/mod.ts';
import { FolderLooks } from './folder-looks.ts';

const [A, B] = [5 as Ino, 6 as Ino];
const time = { sec: 1, nsec: 1 };
const name = Buffer.from('x');
const unlink: MetaOp = { kind: 'unlink', parent: A, name, time };
const names = { name, newParent: B, newName: name };
const rename: MetaOp = { kind: 'rename', parent: A, ...names, exchange: false, time };

test('a folder that another thread is being told of is outdated by a change, once', () => {
  const looks = new FolderLooks();
  expect(looks.outdated([unlink], 1)).toEqual([]);
  looks.told(A, 1);
  expect(looks.outdated([unlink], 1)).toEqual([]);
  expect(looks.outdated([unlink], 2)).toEqual([A]);
  expect(looks.outdated([unlink], 2)).toEqual([]);
  looks.told(A, 1);
  looks.told(B, 1);
  expect(looks.outdated([rename], 2)).toEqual([A, B]);
});

test('the own look of who changes a folder hides none of another thread', () => {
  const looks = new FolderLooks();
  looks.told(A, 1);
  looks.told(A, 2);
  expect(looks.outdated([unlink], 2)).toEqual([A]);
  looks.told(A, 2);
  expect(looks.outdated([unlink], 2)).toEqual([]);
});

test('old folders are forgotten', () => {
  const looks = new FolderLooks();
  looks.told(A, 1);
  for (let ino = 100; ino < 2000; ino++) looks.told(ino as Ino, 1);
  expect(looks.outdated([unlink], 2)).toEqual([]);
});
