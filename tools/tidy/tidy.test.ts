import { describe, expect, test } from 'vitest';
import { isAllowedLicence } from './licences.ts';
import { tidy } from './tidy.ts';
import { treeOf } from './tree.ts';

function problemsOf(files: Record<string, string>): string[] {
  return tidy(treeOf(new Map(Object.entries(files)))).map(
    ({ path, line, message }) => `${path}:${line}: ${message}`,
  );
}

// The imports are put together from parts, or tidy would find them in this file.
function importing(from: string, what = '{ a }'): string {
  return `import ${what} ${'from'} '${from}';\n`;
}

const DOOR = '/** What this folder is for, in a sentence that is long enough to say it. */\n';

describe('layers', () => {
  test('an import may point down through a mod.ts', () => {
    const problems = problemsOf({
      'src/vfs/open.ts': importing('../cache/mod.ts'),
      'src/cache/mod.ts': DOOR,
    });
    expect(problems).toEqual([]);
  });

  test('an import must not point up', () => {
    const problems = problemsOf({
      'src/cache/a.ts': `const x = 1;\n${importing('../vfs/mod.ts')}`,
      'src/vfs/mod.ts': DOOR,
    });
    expect(problems).toEqual([
      'src/cache/a.ts:2: src/cache must not import src/vfs, which is not below it',
    ]);
  });

  test('rooms of one layer do not know each other', () => {
    const problems = problemsOf({
      'src/chunk/a.ts': importing('../diskmap/mod.ts'),
      'src/diskmap/mod.ts': DOOR,
    });
    expect(problems).toHaveLength(1);
  });

  test('an import must not go around a mod.ts', () => {
    const problems = problemsOf({
      'src/vfs/open.ts': importing('../cache/inner.ts'),
      'src/cache/inner.ts': '',
    });
    expect(problems).toEqual([
      'src/vfs/open.ts:1: import src/cache/mod.ts instead of src/cache/inner.ts',
    ]);
  });

  test('an import of several lines, and one written as a call, are seen', () => {
    const problems = problemsOf({
      'src/cache/a.ts': importing('../vfs/mod.ts', '{\n  a,\n  b,\n}'),
      'src/cache/b.ts': `const vfs = await import${'('}'../vfs/mod.ts');\n`,
      'src/vfs/mod.ts': DOOR,
    });
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual([
      'src/cache/a.ts:4:',
      'src/cache/b.ts:1:',
    ]);
  });

  test('base has no door, its folders do', () => {
    const problems = problemsOf({
      'src/chunk/a.ts': importing('../base/ids.ts') + importing('../base/os/poll.ts'),
      'src/base/ids.ts': '',
      'src/base/os/poll.ts': '',
      'src/base/os/mod.ts': DOOR,
    });
    expect(problems).toEqual([
      'src/chunk/a.ts:2: import src/base/os/mod.ts instead of src/base/os/poll.ts',
    ]);
  });

  test('the interface of a file system may be seen past its door, as types only', () => {
    const files = { 'src/vfs/vfs-interface.ts': '', 'src/vfs/mod.ts': DOOR };
    const typed = importing('../vfs/vfs-interface.ts', 'type { Vfs }');
    expect(problemsOf({ ...files, 'src/fuse/a.ts': typed })).toEqual([]);
    expect(problemsOf({ ...files, 'src/cache/a.ts': typed })).toHaveLength(1);
    const untyped = importing('../vfs/vfs-interface.ts');
    expect(problemsOf({ ...files, 'src/fuse/a.ts': untyped })).toHaveLength(1);
  });

  test('libc is touched in one folder, and no room is outside of the layers', () => {
    const problems = problemsOf({
      'src/base/os/call.ts': importing('koffi'),
      'src/fuse/call.ts': importing('koffi'),
      'src/attic/a.ts': '',
    });
    expect(problems).toEqual([
      'src/attic/a.ts:1: src/attic has no place in LAYERS of tools/tidy/layers.ts',
      'src/fuse/call.ts:1: only src/base/os may import koffi',
    ]);
  });
});

