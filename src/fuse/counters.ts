import { OPCODE_COUNT, OPCODES } from './protocol.ts';

/** What one kind of request has cost since the driver started. */
export interface OperationCount {
  count: number;
  /** Payload read or written; 0 for requests without one. */
  bytes: number;
  /** Replies with an errno. */
  errors: number;
}

/**
 * Counts requests per opcode without allocating. Opcodes without a name are counted together at 0.
 */
export class Counters {
  readonly #counts: Float64Array = new Float64Array(OPCODE_COUNT);
  readonly #bytes: Float64Array = new Float64Array(OPCODE_COUNT);
  readonly #errors: Float64Array = new Float64Array(OPCODE_COUNT);

  request(opcode: number): void {
    const at = slot(opcode);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  payload(opcode: number, bytes: number): void {
    const at = slot(opcode);
    this.#bytes[at] = (this.#bytes[at] ?? 0) + bytes;
  }

  error(opcode: number): void {
    const at = slot(opcode);
    this.#errors[at] = (this.#errors[at] ?? 0) + 1;
  }

  /** Only operations that were asked for, by the name of the opcode. */
  snapshot(): Record<string, OperationCount> {
    const result: Record<string, OperationCount> = {};
    for (const [name, opcode] of [...Object.entries(OPCODES), ['UNKNOWN', 0] as const]) {
      const count = this.#counts[opcode] ?? 0;
      if (count === 0) continue;
      const bytes = this.#bytes[opcode] ?? 0;
      result[name] = { count, bytes, errors: this.#errors[opcode] ?? 0 };
    }
    return result;
  }
}

function slot(opcode: number): number {
  return opcode < OPCODE_COUNT ? opcode : 0;
}
