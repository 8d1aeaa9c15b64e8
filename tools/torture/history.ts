import type { Knowledge } from './knowledge.ts';
import type { Model } from './model.ts';

const LAST = 12;
const OF_A_FILE = 25;

/** What led to problems: the last operations, and those on the files the problems name. */
export function historyOf(model: Model, known: Knowledge, problems: readonly string[]): string[] {
  const end = Math.min(model.done.length, known.done + 1);
  const files = new Set(
    problems.flatMap((text) => [...text.matchAll(/\bfile (\d+)/g)].map(([, id]) => Number(id))),
  );
  const numbers = new Set<number>();
  for (let number = Math.max(1, end - LAST); number <= end; number++) numbers.add(number);
  for (const file of files) {
    for (const number of operationsOn(model, file, end).slice(-OF_A_FILE)) numbers.add(number);
  }
  return [...numbers]
    .sort((one, other) => one - other)
    .map((number) => {
      const operation = model.done[number - 1]?.operation;
      const isSynced = known.syncs.includes(number) ? ' acknowledged' : '';
      return `${number} ${JSON.stringify(operation)}${isSynced}`;
    });
}

function operationsOn(model: Model, file: number, end: number): number[] {
  const numbers: number[] = [];
  for (let number = 1; number <= end; number++) {
    const change = model.changes[number - 1];
    const operation = model.done[number - 1]?.operation;
    const isSync = operation !== undefined && 'id' in operation && operation.id === file;
    if (isSync || change?.content === file || change?.meta.includes(file)) numbers.push(number);
  }
  return numbers;
}
