import { posix } from 'node:path';
import { lineAt, type Problem, type Tree } from './tree.ts';

/**
 * The rooms from the ground up. An import must point to a strictly lower line: rooms on one line
 * do not know each other.
 */
const LAYERS: readonly (readonly string[])[] = [
  ['src/base'],
  ['src/diskmap', 'src/chunk'],
  ['src/home'],
  ['src/bucket'],
  ['src/meta'],
  ['src/store'],
  ['src/commit'],
  ['src/repair'],
  ['src/cache'],
  ['src/vfs'],
  ['src/fuse'],
  ['src/node'],
  ['src/api'],
  ['tools'],
];

/**
 * Interfaces that may be seen past the door of their room, as types: the driver knows the interface
 * of a file system, and must not come to know ours by importing its room.
 */
const CONTRACTS: ReadonlySet<string> = new Set(['src/vfs/vfs-interface.ts']);

/** Tools that run what tests have, for longer. */
const TEST_TOOLS: readonly string[] = ['tools/torture', 'tools/season'];

/** Packages that only one folder may use, because they leave the language. */
const FENCED: ReadonlyMap<string, string> = new Map([['koffi', 'src/base/os']]);

/** Three shapes: `import|export ... from 'x'`, `import('x')` and the bare `import 'x'`. */
const IMPORT: RegExp = new RegExp(
  [
    /(?:^|\n)\s*(?:import|export)\b([^'"`;]*?)\bfrom\s*['"]([^'"]+)['"]/,
    /\bimport\s*\(\s*['"]([^'"]+)['"]\s*\)/,
    /(?:^|\n)\s*import\s*['"]([^'"]+)['"]/,
  ]
    .map((shape) => shape.source)
    .join('|'),
  'g',
);

interface Import {
  specifier: string;
  typeOnly: boolean;
  line: number;
}

function importsOf(text: string): Import[] {
  const found: Import[] = [];
  for (const match of text.matchAll(IMPORT)) {
    const specifier = match[2] ?? match[3] ?? match[4];
    if (specifier === undefined) continue;
    const typeOnly = /^\s+type\b/.test(match[1] ?? '');
    found.push({ specifier, typeOnly, line: lineAt(text, match.index + match[0].length) });
  }
  return found;
}

function roomOf(path: string): { name: string; layer: number } {
  const parts = path.split('/');
  const name = parts[0] === 'tools' ? 'tools' : parts.slice(0, 2).join('/');
  return { name, layer: LAYERS.findIndex((rooms) => rooms.includes(name)) };
}

function isInside(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}

/** The mod.ts that an import of `target` from `path` has to go through, if it goes around one. */
function bypassedDoor(tree: Tree, path: string, target: string): string | undefined {
  const parts = target.split('/');
  for (let depth = 1; depth < parts.length; depth++) {
    const folder = parts.slice(0, depth).join('/');
    if (isInside(path, folder)) continue;
    const door = `${folder}/mod.ts`;
    if (tree.has(door)) return target === door ? undefined : door;
    const isRoom = depth === 2 && parts[0] === 'src' && folder !== 'src/base';
    if (isRoom) return door;
  }
  return undefined;
}

function checkImport(tree: Tree, path: string, imported: Import): string | undefined {
  const fence = FENCED.get(imported.specifier);
  if (fence !== undefined && !isInside(path, fence)) {
    return `only ${fence} may import ${imported.specifier}`;
  }
  if (!imported.specifier.startsWith('.')) return undefined;
  const target = posix.normalize(posix.join(posix.dirname(path), imported.specifier));
  if (!tree.has(target)) return undefined; // The compiler reports it.
  const from = roomOf(path);
  const to = roomOf(target);
  const isTestTool = TEST_TOOLS.some((tool) => isInside(path, tool));
  if (target.startsWith('test/') && !isTestTool) {
    return `${from.name} must not import tests: ${target}`;
  }
  if (from.name !== to.name && to.layer >= from.layer) {
    return `${from.name} must not import ${to.name}, which is not below it`;
  }
  if (CONTRACTS.has(target) && imported.typeOnly) return undefined;
  const door = bypassedDoor(tree, path, target);
  return door === undefined ? undefined : `import ${door} instead of ${target}`;
}

/** Imports point down only, and into another folder only through its mod.ts. */
export function checkLayers(tree: Tree): Problem[] {
  const problems: Problem[] = [];
  const unplaced = new Set<string>();
  for (const path of tree.paths) {
    if (!path.endsWith('.ts') || !/^(src|tools)\//.test(path)) continue;
    const room = roomOf(path);
    if (room.layer === -1) {
      if (!unplaced.has(room.name)) {
        const message = `${room.name} has no place in LAYERS of tools/tidy/layers.ts`;
        problems.push({ path, line: 1, message });
      }
      unplaced.add(room.name);
      continue;
    }
    for (const imported of importsOf(tree.read(path))) {
      const message = checkImport(tree, path, imported);
      if (message !== undefined) problems.push({ path, line: imported.line, message });
    }
  }
  return problems;
}
