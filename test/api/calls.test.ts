import { Readable } from 'node:stream';
import type { Volume } from 'dfs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ApiScene, codeOf } from './scene.ts';

const MIB = 2 ** 20;

let scene: ApiScene;
let volume: Volume;

beforeAll(async () => {
  scene = await ApiScene.create();
  volume = await scene.open({ storeThread: false });
});

beforeEach(async () => {
  for (const name of await volume.readdir('/', { encoding: 'buffer' }))
    await volume.rm(name, { recursive: true });
});

afterAll(() => scene.dispose());

test('an error says what node says', async () => {
  await volume.mkdir('/folder');
  const error = await volume.open('/folder/absent').catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({
    message: "ENOENT: no such file or directory, open '/folder/absent'",
    code: 'ENOENT',
    errno: -2,
    syscall: 'open',
    path: '/folder/absent',
  });
  await expect(volume.rename('/folder', '/folder/in/it')).rejects.toMatchObject({
    syscall: 'rename',
    path: '/folder',
    dest: '/folder/in/it',
  });
});

test('what no call takes is a BAD_ARGUMENT', async () => {
  const file = await volume.open('/file', 'w+');
  expect(await codeOf(volume.open('/file', 'rw'))).toBe('BAD_ARGUMENT');
  expect(await codeOf(volume.open('/file\0', 'r'))).toBe('BAD_ARGUMENT');
  expect(await codeOf(volume.chmod('/file', 'rwx'))).toBe('BAD_ARGUMENT');
  expect(await codeOf(volume.chown('/file', -2, 0))).toBe('BAD_ARGUMENT');
  expect(await codeOf(volume.utimes('/file', 'now', 0))).toBe('BAD_ARGUMENT');
  expect(await codeOf(file.read(Buffer.alloc(4), 5))).toBe('BAD_ARGUMENT');
  expect(await codeOf(file.read(Buffer.alloc(4), 0, 5))).toBe('BAD_ARGUMENT');
  expect(await codeOf(file.read(Buffer.alloc(4), 0, 4, -2))).toBe('BAD_ARGUMENT');
  expect(await codeOf(file.truncate(1.5))).toBe('BAD_ARGUMENT');
  expect(await codeOf(file.writeFile([1] as unknown as string[]))).toBe('BAD_ARGUMENT');
  await file.close();
});

test('a handle does what it was opened for, and nothing once it is closed', async () => {
  const writer = await volume.open('/file', 'w');
  expect(await codeOf(writer.read(Buffer.alloc(1)))).toBe('EBADF');
  await writer.writeFile('text');
  const reader = await volume.open('/file');
  expect(await codeOf(reader.write('x'))).toBe('EBADF');
  expect(await codeOf(reader.truncate(0))).toBe('EINVAL');
  await writer.close();
  await writer.close();
  expect(await codeOf(writer.write('x'))).toBe('EBADF');
  expect(await codeOf(writer.stat())).toBe('EBADF');
  await reader.close();
  const folder = await volume.open('/');
  await folder.sync();
  expect(await codeOf(folder.read())).toBe('EISDIR');
  await folder.close();
});

test('read and write go by the position, or by the one they are given', async () => {
  const file = await volume.open('/file', 'w+');
  expect(await file.write('0123456789')).toMatchObject({ bytesWritten: 10 });
  expect(await file.write(Buffer.from('abcdef'), 2, 3, 4)).toMatchObject({ bytesWritten: 3 });
  expect(await file.read(Buffer.alloc(4))).toMatchObject({ bytesRead: 0 });
  const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(8), position: 6 });
  expect(buffer.toString('utf8', 0, bytesRead)).toBe('e789');
  expect(await file.read({ position: 1000n })).toMatchObject({ bytesRead: 0 });
  const many = [Buffer.alloc(3), Buffer.alloc(3), Buffer.alloc(9)];
  expect(await file.readv(many, 2)).toMatchObject({ bytesRead: 8 });
  expect(many.map(String)).toEqual(['23c', 'de7', `89${'\0'.repeat(7)}`]);
  await file.writev([Buffer.from('vec'), Buffer.from('tor')], 0);
  const whole = await volume.open('/file');
  expect(await whole.readFile('utf8')).toBe('vectorde'.slice(0, 6) + 'e789'.slice(0, 4));
  expect(await whole.readFile('utf8')).toBe('');
  await whole.close();
  await file.close();
});

