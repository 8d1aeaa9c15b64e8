import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DfsError } from '../../src/base/errors.ts';
import { GIB } from '../../src/base/limits.ts';
import { readMountinfo } from '../../src/base/os/mod.ts';
import { parseScheme, pieceCount } from '../../src/chunk/mod.ts';
import type { RecoverReport, StatusReport } from '../../src/node/mod.ts';
import { formatBytes, formatCount, formatDuration } from '../dfsctl/format.ts';
import { createProgress } from '../dfsctl/progress.ts';
import { Children } from './child.ts';
import { compareLists } from './compare.ts';
import { runProgram, treeWords } from './programs.ts';
import type { Steps } from './steps.ts';

const DFSCTL: string = fileURLToPath(new URL('../../../bin/dfsctl', import.meta.url));
const PACKAGE: string = fileURLToPath(new URL('../../../', import.meta.url));
/** What is copied onto the mount: what was installed, the sources and what was built of them. */
const TREES = ['node_modules', 'src', 'dist'];
const FILES_MIN = 5000;
const TRANSACTIONS = '1000';
const PUTS = '100000';
const DISKS = [1, 2, 3];
const LOST_DISK = 2;
const JOURNAL_MODES = ['wal', 'delete'];

/** The volume in ./demo, from its making to its recovery. */
export class Demo {
  readonly #folder: string;
  readonly #scheme: string;
  readonly #steps: Steps;
  readonly #children = new Children();
  /** What `auto` came to. */
  #chosen = '';
  #aborted = false;

  constructor(options: { folder: string; scheme: string; steps: Steps }) {
    this.#folder = options.folder;
    this.#scheme = options.scheme;
    this.#steps = options.steps;
  }

  #path(...parts: string[]): string {
    return join(this.#folder, ...parts);
  }

