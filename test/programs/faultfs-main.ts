/**
 * Serves the rig of failing devices (test/faultfs) for one test.
 *
 *     faultfs-main.js FOLDER OPTIONS    OPTIONS as JSON, see ServerOptions; FOLDER has the mount
 *                                       point, and tells the process to whoever cleans up
 */
import { writeSync } from 'node:fs';
import { createLog } from '../../src/base/log.ts';
import type { ServerOptions } from '../faultfs/messages.ts';
import { FaultServer } from '../faultfs/server.ts';

const log = createLog((line) => writeSync(2, line), 'error');
const options = JSON.parse(process.argv[3] ?? '') as ServerOptions;
// A terminal's Ctrl-C ends the test; the end of the test ends this.
process.on('SIGINT', () => undefined);
await new FaultServer(options, log).run();
process.exit(0);
