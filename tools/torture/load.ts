import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { Executor } from './executor.ts';
import type { Generator } from './generator.ts';
import { markOf } from './knowledge.ts';
import type { Model } from './model.ts';
import type { Outcome } from './operations.ts';

export interface LoadOptions {
  model: Model;
  generator: Generator;
  executor: Executor;
  /** Writes a line into the log of the devices. */
  mark: (text: string) => void;
  operations: number;
}

/**
 * Carries out random operations, one after the other, and marks each when it is acknowledged.
 * Syncs and commits that nobody waits for are acknowledged while others go on.
 */
export async function playLoad(options: LoadOptions): Promise<void> {
  const { model, generator, executor, mark, operations } = options;
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const later = (work: Promise<void>, acknowledge: () => void): Promise<void> => {
    const end: Promise<void> = work
      .then(acknowledge)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => running.delete(end));
    running.add(end);
    return end;
  };
  for (let count = 0; count < operations; count++) {
    const operation = generator.next();
    const number = model.next;
    let outcome: Outcome = { times: [] };
    try {
      if (operation.kind === 'sync') {
        const { id, how, waits } = operation;
        const end = later(executor.sync(id, how), () => mark(markOf.synced(number)));
        if (waits) await end;
      } else if (operation.kind === 'commit') {
        const end = later(executor.commit(), () => mark(markOf.committed(number)));
        if (operation.waits) await end;
      } else if (operation.kind === 'pause') {
        await (operation.ms === 0 ? nextTurn() : delay(operation.ms));
      } else {
        outcome = await executor.run(operation, number, model.preview(operation));
      }
    } catch (error) {
      // It may have happened.
      model.addUnknown(operation);
      throw error;
    }
    model.add({ operation, outcome });
    mark(markOf.done(number));
    await nextTurn();
    if (failures.length > 0) throw failures[0];
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
