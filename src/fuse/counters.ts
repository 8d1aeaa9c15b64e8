import { type LatencyBucket, LatencyTable } from '../base/latencies.ts';
import { OPCODE_COUNT, OPCODES } from './protocol.ts';

/** What one kind of request has cost since the driver started. */
export interface OperationCount {
  count: number;
  /** Payload read or written; 0 for requests without one. */
  bytes: number;
  /** Replies with an errno. */
  errors: number;
  /** From the reading of the request to its answer, of all that are answered. */
  totalMs: number;
  latency: LatencyBucket[];
}

const NAMES: string[] = Array.from({ length: OPCODE_COUNT }, () => 'UNKNOWN');
for (const [name, opcode] of Object.entries(OPCODES)) NAMES[opcode] = name;

/** The name of an opcode in statistics. */
export function operationName(opcode: number): string {
  return NAMES[slot(opcode)] ?? 'UNKNOWN';
}

/**
 * Counts requests per opcode without allocating. Opcodes without a name are counted together at 0.
 */
export class Counters {
  readonly #counts: Float64Array = new Float64Array(OPCODE_COUNT);
  readonly #bytes: Float64Array = new Float64Array(OPCODE_COUNT);
  readonly #errors: Float64Array = new Float64Array(OPCODE_COUNT);
  readonly #totalMs: Float64Array = new Float64Array(OPCODE_COUNT);
  readonly #latencies: LatencyTable = new LatencyTable(OPCODE_COUNT);

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

  /** A request was answered `ms` after it was read. */
  answered(opcode: number, ms: number): void {
    const at = slot(opcode);
    this.#totalMs[at] = (this.#totalMs[at] ?? 0) + ms;
    this.#latencies.record(at, ms);
  }

  /** Only operations that were asked for, by the name of the opcode. */
  snapshot(): Record<string, OperationCount> {
    const result: Record<string, OperationCount> = {};
    for (const [opcode, name] of NAMES.entries()) {
      const count = this.#counts[opcode] ?? 0;
      if (count === 0) continue;
      result[name] = {
        count,
        bytes: this.#bytes[opcode] ?? 0,
        errors: this.#errors[opcode] ?? 0,
        totalMs: this.#totalMs[opcode] ?? 0,
        latency: this.#latencies.buckets(opcode),
      };
    }
    return result;
  }
}

function slot(opcode: number): number {
  return opcode < OPCODE_COUNT ? opcode : 0;
}
