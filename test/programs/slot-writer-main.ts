/**
 * Counts up in a slot over disk folders, until it is killed: prints a number when it is written.
 * Usage: slot-writer-main FOLDER...; a folder named "-" is a disk that is away.
 */
import { allIn, folderSlots, slotPlacer, slotsOver, text } from '../store/slots-fixture.ts';

const PATH = 'count';
const folders = process.argv.slice(2);
const disks = folders.map((folder, at) =>
  folder === '-' ? undefined : folderSlots(folder, at + 1),
);
const slots = slotsOver(disks, slotPlacer(1, allIn(folders.length)));
let slot = await slots.get(PATH);
console.log(text(slot) ?? '0');
for (let number = Number(text(slot) ?? '0') + 1; ; number++) {
  const content = Buffer.from(String(number));
  const outcome = await slots.put(PATH, content, slot?.version);
  if (!outcome.isDone) throw new Error('somebody else writes the slot');
  slot = { version: outcome.version, content };
  console.log(String(number));
}
