import { expect, test } from 'vitest';
import { ROOT_INO } from '../../src/base/ids.ts';
import { attr, Rig } from './rig.ts';

const EXCHANGE = 2;
const name = (text: string): Buffer => Buffer.from(text);

test('strong mode: fsync of a file waits for a commit of its new name', async () => {
  const rig = new Rig({ mode: 'strong' });
  const ino = rig.touch(ROOT_INO, 'a');
  await rig.fs.fsync(ino, false);
  expect(rig.commits).toBe(1);
  rig.fs.rename(rig.by(), ROOT_INO, name('a'), ROOT_INO, name('b'), 0);
  await rig.fs.fsync(ino, false);
  expect(rig.commits).toBe(2);
});

test('strong mode: fsync waits for what a change of another name did to a file', async () => {
  const rig = new Rig({ mode: 'strong' });
  const [one, other] = [rig.touch(ROOT_INO, 'a'), rig.touch(ROOT_INO, 'b')];
  await rig.fs.fsync(one, false);
  rig.fs.rename(rig.by(), ROOT_INO, name('a'), ROOT_INO, name('b'), EXCHANGE);
  await rig.fs.fsync(other, false);
  expect(rig.commits).toBe(2);
  expect(attr(rig.fs.link(rig.by(), one, ROOT_INO, name('c'))).nlink).toBe(2);
  await rig.fs.fsync(one, false);
  rig.fs.unlink(rig.by(), ROOT_INO, name('c'));
  await rig.fs.fsync(one, false);
  expect(rig.commits).toBe(4);
});

test('fsync of a file that another one took the name of makes that last', async () => {
  const rig = new Rig({ mode: 'strong' });
  const [one, other] = [rig.touch(ROOT_INO, 'a'), rig.touch(ROOT_INO, 'b')];
  expect(attr(rig.fs.link(rig.by(), other, ROOT_INO, name('c'))).nlink).toBe(2);
  await rig.fs.fsync(one, false);
  rig.fs.rename(rig.by(), ROOT_INO, name('a'), ROOT_INO, name('b'), 0);
  await rig.fs.fsync(other, false);
  expect(rig.commits).toBe(2);
});
