/**
 * Logarithm and exponential of our own. Math.log and Math.exp may differ in the last bit between
 * engines and versions, and a piece must be found again by any of them; addition, multiplication
 * and division are exact everywhere (IEEE 754), so these are the same everywhere, bit for bit.
 */
const LN2 = 0.6931471805599453;
const SQRT2 = 1.4142135623730951;
/** By the leading zeros of 32 bits: what scales them to a value from 1/2 to 1, exactly. */
const POWERS: Float64Array = Float64Array.from({ length: 33 }, (_, zeros) => 2 ** (zeros - 32));

/** Natural logarithm of a finite value above 0, to about 1e-12. */
export function ln(value: number): number {
  let mantissa = value;
  let exponent = 0;
  // Powers of two scale without rounding; draws are rarely below 2^-16, so few rounds are run.
  while (mantissa < 0.0000152587890625) {
    mantissa *= 65536;
    exponent -= 16;
  }
  while (mantissa < 0.00390625) {
    mantissa *= 256;
    exponent -= 8;
  }
  while (mantissa < 0.7071067811865476) {
    mantissa *= 2;
    exponent -= 1;
  }
  while (mantissa >= SQRT2) {
    mantissa *= 0.5;
    exponent += 1;
  }
  return exponent * LN2 + lnOfMantissa(mantissa);
}

/** ln(unit(bits)), bit for bit, without the search for the exponent. */
export function lnUnit(bits: number): number {
  const zeros = Math.clz32(bits);
  const mantissa = ((bits >>> 0) + 0.5) * (POWERS[zeros] as number);
  if (mantissa < 0.7071067811865476) return (-1 - zeros) * LN2 + lnOfMantissa(2 * mantissa);
  return (0 - zeros) * LN2 + lnOfMantissa(mantissa);
}

/** What -ln(unit(bits)) is at least, before rounding; 0.2 less at most. From -ln(m) >= 1 - m. */
export function leastMinusLn(bits: number): number {
  const zeros = Math.clz32(bits);
  return zeros * LN2 + (1 - ((bits >>> 0) + 0.5) * (POWERS[zeros] as number));
}

/** For a value from sqrt(1/2) to sqrt(2). */
function lnOfMantissa(mantissa: number): number {
  // ln m = 2 atanh((m - 1) / (m + 1)); the argument is below 0.172, so six terms are enough.
  const s = (mantissa - 1) / (mantissa + 1);
  const z = s * s;
  const series = 1 + z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * (1 / 9 + z * (1 / 11 + z / 13)))));
  return 2 * s * series;
}

/** e to the power of a value from -700 to 0, to about 1e-12; 0 below that. */
export function expOfNegative(value: number): number {
  if (value < -700) return 0;
  // e^x = (e^(x / 1024))^1024, whose inner argument is small enough for a short series.
  const x = value / 1024;
  let power = 1 + x * (1 + (x / 2) * (1 + (x / 3) * (1 + (x / 4) * (1 + (x / 5) * (1 + x / 6)))));
  for (let round = 0; round < 10; round++) power *= power;
  return power;
}