test('writes at the same time are each whole, and appends each behind the others', async () => {
  const files = await Promise.all([1, 2, 3].map(() => volume.open('/log', 'a')));
  const lines = Array.from({ length: 300 }, (_, index) => `${'line '.repeat(index)}${index}\n`);
  await Promise.all(lines.map(async (line, index) => files[index % 3]?.write(line)));
  for (const file of files) await file.close();
  const found = (await volume.readFile('/log', 'utf8')).split('\n').slice(0, -1);
  expect(found.map((line) => `${line}\n`).sort()).toEqual([...lines].sort());
});

test('reads at the same time by the position of one handle share the file out', async () => {
  await volume.writeFile('/file', Buffer.alloc(64_000, 'abcdefgh'));
  const file = await volume.open('/file');
  const parts = await Promise.all(Array.from({ length: 16 }, () => file.read(Buffer.alloc(4000))));
  expect(parts.every(({ bytesRead }) => bytesRead === 4000)).toBe(true);
  expect(Buffer.concat(parts.map(({ buffer }) => buffer))).toEqual(
    Buffer.alloc(64_000, 'abcdefgh'),
  );
  expect((await file.read()).bytesRead).toBe(0);
  await file.close();
});

test('content may be text, bytes, a list or a stream, of any length', async () => {
  const big = Buffer.alloc(5 * MIB + 17, 'many bytes');
  await volume.writeFile('/big', big);
  expect((await volume.readFile('/big')).equals(big)).toBe(true);
  await volume.writeFile('/stream', Readable.from([Buffer.from('a'), Buffer.from('b')]));
  await volume.appendFile('/stream', ['c', new Uint8Array([0x64])]);
  expect(await volume.readFile('/stream', 'utf8')).toBe('abcd');
  await volume.writeFile('/hex', '616263', { encoding: 'hex', mode: 0o600, flush: true });
  expect(await volume.readFile('/hex', { encoding: 'utf8' })).toBe('abc');
  expect((await volume.stat('/hex')).mode).toBe(0o100600);
});

test('a file lives without its name as long as it is open', async () => {
  const file = await volume.open('/file', 'w+');
  await file.writeFile('still here');
  const second = await volume.open('/file');
  await volume.unlink('/file');
  await second.close();
  expect(await codeOf(volume.stat('/file'))).toBe('ENOENT');
  expect((await file.stat()).nlink).toBe(0);
  expect((await file.read({ position: 0 })).bytesRead).toBe(10);
  const { ino } = await file.stat();
  await file.close();
  expect(ino).toBeGreaterThan(1);
});

test('names need not be text', async () => {
  const name = Buffer.from([0x2f, 0xff, 0xfe]);
  await volume.writeFile(name, 'x');
  expect(await volume.readdir('/', { encoding: 'buffer' })).toEqual([name.subarray(1)]);
  await volume.symlink(name, '/link');
  expect(await volume.readlink('/link', { encoding: 'buffer' })).toEqual(name);
  expect(await volume.readFile('/link', 'utf8')).toBe('x');
  const entries = await volume.readdir('/', { encoding: 'buffer', withFileTypes: true });
  expect(entries.filter((entry) => entry.isSymbolicLink()).map(({ name }) => String(name))).toEqual(
    ['link'],
  );
});

test('symlinks that begin with a slash begin at the root of the volume', async () => {
  await volume.mkdir('/a/b', { recursive: true });
  await volume.writeFile('/a/b/file', 'found');
  await volume.symlink('/a/b', '/way');
  expect(await volume.readFile('/way/../b/file', 'utf8')).toBe('found');
  await volume.symlink('loop', '/loop');
  expect(await codeOf(volume.stat('/loop'))).toBe('ELOOP');
});

