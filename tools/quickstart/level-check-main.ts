/** Reads every key of a LevelDB of level-write-main. Arguments: FOLDER COUNT. */
import { ClassicLevel } from 'classic-level';
import { levelEntry } from './level-entry.ts';
import { say } from './programs.ts';

const [folder = '', countText = '100000'] = process.argv.slice(2);
const count = Number(countText);
const SAY_EVERY = 5000;

const level = new ClassicLevel(folder, { createIfMissing: false });
await level.open();
for (let number = 0; number < count; number++) {
  const { key, value } = levelEntry(number);
  const found = await level.get(key);
  if (found !== value)
    throw new Error(`key ${key} has ${found === undefined ? 'no' : 'a wrong'} value`);
  if (number % SAY_EVERY === 0) say({ progress: { done: number, total: count } });
}
let keys = 0;
for await (const _key of level.keys()) keys++;
await level.close();
if (keys !== count) throw new Error(`there are ${keys} keys instead of ${count}`);
say({ result: { keys } });
