export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Writes one JSON line an event: time, level, event and its facts. */
export interface Log {
  (level: LogLevel, event: string, facts?: Record<string, unknown>): void;
}

/** A log that writes lines to `write`, dropping what is below `minimum`. */
export function createLog(write: (line: string) => void, minimum: LogLevel = 'info'): Log {
  const order: LogLevel[] = ['debug', 'info', 'warn', 'error'];
  const floor = order.indexOf(minimum);
  return (level, event, facts = {}) => {
    if (order.indexOf(level) < floor) return;
    write(`${JSON.stringify({ time: new Date().toISOString(), level, event, ...facts })}\n`);
  };
}

/** The log that says nothing, for tests. */
export const silentLog: Log = () => undefined;