  get #mount(): string {
    return this.#path('mnt');
  }

  async run(): Promise<void> {
    if (process.getuid?.() !== 0) {
      throw new DfsError('BAD_ARGUMENT', 'Cannot mount: that takes root; run this as root');
    }
    if (existsSync(this.#folder)) {
      await this.#step('Remove the demo of an earlier run', async () => {
        await this.clean();
        return 'removed';
      });
    }
    await this.#step('Make a volume over 3 disk folders', () => this.#init());
    await this.#step('Mount it', () => this.#mountVolume());
    await this.#step(`Copy ${TREES.join(', ')} onto it`, () => this.#copyTrees());
    await this.#step('Hash the originals', () => this.#hashTrees(PACKAGE, 'before'));
    for (const mode of JOURNAL_MODES) {
      await this.#step(`SQLite, ${mode.toUpperCase()} journal`, () => this.#writeSqlite(mode));
    }
    await this.#step('LevelDB', () => this.#writeLevel());
    await this.#step('Commit', () => this.#commit());
    await this.#step('Unmount', () => this.#unmount());
    await this.#step(`Delete disk ${LOST_DISK} and all of HOME`, () => this.#destroy());
    await this.#step('Recover from the other disks', () => this.#recover());
    await this.#step('Mount what was recovered', () => this.#mountVolume());
    await this.#step('Compare every file by hash', () => this.#compareTrees());
    for (const mode of JOURNAL_MODES) {
      await this.#step(`Check SQLite, ${mode.toUpperCase()}`, () => this.#checkSqlite(mode));
    }
    await this.#step('Check LevelDB, every key', () => this.#checkLevel());
    await this.#step('Unmount again', () => this.#unmountDegraded());
  }

  #step(what: string, work: () => Promise<string>): Promise<void> {
    return this.#steps.run(what, async () => {
      if (this.#aborted) throw new DfsError('CLOSED', 'Cannot go on: it was interrupted');
      return work();
    });
  }

  /** Makes the run end soon. */
  abort(): void {
    this.#aborted = true;
    this.#children.abort();
  }

  #disk(number: number): string {
    return this.#path(`disk${number}`);
  }

  async #init(): Promise<string> {
    for (const number of DISKS) await mkdir(this.#disk(number), { recursive: true });
    await mkdir(this.#mount);
    const disks = DISKS.flatMap((number) => ['--disk', this.#disk(number)]);
    const sizes = ['--bucket-size', '1GiB', '--cache-size', String(GIB)];
    const made = await this.#dfsctl<{ scheme: string; survives: string }>([
      'init',
      this.#path('home'),
      ...disks,
      ...sizes,
      '--scheme',
      this.#scheme,
    ]);
    this.#chosen = made.scheme;
    return `${made.scheme}, ${made.survives}`;
  }

  async #mountVolume(): Promise<string> {
    const { mode } = await this.#dfsctl<{ mode: string }>([
      'mount',
      this.#path('home'),
      this.#mount,
    ]);
    return `${mode} mode`;
  }

  async #copyTrees(): Promise<string> {
    const from = TREES.map((name) => join(PACKAGE, name));
    const list: string[] = [];
    await this.#children.run(['find', ...from, '-print'], { onLine: (line) => list.push(line) });
    const bar = createProgress('  Copying', 'count');
    await mkdirOnMount(this.#children, this.#path('mnt', 'tree'));
    let done = 0;
    try {
      await this.#children.run(['cp', '-a', '-v', ...from, this.#path('mnt', 'tree')], {
        onLine: () => bar.update({ done: ++done, total: list.length }),
      });
    } finally {
      bar.stop();
    }
    return formatCount(done, 'file or folder', 'files and folders');
  }

  async #hashTrees(folder: string, listName: string): Promise<string> {
    const totals = { files: 0, bytes: 0 };
    for (const tree of TREES) {
      const { files = 0, bytes = 0 } = await runProgram(this.#children, {
        name: 'hash-tree-main',
        args: [join(folder, tree), this.#path(`${tree}.${listName}`)],
        what: `Hashing ${tree}`,
      });
      totals.files += files;
      totals.bytes += bytes;
    }
    if (totals.files < FILES_MIN) {
      const state = `there are only ${totals.files} files, ${FILES_MIN} are wanted`;
      throw new DfsError('BAD_ARGUMENT', `Cannot use these trees: ${state}; run npm ci`);
    }
    return treeWords(totals);
  }

  async #writeSqlite(mode: string): Promise<string> {
    const startedMs = performance.now();
    const { transactions = 0 } = await runProgram(this.#children, {
      name: 'sqlite-write-main',
      args: [this.#path('mnt', `${mode}.db`), mode, TRANSACTIONS],
      what: `SQLite ${mode}`,
    });
    return `${formatCount(transactions, 'transaction')}, ${rate(transactions, startedMs)}`;
  }

  async #writeLevel(): Promise<string> {
    const startedMs = performance.now();
    const { puts = 0 } = await runProgram(this.#children, {
      name: 'level-write-main',
      args: [this.#path('mnt', 'level'), PUTS],
      what: 'LevelDB',
    });
    return `${formatCount(puts, 'put')}, ${rate(puts, startedMs)}`;
  }

  async #commit(): Promise<string> {
    const names = ['tree', ...JOURNAL_MODES.map((mode) => `${mode}.db`), 'level'];
    const paths = names.map((name) => this.#path('mnt', name));
    const { receipts } = await this.#dfsctl<{
      receipts: { path: string; state: string; epoch: number; scheme: string }[];
    }>(['commit', ...paths]);
    for (const { path, state, epoch, scheme } of receipts) {
      this.#steps.say(`${path.slice(this.#folder.length + 1)}: ${state}@${epoch}, ${scheme}`);
    }
    if (receipts.some(({ state }) => state !== 'committed')) {
      throw new DfsError('UNAVAILABLE', 'Cannot commit everything: see the receipts above');
    }
    const status = await this.#dfsctl<StatusReport>(['status', this.#mount]);
    const stored = `${formatBytes(status.usedBytes)} in ${formatCount(status.chunks, 'chunk')}`;
    return `${receipts.length} receipts, epoch ${status.epoch}, ${stored}`;
  }

  async #unmount(): Promise<string> {
    const { epoch } = await this.#dfsctl<{ epoch: number }>(['umount', this.#mount]);
    return `at epoch ${epoch}`;
  }

  async #destroy(): Promise<string> {
    await rm(this.#disk(LOST_DISK), { recursive: true });
    await rm(this.#path('home'), { recursive: true });
    return 'config, metadata, cache and a third of the pieces are gone';
  }

  async #recover(): Promise<string> {
    const left = DISKS.filter((number) => number !== LOST_DISK);
    const disks = left.flatMap((number) => ['--disk', this.#disk(number)]);
    const home = this.#path('home');
    const report = await this.#dfsctl<RecoverReport>(['recover', home, ...disks]);
    const { epoch, files, fileBytes, lost } = report;
    const found = formatCount(files, 'file or folder', 'files and folders');
    return `epoch ${epoch}: ${found}, ${formatBytes(fileBytes)}, ${lost.length} chunks lost`;
  }

  async #compareTrees(): Promise<string> {
    const words = await this.#hashTrees(this.#path('mnt', 'tree'), 'after');
    for (const tree of TREES) {
      await compareLists(this.#path(`${tree}.before`), this.#path(`${tree}.after`));
    }
    return `${words}: all the same`;
  }

  async #checkSqlite(mode: string): Promise<string> {
    const { rows = 0 } = await runProgram(this.#children, {
      name: 'sqlite-check-main',
      args: [this.#path('mnt', `${mode}.db`), TRANSACTIONS],
      what: `SQLite ${mode}`,
    });
    return `integrity_check ok, ${formatCount(rows, 'row')}`;
  }

  async #checkLevel(): Promise<string> {
    const { keys = 0 } = await runProgram(this.#children, {
      name: 'level-check-main',
      args: [this.#path('mnt', 'level'), PUTS],
      what: 'LevelDB',
    });
    return `${formatCount(keys, 'key')}: all right`;
  }

  /** A scheme as wide as all disks cannot commit what the checks changed while one is gone. */
  async #unmountDegraded(): Promise<string> {
    const needed = pieceCount(parseScheme(this.#chosen));
    const left = DISKS.length - 1;
    if (needed <= left) return this.#unmount();
    const args = ['umount', this.#mount, '--now'];
    const { dirtyBytes } = await this.#dfsctl<{ dirtyBytes: number }>(args);
    const why = `${this.#chosen} needs ${needed} disks, ${left} are left`;
    return `not committed, ${formatBytes(dirtyBytes)} stay in the cache: ${why}`;
  }

  #dfsctl<T>(args: string[]): Promise<T> {
    const showErrors = process.stderr.isTTY;
    return this.#children.json<T>([DFSCTL, ...args, '--json'], { showErrors });
  }

  #isMounted(): boolean {
    return readMountinfo().some(({ mountPoint }) => mountPoint === this.#mount);
  }

  /** Leaves no mount and no daemon behind, whatever happened. */
  async unmountAnyhow(): Promise<void> {
    if (!this.#isMounted()) return;
    this.#steps.say('unmounting');
    try {
      await this.#children.run([DFSCTL, 'umount', this.#mount, '--now']);
    } catch {
      await this.#children.run(['umount', '--lazy', this.#mount]);
    }
  }

  /** Unmounts and removes the demo. */
  async clean(): Promise<void> {
    await this.unmountAnyhow();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function mkdirOnMount(children: Children, path: string): Promise<void> {
  return children.run(['mkdir', path]);
}

function rate(count: number, startedMs: number): string {
  const elapsedMs = performance.now() - startedMs;
  const perSecond = Math.round((count / elapsedMs) * 1000);
  return `${perSecond.toLocaleString('en-US')}/s in ${formatDuration(elapsedMs)}`;
}
