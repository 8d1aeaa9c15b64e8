import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { DfsError } from '../base/errors.ts';
import {
  DATA_PIECES_MAX,
  expansionFactor,
  formatScheme,
  PARITY_PIECES_MAX,
  parseScheme,
  pieceBytes,
  pieceCount,
  piecesNeeded,
  type Scheme,
  survives,
} from './mod.ts';

const require = createRequire(import.meta.url);
const addon = require('@ronomon/reed-solomon') as { MAX_K: number; MAX_M: number };

test('parseScheme() reads what formatScheme() writes', () => {
  for (const text of ['replica:1', 'replica:16', 'ec:1+1', 'ec:4+2', 'ec:24+6']) {
    expect(formatScheme(parseScheme(text))).toBe(text);
  }
});

test('parseScheme() refuses anything else and says what is possible', () => {
  const bad = ['', 'replica', 'replica:0', 'replica:17', 'replica:2 ', 'replica:02', 'raid:5'];
  bad.push('ec:0+1', 'ec:4', 'ec:4+0', 'ec:25+2', 'ec:4+7', 'ec:-4+2', 'ec:4.5+2', 'EC:4+2');
  for (const text of bad) {
    const thrown = (() => {
      try {
        return parseScheme(text);
      } catch (error) {
        return error;
      }
    })();
    expect(thrown).toBeInstanceOf(DfsError);
    expect((thrown as DfsError).code).toBe('BAD_ARGUMENT');
    expect((thrown as DfsError).message).toMatch(/"(.|\n)*": .*(replica:2|are possible)/);
  }
});

test('the numbers of a scheme follow from it', () => {
  const facts = (scheme: Scheme): number[] => [
    pieceCount(scheme),
    piecesNeeded(scheme),
    survives(scheme),
    expansionFactor(scheme),
    pieceBytes(scheme, 1000),
    pieceBytes(scheme, 1),
  ];
  expect(facts(parseScheme('replica:3'))).toEqual([3, 1, 2, 3, 1000, 1]);
  expect(facts(parseScheme('ec:4+2'))).toEqual([6, 4, 2, 1.5, 256, 8]);
});

test('the bounds of a scheme are those of the addon', () => {
  expect([addon.MAX_K, addon.MAX_M]).toEqual([DATA_PIECES_MAX, PARITY_PIECES_MAX]);
});