test('rename can exchange names, and can refuse to replace', async () => {
  await volume.writeFile('/one', '1');
  await volume.writeFile('/two', '2');
  expect(await codeOf(volume.rename('/one', '/two', { noReplace: true }))).toBe('EEXIST');
  await volume.rename('/one', '/two', { exchange: true });
  expect(await volume.readFile('/one', 'utf8')).toBe('2');
  expect(await volume.readFile('/two', 'utf8')).toBe('1');
});

test('rm takes a folder with all that is in it, and says what is not there', async () => {
  await volume.mkdir('/tree/deep/er', { recursive: true });
  for (let index = 0; index < 300; index++) await volume.writeFile(`/tree/deep/${index}`, 'x');
  await volume.symlink('/tree', '/tree/deep/up');
  await volume.writeFile('/other', 'stays');
  expect(await codeOf(volume.rm('/tree'))).toBe('EISDIR');
  await volume.rm('/tree', { recursive: true });
  expect(await volume.readdir('/')).toEqual(['other']);
  expect(await codeOf(volume.rm('/tree'))).toBe('ENOENT');
  await volume.rm('/tree', { force: true });
  expect(await codeOf(volume.rm('/'))).toBe('EBUSY');
});

test('a folder of thousands of names is listed whole', async () => {
  await volume.mkdir('/many');
  const names = Array.from({ length: 2500 }, (_, index) => `name ${index}`);
  await Promise.all(names.map((name) => volume.writeFile(`/many/${name}`, '')));
  expect((await volume.readdir('/many')).sort()).toEqual([...names].sort());
});

test('extended attributes come, change and go', async () => {
  await volume.writeFile('/file', '');
  await volume.setxattr('/file', 'user.one', 'first', { create: true });
  expect(await codeOf(volume.setxattr('/file', 'user.one', 'x', { create: true }))).toBe('EEXIST');
  expect(await codeOf(volume.setxattr('/file', 'user.two', 'x', { replace: true }))).toBe(
    'ENODATA',
  );
  await volume.setxattr('/file', 'user.one', Buffer.from([1, 2]), { replace: true });
  expect(await volume.getxattr('/file', 'user.one')).toEqual(Buffer.from([1, 2]));
  expect(await volume.listxattr('/file')).toEqual(['user.one']);
  await volume.removexattr('/file', 'user.one');
  expect(await codeOf(volume.getxattr('/file', 'user.one'))).toBe('ENODATA');
});

test('attributes are set, of a file and of a symlink itself', async () => {
  await volume.writeFile('/file', 'x');
  await volume.symlink('file', '/link');
  await volume.chown('/link', 12, -1);
  await volume.lchown('/link', -1, 34);
  await volume.utimes('/link', 1, '2.5');
  await volume.lutimes('/link', new Date(3000), 4);
  const [file, link] = [await volume.stat('/file'), await volume.lstat('/link')];
  expect(file).toMatchObject({ uid: 12, atimeNs: 1_000_000_000n, mtimeNs: 2_500_000_000n });
  expect(link).toMatchObject({ gid: 34, atimeMs: 3000, mtime: new Date(4000) });
  const handle = await volume.open('/file', 'r+');
  await handle.chmod('600');
  await handle.chown(56, 78);
  await handle.utimes(9, 9);
  expect(await handle.stat()).toMatchObject({ mode: 0o100600, uid: 56, gid: 78, mtimeMs: 9000 });
  await handle.close();
});

test('the calls of the seed are those of a handle', async () => {
  const file = await volume.fopen('/seed');
  await volume.fwrite(file, 'one ');
  await volume.fappend(file, 'two ');
  await volume.fwrite(file, 'two!');
  await volume.fflush(file);
  expect(await volume.fcommit(file)).toMatchObject({ scheme: 'replica:2' });
  await volume.fclose(file);
  const again = await volume.fopen('/seed', 'r');
  expect(String(await volume.fread(again, 6))).toBe('one tw');
  expect(String(await volume.fread(again, 60))).toBe('o!');
  expect((await volume.fread(again, 60)).length).toBe(0);
  await volume.fclose(again);
});

test('statfs says how much there is, in blocks', async () => {
  const { bsize, blocks, bfree, bavail } = await volume.statfs();
  expect(bsize).toBe(4096);
  expect(bavail).toBe(bfree);
  expect(blocks).toBeGreaterThan(bfree - 1);
});
