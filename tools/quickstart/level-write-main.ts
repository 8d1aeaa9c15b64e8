/** Puts keys into a new LevelDB; the last put is synced. Arguments: FOLDER COUNT. */
import { ClassicLevel } from 'classic-level';
import { levelEntry } from './level-entry.ts';
import { say } from './programs.ts';

const [folder = '', countText = '100000'] = process.argv.slice(2);
const count = Number(countText);
const PUTS_AT_ONCE = 500;

const level = new ClassicLevel(folder);
await level.open();
for (let from = 0; from < count; from += PUTS_AT_ONCE) {
  const puts: Promise<void>[] = [];
  for (let number = from; number < Math.min(from + PUTS_AT_ONCE, count); number++) {
    const { key, value } = levelEntry(number);
    puts.push(level.put(key, value, { sync: number === count - 1 }));
  }
  await Promise.all(puts);
  say({ progress: { done: from, total: count } });
}
await level.close();
say({ result: { puts: count } });
