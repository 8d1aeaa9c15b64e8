import { lineAt, type Problem, type Tree } from './tree.ts';

/** Licences that ask for nothing but a notice. */
const ALLOWED: ReadonlySet<string> = new Set([
  'MIT',
  'ISC',
  '0BSD',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  'BlueOak-1.0.0',
]);

const LOCK = 'package-lock.json';

interface LockedPackage {
  dev?: boolean;
  license?: string;
}

/** Whether an SPDX expression leaves a choice that is allowed: all of `AND`, any of `OR`. */
export function isAllowedLicence(expression: string): boolean {
  const bare = expression.trim().replace(/^\((.*)\)$/, '$1');
  if (/[()]/.test(bare)) return false; // Nested expressions are for a person to judge.
  return bare
    .split(/\s+OR\s+/)
    .some((choice) => choice.split(/\s+AND\s+/).every((name) => ALLOWED.has(name.trim())));
}

/** Every package that is installed with `npm ci --omit=dev` has an allowed licence. */
export function checkLicences(tree: Tree): Problem[] {
  if (!tree.has(LOCK)) return [];
  const text = tree.read(LOCK);
  const lock = JSON.parse(text) as { packages?: Record<string, LockedPackage> };
  const problems: Problem[] = [];
  for (const [path, entry] of Object.entries(lock.packages ?? {})) {
    if (path === '' || entry.dev === true) continue;
    const licence = entry.license ?? '';
    if (isAllowedLicence(licence)) continue;
    const name = path.replace(/^.*node_modules\//, '');
    const found = licence === '' ? 'has no licence' : `has the licence ${licence}`;
    const line = lineAt(text, text.indexOf(JSON.stringify(path)) + 1);
    problems.push({ path: LOCK, line, message: `${name} ${found}, which is not on the list` });
  }
  return problems;
}
