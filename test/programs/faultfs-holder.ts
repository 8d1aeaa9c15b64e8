/** Starts the rig of failing devices, prints its folder, hangs it, and waits to be killed. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FaultFs } from '../faultfs/mod.ts';

const rig = await FaultFs.start({ devices: ['disk'] });
await rig.setFault({ operation: 'look', kind: 'hang' });
readFile(join(rig.device('disk'), 'never')).catch(() => undefined);
process.stdout.write(`${rig.folder}\n`);
setInterval(() => undefined, 1000);
