import { plain, type Style, styleFor } from './format.ts';

/** Options every verb that prints facts has. */
export interface OutputOptions {
  json?: true;
}

/** Lines for people on stdout, in their style. */
export function printLines(lines: string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

/** The one JSON document on stdout. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Prints the facts as JSON when asked to, else what `lines` makes of them for people. */
export function printFacts(
  options: OutputOptions,
  facts: unknown,
  lines: (style: Style) => string[],
): void {
  if (options.json === true) printJson(facts);
  else printLines(lines(process.stdout.isTTY ? styleFor(process.stdout, process.env) : plain));
}

/** A remark beside the result: on stderr, so that stdout stays what was asked for. */
export function remark(line: string): void {
  process.stderr.write(`dfsctl: ${line}\n`);
}
