import { join } from 'node:path';
import { type Line, Program } from '../../test/harness/processes.ts';
import type { Executor } from './executor.ts';
import type { Model } from './model.ts';
import {
  type Id,
  type Operation,
  type Outcome,
  ROOT_ID,
  type SyncKind,
  xattrValue,
} from './operations.ts';

/** An inode for the program: by path, or by number where it has no name. */
interface Named {
  id: Id;
  path: string | null;
}

/** The program works in the mount. */
const ROOT = '.';

/** Carries operations out on a mount, in a process of its own. */
export class MountExecutor implements Executor {
  readonly #program: Program;
  readonly #model: Model;
  readonly #commit: () => Promise<unknown>;
  /** The program does one thing after the other. */
  #last: Promise<unknown>;

  constructor(options: { mountPoint: string; model: Model; commit: () => Promise<unknown> }) {
    this.#model = options.model;
    this.#commit = options.commit;
    this.#program = new Program('executor.py', [options.mountPoint]);
    this.#last = this.#program.next();
    this.#last.catch(() => undefined);
  }

  /** Paths of all inodes that have one. */
  #paths(): Map<Id, string> {
    const paths = new Map<Id, string>([[ROOT_ID, ROOT]]);
    for (const [id, path] of paths) {
      for (const [name, child] of this.#model.node(id).entries) {
        if (!paths.has(child)) paths.set(child, join(path, name));
      }
    }
    return paths;
  }

  async run(operation: Operation, number: number, touched: readonly Id[]): Promise<Outcome> {
    const { kind } = operation;
    if (kind === 'evict') return { times: [] };
    const paths = this.#paths();
    const named = (id: Id): Named => ({ id, path: paths.get(id) ?? null });
    const pathOf = (parent: Id, name: string): string => join(paths.get(parent) ?? '', name);
    const fields: Record<string, unknown> = { ...operation, number };
    if ('id' in operation) fields.ino = named(operation.id);
    if ('parent' in operation) {
      fields.folder = paths.get(operation.parent);
      if ('name' in operation) fields.path = pathOf(operation.parent, operation.name);
    }
    if (kind === 'clone') fields.from = named(operation.source);
    if (kind === 'setxattr')
      fields.value = xattrValue(number, operation.lengthBytes).toString('hex');
    let doomed: Id | undefined;
    if (kind === 'unlink') doomed = this.#model.node(operation.parent).entries.get(operation.name);
    if (kind === 'rename') {
      fields.newPath = pathOf(operation.newParent, operation.newName);
      doomed = this.#model.node(operation.newParent).entries.get(operation.newName);
    }
    const keepsOpen = 'keepOpen' in operation && operation.keepOpen;
    if (keepsOpen && doomed !== undefined) fields.keep = named(doomed);
    // Where they are behind the operation.
    fields.touched = this.#pathsAfter(operation, touched);
    return (await this.#ask(fields)) as unknown as Outcome;
  }

  #pathsAfter(operation: Operation, touched: readonly Id[]): Named[] {
    const paths = this.#model.pathsAfter(operation);
    return touched.map((id) => {
      const path = paths.get(id);
      return { id, path: path === undefined ? null : ROOT + path };
    });
  }

  async sync(id: Id, how: SyncKind): Promise<void> {
    const path = this.#paths().get(id) ?? null;
    const isFolder = this.#model.node(id).kind === 'folder';
    await this.#ask({ kind: 'sync', how, isFolder, ino: { id, path }, touched: [] });
  }

  async #ask(command: object): Promise<Line> {
    const answer = this.#last.then(() => this.#program.ask(command));
    this.#last = answer.catch(() => undefined);
    return await answer;
  }

  async commit(): Promise<void> {
    await this.#commit();
  }

  async end(): Promise<void> {
    await this.#program.end();
  }
}
