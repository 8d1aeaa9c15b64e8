import { EINTR, EIO, ENOSPC, type NegativeErrno } from '../../src/base/errno.ts';
import { fraction, mix } from './cut.ts';

/** What a rule looks at: content read, content changed, anything synced, names, attributes. */
export type FaultOperation = 'read' | 'write' | 'sync' | 'name' | 'look' | 'any';

/**
 * What happens: an errno is answered; a sync answers well and does nothing (lie); a sync fails, and
 * what it should have written never comes to the device (drop), which the next one does not tell;
 * the operation takes `ms` and up to `jitterMs` more (slow), or does not end before the rule goes
 * (hang).
 */
export type FaultKind = 'EIO' | 'ENOSPC' | 'lie' | 'drop' | 'slow' | 'hang';

/** One way in which a device fails. */
export interface FaultRule {
  /** Names of devices; all without. */
  devices?: string[];
  /** A regular expression on the path inside the device: "^cache/". */
  path?: string;
  operation: FaultOperation;
  kind: FaultKind;
  /** Which of the matching operations is the first to fail, from 1; 1 without. */
  from?: number;
  /** How many fail from then on; all without. */
  count?: number;
  /** Fail with this chance only, decided by seed. */
  chance?: number;
  seed?: number;
  ms?: number;
  jitterMs?: number;
}

/** What an operation is: a change of a file's length is a write that needs no space. */
export type Occurring = Exclude<FaultOperation, 'any'> | 'resize';

/** An operation about to run. */
interface Occasion {
  operation: Occurring;
  device: string;
  path: () => string;
  unique: number;
}

/** What a rule does to an operation; undefined lets it pass. */
export interface Verdict {
  errno?: NegativeErrno;
  sync?: 'lie' | 'drop';
  /** Resolves when the operation may run, to 0, or with an errno when it may not. */
  wait?: Promise<0 | NegativeErrno>;
}

interface Active {
  id: number;
  rule: FaultRule;
  pattern: RegExp | undefined;
  matched: number;
  hits: number;
}

/** The rules in force. The first that matches an operation decides about it. */
export class Faults {
  #rules: Active[] = [];
  #nextId = 1;
  #held: { ruleId: number; unique: number; end: (result: 0 | NegativeErrno) => void }[] = [];

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  add(rule: FaultRule): number {
    const pattern = rule.path === undefined ? undefined : new RegExp(rule.path);
    const id = this.#nextId++;
    this.#rules.push({ id, rule, pattern, matched: 0, hits: 0 });
    return id;
  }

  /** Takes one rule away, or all; operations it held run on. */
  remove(id?: number): void {
    this.#rules = this.#rules.filter((rule) => id !== undefined && rule.id !== id);
    this.#release((held) => id === undefined || held.ruleId === id, 0);
  }

  /** How often a rule has struck so far. */
  hits(id: number): number {
    return this.#rules.find((rule) => rule.id === id)?.hits ?? 0;
  }

  /** The caller of a held operation is being killed. */
  cancel(unique: number): void {
    this.#release((held) => held.unique === unique, -EINTR);
  }

  meet(occasion: Occasion): Verdict | undefined {
    for (const active of this.#rules) {
      if (!matches(active, occasion)) continue;
      const nth = ++active.matched - (active.rule.from ?? 1);
      if (nth < 0 || nth >= (active.rule.count ?? Infinity)) continue;
      const { chance, seed = 0 } = active.rule;
      if (chance !== undefined && fraction(mix(seed, active.matched)) >= chance) continue;
      active.hits++;
      return this.#strike(active, occasion);
    }
    return undefined;
  }

  #strike({ id, rule, matched }: Active, { unique }: Occasion): Verdict {
    switch (rule.kind) {
      case 'EIO':
        return { errno: -EIO };
      case 'ENOSPC':
        return { errno: -ENOSPC };
      case 'lie':
      case 'drop':
        return { sync: rule.kind };
      case 'slow': {
        const ms = (rule.ms ?? 0) + fraction(mix(rule.seed ?? 0, matched)) * (rule.jitterMs ?? 0);
        return { wait: new Promise((done) => setTimeout(() => done(0), ms)) };
      }
      case 'hang':
        return {
          wait: new Promise((end) => {
            this.#held.push({ ruleId: id, unique, end });
          }),
        };
    }
  }

  #release(isMeant: (held: { ruleId: number; unique: number }) => boolean, result: number): void {
    const meant = this.#held.filter(isMeant);
    this.#held = this.#held.filter((held) => !meant.includes(held));
    for (const { end } of meant) end(result);
  }
}

function matches({ rule, pattern }: Active, occasion: Occasion): boolean {
  const isResize = occasion.operation === 'resize';
  const operation = isResize ? 'write' : occasion.operation;
  if (rule.operation !== 'any' && rule.operation !== operation) return false;
  if (rule.kind === 'ENOSPC' && isResize) return false;
  if ((rule.kind === 'lie' || rule.kind === 'drop') && occasion.operation !== 'sync') return false;
  if (rule.devices !== undefined && !rule.devices.includes(occasion.device)) return false;
  return pattern === undefined || pattern.test(occasion.path());
}
