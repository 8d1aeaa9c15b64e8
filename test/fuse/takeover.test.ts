import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { afterEach, describe, expect, test } from 'vitest';

import { unmount } from '../../src/fuse/mod.ts';
import { canMount, Mounted, startPython } from './mounted.ts';

const KILLS = 12;

/**
 * Makes, fills, renames, links and removes files until its input ends; any error, or a wrong byte,
 * ends it.
 */
const WORKER = `
import os, select, sys, threading
root = sys.argv[1]
stop = threading.Event()
rounds = [0] * 4
failed = []
def work(id):
    folder = f"{root}/worker-{id}"
    os.mkdir(folder)
    kept = os.open(f"{folder}/kept", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    n = 0
    while not stop.is_set():
        name = f"{folder}/file-{n}"
        data = (b"%d-%d " % (id, n)) * 500
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        assert os.write(fd, data) == len(data)
        os.fsync(fd)
        os.close(fd)
        os.rename(name, name + ".new")
        os.link(name + ".new", name)
        os.mkdir(name + ".folder")
        os.rmdir(name + ".folder")
        assert os.stat(name).st_nlink == 2
        assert open(name, "rb").read() == data
        assert not os.path.exists(name + ".absent")
        os.pwrite(kept, b"%08d" % n, 8 * n)
        os.unlink(name + ".new")
        if n % 3: os.unlink(name)
        n += 1
        rounds[id] = n
        if id == 0: print(n)
    assert os.fstat(kept).st_size == 8 * n
    assert os.pread(kept, 8 * n, 0) == b"".join(b"%08d" % i for i in range(n))
    left = {f"file-{i}" for i in range(0, n, 3)} | {"kept"}
    assert set(os.listdir(folder)) == left, set(os.listdir(folder)) ^ left
def guarded(id):
    try: work(id)
    except BaseException as error:
        failed.append(repr(error))
        print("failed", repr(error))
threads = [threading.Thread(target=guarded, args=(i,)) for i in range(4)]
for thread in threads: thread.start()
sys.stdin.read()
stop.set()
for thread in threads: thread.join()
print("failures", failed)
`;

describe.skipIf(!canMount)('a supervised mount', () => {
  let mounted: Mounted | undefined;
  afterEach(async () => {
    await mounted?.stop();
    mounted = undefined;
  });

  test(`programs go on through ${KILLS} kills, nothing is done twice`, async () => {
    mounted = await Mounted.start('supervised');
    const client = startPython(WORKER, [mounted.mountPoint]);
    const lines = createInterface(client.stdout ?? expect.fail())[Symbol.asyncIterator]();
    const errors = createInterface(client.stderr ?? expect.fail())[Symbol.asyncIterator]();
    const closed = new Promise((done) => client.once('close', done));
    let line = '';
    const progress = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const next = await lines.next();
        if (next.done === true) throw new Error(`The client ended: ${(await errors.next()).value}`);
        line = next.value;
        if (line.startsWith('failed')) throw new Error(`The client ${line}`);
      }
    };
    for (let kill = 0; kill < KILLS; kill++) {
      await progress(5);
      process.kill(mounted.pid, 'SIGKILL');
      await mounted.next('ready');
    }
    await progress(5);
    client.stdin?.end();
    while (!line.startsWith('failures')) await progress(1);
    expect(line).toBe('failures []');
    await closed;
    expect(unmount(mounted.mountPoint, { lazy: false })).toBe(true);
    expect(await mounted.next('end')).toBe('unmounted');
    expect(await mounted.exited).toBe(0);
  });

  test('a daemon that dies in INIT, before or after it stored it, is no harm', async () => {
    mounted = await Mounted.start('supervised', { dieInInit: true });
    await fs.writeFile(join(mounted.mountPoint, 'file'), 'served');
    expect(await fs.readFile(join(mounted.mountPoint, 'file'), 'utf8')).toBe('served');
    expect(unmount(mounted.mountPoint, { lazy: false })).toBe(true);
    expect(await mounted.next('end')).toBe('unmounted');
  });

  test('the daemon goes on serving after a kill -9 of the supervisor', async () => {
    mounted = await Mounted.start('supervised');
    process.kill(mounted.supervisorPid, 'SIGKILL');
    await mounted.exited;
    await fs.writeFile(join(mounted.mountPoint, 'file'), 'served');
    expect(await fs.readFile(join(mounted.mountPoint, 'file'), 'utf8')).toBe('served');
    expect(unmount(mounted.mountPoint, { lazy: false })).toBe(true);
    expect(await mounted.next('end')).toBe('unmounted');
  });
});
