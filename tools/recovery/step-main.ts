/** One step of the measurement: step-main.js STEP OPTIONS, JSON of what it found on stdout. */
import { assert } from '../../src/base/errors.ts';
import { MIB } from '../../src/base/limits.ts';
import { STEPS, type StepOptions } from './steps.ts';

const [name = '', options = '{}'] = process.argv.slice(2);
const step = STEPS[name];
assert(step !== undefined, `a step ${name}`);
const start = performance.now();

function say(facts: object): void {
  const { user, system } = process.cpuUsage();
  const seconds = (performance.now() - start) / 1000;
  const cpuSeconds = (user + system) / 1e6;
  const peakMib = process.resourceUsage().maxRSS / (MIB / 1024);
  console.log(JSON.stringify({ ...facts, seconds, cpuSeconds, peakMib }));
}

const found = await step(JSON.parse(options) as StepOptions, say);
say(found);
