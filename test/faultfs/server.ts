import { createInterface } from 'node:readline';
import type { Log } from '../../src/base/log.ts';
import { FuseServer, mountFuse, openDevice, unmountOwn } from '../../src/fuse/mod.ts';
import { isAlive } from '../harness/processes.ts';
import { writeCrashState } from './crash-state.ts';
import { DeviceTree } from './device-tree.ts';
import { FaultVfs } from './fault-vfs.ts';
import { Faults } from './faults.ts';
import { flipBits } from './flip.ts';
import type { Command, ServerOptions } from './messages.ts';
import { OperationLog } from './operation-log.ts';

/** How often to look whether the test still runs. */
const PARENT_CHECK_MS = 300;

/** The rig's process: serves the mount, and its test over standard input and output. */
export class FaultServer {
  readonly #options: ServerOptions;
  readonly #log = new OperationLog();
  readonly #faults = new Faults();
  readonly #tree: DeviceTree;
  readonly #vfs: FaultVfs;
  readonly #server: FuseServer;

  constructor(options: ServerOptions, log: Log) {
    this.#options = options;
    this.#tree = new DeviceTree(this.#log, options.devices);
    this.#vfs = new FaultVfs(this.#tree, this.#faults, this.#log);
    const fd = openDevice();
    mountFuse({ fd, mountPoint: options.mountPoint, source: 'faultfs' });
    this.#server = new FuseServer({ fd, vfs: this.#vfs, log, letSleep: true });
  }

  /** Serves until the mount is gone, or the test is: its end closes the input. */
  async run(): Promise<void> {
    const lines = createInterface(process.stdin);
    lines.on('line', (line) => void this.#answer(line));
    lines.once('close', () => void this.#leave());
    // A test that is killed while a call of its own hangs here keeps its pipes open.
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent || !isAlive(parent)) void this.#leave();
    }, PARENT_CHECK_MS).unref();
    const running = this.#server.run();
    process.stdout.write(`${JSON.stringify({ ready: process.pid })}\n`);
    await running;
  }

  /** What still waits for an answer gets an error when the process, and its device, are gone. */
  async #leave(): Promise<void> {
    this.#faults.remove();
    await unmountOwn(this.#options.mountPoint, { lazy: true });
    this.#server.stop();
  }

  async #answer(line: string): Promise<void> {
    const { id, ...command } = JSON.parse(line) as Command & { id: number };
    let answer: object;
    try {
      answer = { id, result: (await this.#do(command)) ?? null };
    } catch (error) {
      answer = { id, error: String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }

  async #do(command: Command): Promise<unknown> {
    switch (command.command) {
      case 'cut':
        this.#vfs.cut();
        return this.#log.sequence;
      case 'settle':
        this.#tree.settle();
        return this.#log.sequence;
      case 'sequence':
        return this.#log.sequence;
      case 'marks':
        return this.#log.marks;
      case 'counts':
        return this.#log.counts();
      case 'operations':
        return this.#log.operations(command.from, command.to);
      case 'crashState':
        return writeCrashState(this.#tree, command.options);
      case 'addFault':
        return await this.#addFault(command);
      case 'removeFault':
        return this.#faults.remove(command.fault);
      case 'hits':
        return this.#faults.hits(command.fault);
      case 'flip': {
        const flips = flipBits(this.#tree, command.flip);
        for (const { node } of flips) await this.#vfs.forgetPages(node.attr.ino);
        return flips.map(({ at }) => at);
      }
    }
  }

  /** Reads fail only if they come here: what the kernel keeps of the files goes first. */
  async #addFault({ rule }: Command & { command: 'addFault' }): Promise<number> {
    // Before the rule is there: pages that are being read or written are waited for.
    if (rule.operation === 'read' || rule.operation === 'any') await this.#vfs.forgetPages();
    return this.#faults.add(rule);
  }
}