describe('files', () => {
  test('an index.ts, export * and a mod.ts without a paragraph are refused', () => {
    const problems = problemsOf({
      'src/base/index.ts': '',
      'src/vfs/mod.ts': `export ${'*'} ${'from'} './a.ts';\n`,
    });
    expect(problems).toEqual([
      'src/base/index.ts:1: an index.ts; a folder opens with mod.ts',
      'src/vfs/mod.ts:1: export *; name what a folder exports',
      'src/vfs/mod.ts:1: no paragraph that says what the folder is for',
    ]);
  });

  test('file names are kebab-case', () => {
    const problems = problemsOf({ 'src/base/camelCase.ts': '', 'src/base/a-b.test.ts': '' });
    expect(problems).toEqual(['src/base/camelCase.ts:1: a file name that is not kebab-case']);
  });

  test('long files warn at 300 lines and fail at 400, tests at 600', () => {
    const text = (lines: number): string => 'a;\n'.repeat(lines);
    const found = tidy(
      treeOf(
        new Map([
          ['src/base/a.ts', text(300)],
          ['src/base/b.ts', text(301)],
          ['src/base/c.ts', text(401)],
          ['src/base/d.test.ts', text(600)],
          ['src/base/e.test.ts', text(601)],
        ]),
      ),
    );
    expect(found.map(({ path, warning }) => [path, warning === true])).toEqual([
      ['src/base/b.ts', true],
      ['src/base/c.ts', false],
      ['src/base/e.test.ts', false],
    ]);
  });

  test('words that put work off and paths of one machine are refused', () => {
    const problems = problemsOf({
      'docs/a.md': `fine\n${'TO'}${'DO'} later\n`,
      'src/base/b.ts': `const a = '${'/'}home/someone/x';\nconst b = '/srv${'/'}work/x';\n`,
    });
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual([
      'docs/a.md:2:',
      'src/base/b.ts:1:',
    ]);
  });
});

describe('docs', () => {
  const source = "export const ERROR_CODES = [\n  'IO', // a\n  'BUSY',\n] as const;\n";

  test('error codes and their page agree', () => {
    const problems = problemsOf({
      'src/base/errors.ts': source,
      'docs/errors.md': '# Codes\n\n## `IO`\n\nText.\n\n## `GONE`\n\nText.\n',
    });
    expect(problems).toEqual([
      'docs/errors.md:7: GONE is not a code of src/base/errors.ts',
      'src/base/errors.ts:3: BUSY is not in docs/errors.md',
    ]);
  });

  test('every verb is on the page of the command line', () => {
    const problems = problemsOf({
      'tools/dfsctl/a.ts': "p.command('init <home>');\nd.command('locate <path>');\n",
      'docs/cli.md': '`dfsctl init HOME`\n\n`dfsctl diskmap locate PATH`\n',
      'tools/dfsctl/b.ts': "p.command('fsck [home]');\n",
    });
    expect(problems).toEqual(['tools/dfsctl/b.ts:1: the verb fsck is not in docs/cli.md']);
  });

  test('links and anchors lead somewhere', () => {
    const problems = problemsOf({
      'docs/a.md': '[x](b.md#two-words) [y](c.md)\n[z](b.md#three) [w](https://example.org)\n',
      'docs/b.md': '# Two words!\n\n[up](..) `[code](nowhere.md)`\n',
    });
    expect(problems).toEqual([
      'docs/a.md:1: the link c.md leads nowhere',
      'docs/a.md:2: docs/b.md has no #three',
    ]);
  });

  test('every format has a page', () => {
    const files = { 'src/meta/x-format.ts': '' };
    expect(problemsOf(files)).toHaveLength(1);
    expect(problemsOf({ ...files, 'docs/formats/x.md': 'See x-format.ts.\n' })).toEqual([]);
  });
});

describe('licences', () => {
  test('a choice is allowed when one of its branches is', () => {
    expect(isAllowedLicence('(MIT OR WTFPL)')).toBe(true);
    expect(isAllowedLicence('MIT AND ISC')).toBe(true);
    expect(isAllowedLicence('MIT AND GPL-3.0')).toBe(false);
    expect(isAllowedLicence('')).toBe(false);
  });

  test('only what is installed for production counts', () => {
    const packages = {
      '': { license: 'MIT' },
      'node_modules/a': { license: 'MPL-2.0', dev: true },
      'node_modules/b': { license: 'GPL-3.0' },
      'node_modules/c': {},
    };
    const problems = problemsOf({ 'package-lock.json': JSON.stringify({ packages }) });
    expect(problems.map((problem) => problem.replace(/^.*?:\d+: /, ''))).toEqual([
      'b has the licence GPL-3.0, which is not on the list',
      'c has no licence, which is not on the list',
    ]);
  });
});
