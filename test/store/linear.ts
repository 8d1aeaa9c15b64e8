/** A call on a slot as its caller saw it; times are numbers of steps. */
export interface SlotCall {
  readonly kind: 'get' | 'put';
  /** What a put expects to be there, and writes; undefined is no slot. */
  readonly expected?: string | undefined;
  readonly content?: string | undefined;
  readonly began: number;
  /** Undefined for a call that never ended, or that ended without saying whether it was made. */
  ended?: number;
  /** Whether a put was made. */
  isDone?: boolean;
  /** What a get, or a put that was not made, found. */
  found?: string | undefined;
}

/**
 * Whether there is an order of the calls, in which each took place at one instant between its begin
 * and its end, and of those without an end any or none (Wing and Gong 1993).
 */
export function isLinearizable(calls: readonly SlotCall[], first: string | undefined): boolean {
  const tried = new Set<string>();
  const search = (done: bigint, content: string | undefined): boolean => {
    const key = `${done} ${content ?? '-'}`;
    if (tried.has(key)) return false;
    tried.add(key);
    const left = calls.filter((_, at) => (done & (1n << BigInt(at))) === 0n);
    const horizon = Math.min(...left.map(({ ended }) => ended ?? Number.POSITIVE_INFINITY));
    if (horizon === Number.POSITIVE_INFINITY) return true;
    return calls.some((call, at) => {
      const bit = 1n << BigInt(at);
      if ((done & bit) !== 0n || call.began > horizon) return false;
      const next = contentAfter(call, content);
      return next !== undefined && search(done | bit, next.content);
    });
  };
  return search(0n, first);
}

/** The content after the call took place; undefined when it cannot have been seen so. */
function contentAfter(
  call: SlotCall,
  content: string | undefined,
): { content: string | undefined } | undefined {
  const { kind, expected, ended, isDone, found } = call;
  if (kind === 'get') return found === content ? { content } : undefined;
  if (ended === undefined) return expected === content ? { content: call.content } : undefined;
  if (isDone === true) return expected === content ? { content: call.content } : undefined;
  return found === content && expected !== content ? { content } : undefined;
}
