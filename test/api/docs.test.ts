import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ApiScene } from './scene.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PAGE = join(ROOT, 'docs/api.md');
/** In the package, so that the examples find it by its name. */
const FOLDER = join(ROOT, 'dist/examples-of-docs');

const examples: string[] = [
  ...readFileSync(PAGE, 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm),
].map((match) => match[1] ?? '');

let scene: ApiScene;

beforeEach(async () => {
  scene = await ApiScene.create();
});

afterEach(async () => {
  await scene.dispose();
  rmSync(FOLDER, { recursive: true, force: true });
});

function run(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: FOLDER,
    encoding: 'utf8',
  });
  expect({ status, stderr }, stdout).toEqual({ status: 0, stderr: '' });
  return stdout;
}

test('the examples of docs/api.md compile, run, and print what they say', () => {
  expect(examples.length).toBeGreaterThanOrEqual(4);
  mkdirSync(FOLDER, { recursive: true });
  for (const [index, text] of examples.entries()) {
    writeFileSync(join(FOLDER, `example-${index}.ts`), text);
  }
  const compilerOptions = { noEmit: false, declaration: false, rootDir: '.', outDir: '.' };
  const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: ['*.ts'] };
  writeFileSync(join(FOLDER, 'tsconfig.json'), JSON.stringify(config));
  run(join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.');
  for (const [index, text] of examples.entries()) {
    const printed = run(`example-${index}.js`, scene.home);
    expect(printed).not.toBe('');
    for (const [, said] of text.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)) {
      expect(printed).toContain(said);
    }
  }
}, 400_000);
