import { describe, expect, it } from 'vitest';
import { leastMinusLn, ln, lnUnit } from './logarithm.ts';
import { mix32, unit } from './mix.ts';

/** All powers of two with their neighbours, where exponents change, and scrambled numbers. */
function* draws(): Generator<number> {
  for (let power = 0; power < 32; power++) {
    for (const beside of [-1, 0, 1]) yield (2 ** power + beside) | 0;
  }
  // Around sqrt(1/2), where the mantissa is halved.
  for (let beside = -5; beside <= 5; beside++) yield (3_037_000_499 + beside) | 0;
  for (let count = 0; count < 200_000; count++) yield mix32(count);
  for (let count = 0; count < 50_000; count++) yield mix32(count) >>> (count & 31);
}

describe('lnUnit()', () => {
  it('is ln(unit(bits)) to the last bit', () => {
    for (const bits of draws()) {
      if (!Object.is(lnUnit(bits), ln(unit(bits)))) expect(lnUnit(bits)).toBe(ln(unit(bits)));
    }
  });

  it('is as Math.log to 1e-12', () => {
    for (const bits of draws()) {
      const error = Math.abs(lnUnit(bits) - Math.log(unit(bits)));
      if (error > 1e-12) expect({ bits, error }).toEqual({ bits, error: 0 });
    }
  });
});

describe('leastMinusLn()', () => {
  it('is never above -lnUnit() but for rounding, and at most 0.2 below', () => {
    for (const bits of draws()) {
      const least = leastMinusLn(bits);
      const value = -lnUnit(bits);
      const isBound = least * (1 - 1e-9) <= value && least > value - 0.2;
      if (!isBound) expect({ bits, least }).toEqual({ bits, least: value });
    }
  });
});
