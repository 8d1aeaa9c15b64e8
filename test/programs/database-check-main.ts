/**
 * Opens one database of test/databases and prints what is wrong with it:
 *
 *     database-check-main.js NAME FOLDER KNOWN    KNOWN as JSON, see Known
 */
import type { Known } from '../databases/load.ts';
import { loadNamed } from '../databases/loads.ts';

const [name = '', folder = '', known = '{}'] = process.argv.slice(2);
const problems = await loadNamed(name).check(folder, JSON.parse(known) as Known);
process.stdout.write(`${JSON.stringify({ problems })}\n`);
