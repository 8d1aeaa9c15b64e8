import { posix } from 'node:path';
import { lineAt, type Problem, type Tree } from './tree.ts';

const ERRORS_SOURCE = 'src/base/errors.ts';
const ERRORS_PAGE = 'docs/errors.md';
const CLI_PAGE = 'docs/cli.md';

/** Every error code has a heading in docs/errors.md, and every heading there is a code. */
export function checkErrorCodes(tree: Tree): Problem[] {
  if (!tree.has(ERRORS_SOURCE)) return [];
  const source = tree.read(ERRORS_SOURCE);
  const list = /ERROR_CODES\s*=\s*\[([\s\S]*?)\]/.exec(source);
  if (list === null) return [{ path: ERRORS_SOURCE, line: 1, message: 'no ERROR_CODES list' }];
  const page = tree.has(ERRORS_PAGE) ? tree.read(ERRORS_PAGE) : '';
  const listStart = list.index + list[0].indexOf('[') + 1;
  const problems: Problem[] = [];
  const codes = new Set<string>();
  for (const match of (list[1] ?? '').matchAll(/^\s*'([A-Z_]+)'/gm)) {
    const code = match[1] ?? '';
    codes.add(code);
    if (page.includes(`\n## \`${code}\`\n`)) continue;
    const line = lineAt(source, listStart + match.index + match[0].length);
    problems.push({ path: ERRORS_SOURCE, line, message: `${code} is not in ${ERRORS_PAGE}` });
  }
  for (const match of page.matchAll(/^## `([A-Z_]+)`$/gm)) {
    if (codes.has(match[1] ?? '')) continue;
    const message = `${match[1]} is not a code of ${ERRORS_SOURCE}`;
    problems.push({ path: ERRORS_PAGE, line: lineAt(page, match.index + 1), message });
  }
  return problems;
}

/** Every verb given to commander in tools/dfsctl has a line `dfsctl ... verb` in docs/cli.md. */
export function checkVerbs(tree: Tree): Problem[] {
  const page = tree.has(CLI_PAGE) ? tree.read(CLI_PAGE) : '';
  const problems: Problem[] = [];
  for (const path of tree.paths) {
    if (!/^tools\/dfsctl\/.*\.ts$/.test(path) || path.endsWith('.test.ts')) continue;
    const text = tree.read(path);
    for (const match of text.matchAll(/(?:\.command|new Command)\(\s*['"`]([a-z][a-z-]*)/g)) {
      const verb = match[1] ?? '';
      if (verb === 'dfsctl') continue;
      if (new RegExp(`dfsctl (?:[a-z-]+ )*${verb}(?![a-z-])`).test(page)) continue;
      const line = lineAt(text, match.index + match[0].length);
      problems.push({ path, line, message: `the verb ${verb} is not in ${CLI_PAGE}` });
    }
  }
  return problems;
}

/** The anchor that a heading gets where the pages are shown. */
function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function withoutCode(text: string): string {
  const blank = (code: string): string => code.replace(/[^\n]/g, ' ');
  return text.replace(/^```[\s\S]*?^```/gm, blank).replace(/`[^`\n]*`/g, blank);
}

function anchorsOf(text: string): Set<string> {
  const headings = text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#{1,6} (.*)$/gm);
  return new Set([...headings].map((match) => anchorOf(match[1] ?? '')));
}

function brokenLink(tree: Tree, page: string, link: string): string | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(link)) return undefined;
  const [file = '', anchor] = link.split('#');
  if (posix.isAbsolute(file)) return `the link ${link} is absolute`;
  const target =
    file === '' ? page : posix.normalize(posix.join(posix.dirname(page), decodeURI(file)));
  const folder = target.replace(/\/$/, '');
  const isFolder = folder === '.' || tree.paths.some((path) => path.startsWith(`${folder}/`));
  if (!tree.has(target) && !isFolder) return `the link ${link} leads nowhere`;
  if (anchor === undefined || !target.endsWith('.md')) return undefined;
  return anchorsOf(tree.read(target)).has(anchor) ? undefined : `${target} has no #${anchor}`;
}

/** Every relative link of every page leads to a file, and its anchor to a heading. */
export function checkLinks(tree: Tree): Problem[] {
  const problems: Problem[] = [];
  for (const path of tree.paths.filter((name) => name.endsWith('.md'))) {
    const text = withoutCode(tree.read(path));
    const links = [
      ...text.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g),
      ...text.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm),
    ];
    for (const match of links) {
      const message = brokenLink(tree, path, match[1] ?? '');
      if (message !== undefined)
        problems.push({ path, line: lineAt(text, match.index + 1), message });
    }
  }
  return problems;
}

/** Every x-format.ts is described by a page in docs/formats that names it. */
export function checkFormats(tree: Tree): Problem[] {
  const pages = tree.paths.filter((path) => /^docs\/formats\/.*\.md$/.test(path));
  return tree.paths
    .filter((path) => /^src\/.*-format\.ts$/.test(path))
    .filter((path) => !pages.some((page) => tree.read(page).includes(posix.basename(path))))
    .map((path) => ({ path, line: 1, message: 'no page in docs/formats names this file' }));
}
