import { checkErrorCodes, checkFormats, checkLinks, checkVerbs } from './docs.ts';
import { checkFiles } from './files.ts';
import { checkLayers } from './layers.ts';
import { checkLicences } from './licences.ts';
import type { Problem, Tree } from './tree.ts';

const CHECKS: readonly ((tree: Tree) => Problem[])[] = [
  checkLayers,
  checkFiles,
  checkErrorCodes,
  checkVerbs,
  checkLinks,
  checkFormats,
  checkLicences,
];

/** Everything this code base asks of itself that no compiler, linter or formatter checks. */
export function tidy(tree: Tree): Problem[] {
  return CHECKS.flatMap((check) => check(tree)).sort(
    (a, b) => a.path.localeCompare(b.path) || a.line - b.line,
  );
}
