/**
 * Works with one database of test/databases on a mount, and notes each transaction that is
 * acknowledged:
 *
 *     database-load-main.js NAME FOLDER MARKS   makes it and says "ready"; runs from the first line
 *                                               of its input to the end of it; MARKS is the file
 *                                               that gets a line "NAME NUMBER" for each
 */
import { openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { loadNamed } from '../databases/loads.ts';

const [name = '', folder = '', marks = ''] = process.argv.slice(2);
const database = await loadNamed(name).begin(folder);
const fd = openSync(marks, 'a');
const input = createInterface(process.stdin);
let isOver = false;
input.once('close', () => {
  isOver = true;
});
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
await new Promise((go) => input.once('line', go));
let number = 0;
while (!isOver) {
  number++;
  await database.step(number);
  writeSync(fd, `${name} ${number}\n`);
  await nextTurn();
}
await database.close();
process.stdout.write(`${JSON.stringify({ steps: number })}\n`);
