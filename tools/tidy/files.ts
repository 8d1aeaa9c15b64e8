import { posix } from 'node:path';
import { lineAt, type Problem, type Tree } from './tree.ts';

const LINES_WARN = 300;
const LINES_MAX = 400;
const TEST_LINES_MAX = 600;
const COLUMNS_MAX = 100;
const MOD_PARAGRAPH_CHARACTERS_MIN = 60;

const CODE = /\.(ts|js|mjs|cjs)$/;
const TEXT = /\.(ts|js|mjs|cjs|json|md|sh|yml|yaml)$|(^|\/)[^./]+$|^\.ci\/run$/;
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|bench|config|d))*\.[a-z]+$/;
const SHOUTED = /^(README|CHANGELOG|CONTRIBUTING)\.md$|^LICENSE$/;

/** What no file may say, and why. The words are put together, or this file would say them. */
const FORBIDDEN: readonly { pattern: RegExp; why: string }[] = [
  {
    pattern: new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X'.repeat(3)].join('|')})\\b`),
    why: 'do it now, or write it down in docs',
  },
  {
    pattern: /(?<![\w.~)}*\]/-])\/((home|Users)\/\w+\/|(work|root)\/\w)/,
    why: 'a path of one machine',
  },
];

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/');
}

function checkName(path: string): Problem[] {
  const name = posix.basename(path);
  if (name === 'index.ts') {
    return [{ path, line: 1, message: 'an index.ts; a folder opens with mod.ts' }];
  }
  const ours = /^(src|tools|test|docs)\//.test(path) && /\.(ts|js|md)$/.test(name);
  if (!ours || KEBAB.test(name) || SHOUTED.test(name)) return [];
  return [{ path, line: 1, message: 'a file name that is not kebab-case' }];
}

function checkSize(path: string, lines: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  const count = lines.length - (lines.at(-1) === '' ? 1 : 0);
  const max = isTest(path) ? TEST_LINES_MAX : LINES_MAX;
  if (count > max) {
    problems.push({ path, line: max + 1, message: `${count} lines; at most ${max} are allowed` });
  } else if (count > LINES_WARN && !isTest(path)) {
    const message = `${count} lines; think of cutting it at ${LINES_WARN}`;
    problems.push({ path, line: LINES_WARN + 1, message, warning: true });
  }
  const wide = lines.flatMap((line, index) => {
    return line.length > COLUMNS_MAX && !/https?:\/\//.test(line) ? [index + 1] : [];
  });
  if (wide[0] !== undefined) {
    const message = `${wide.length} lines are wider than ${COLUMNS_MAX} columns, this one first`;
    problems.push({ path, line: wide[0], message, warning: true });
  }
  return problems;
}

function checkWords(path: string, lines: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  lines.forEach((line, index) => {
    for (const { pattern, why } of FORBIDDEN) {
      const match = pattern.exec(line);
      if (match === null) continue;
      problems.push({ path, line: index + 1, message: `"${match[0]}": ${why}` });
    }
  });
  return problems;
}

function checkDoor(path: string, text: string): Problem[] {
  const problems: Problem[] = [];
  for (const match of text.matchAll(/^export\s*\*/gm)) {
    const message = 'export *; name what a folder exports';
    problems.push({ path, line: lineAt(text, match.index), message });
  }
  if (posix.basename(path) !== 'mod.ts') return problems;
  const paragraph = /^\s*(?:\/\*\*?([\s\S]*?)\*\/|((?:\/\/.*\n)+))/.exec(text);
  const words = (paragraph?.[1] ?? paragraph?.[2] ?? '').replace(/[\s*/]+/g, ' ').trim();
  if (words.length < MOD_PARAGRAPH_CHARACTERS_MIN) {
    problems.push({ path, line: 1, message: 'no paragraph that says what the folder is for' });
  }
  return problems;
}

/** Names, lengths, words and doors of single files. */
export function checkFiles(tree: Tree): Problem[] {
  return tree.paths.flatMap((path) => {
    const problems = checkName(path);
    if (!TEXT.test(path) || path === 'package-lock.json' || path.includes('golden/')) {
      return problems;
    }
    const text = tree.read(path);
    const lines = text.split('\n');
    problems.push(...checkWords(path, lines));
    if (CODE.test(path)) problems.push(...checkSize(path, lines), ...checkDoor(path, text));
    return problems;
  });
}
