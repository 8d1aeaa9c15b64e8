/** Codes of {@link DfsError}: a closed list; docs/errors.md says for each what a person can do. */
export const ERROR_CODES = [
  'BAD_ARGUMENT', // a value from outside is not acceptable
  'CORRUPT', // stored bytes do not verify
  'NEWER_FORMAT', // written by a later version of the software
  'FOREIGN', // belongs to another volume
  'NOT_FOUND',
  'EXISTS',
  'BUSY', // another process holds it
  'IO', // the operating system refused or failed
  'UNAVAILABLE', // too few pieces, disks or a peer that does not answer
  'NO_SPACE',
  'TIMEOUT',
  'CLOSED', // used after close()
  'INVARIANT', // a bug of ours
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface DfsErrorOptions {
  cause?: unknown;
  /** Facts for logs and --json, never needed to understand the message. */
  details?: Record<string, unknown>;
}

/**
 * The only error this code base throws for what can go wrong outside of it. Message: action, then
 * state.
 */
export class DfsError extends Error {
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, options: DfsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'DfsError';
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** A broken promise of our own code. Never caught except to die. */
export class InvariantError extends DfsError {
  constructor(message: string) {
    super('INVARIANT', message);
    this.name = 'InvariantError';
  }
}

/** Throws {@link InvariantError} unless `condition` holds; stays on in production. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** The code of an error of ours, of the system (`ENOENT`) or of SQLite; undefined without one. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The code of the error that `work` throws; undefined when it throws none. */
export function codeOfThrown(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

/** The text of anything thrown, without its stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
