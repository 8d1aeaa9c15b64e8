import { setTimeout as delay } from 'node:timers/promises';

/** Shows lines again and again: in place on a terminal, below each other elsewhere. */
export function createPaint(): (lines: string[]) => void {
  const { stdout } = process;
  let painted = 0;
  return (lines) => {
    if (!stdout.isTTY) {
      stdout.write(`${painted > 0 ? '\n' : ''}${lines.join('\n')}\n`);
      painted = lines.length;
      return;
    }
    // What has left the screen at its top cannot be painted over.
    const shown = lines.slice(0, Math.max(1, (stdout.rows ?? 24) - 1));
    if (painted > 0) stdout.write(`\x1b[${painted}A`);
    stdout.write(`${shown.map((line) => `${line}\x1b[K`).join('\n')}\n\x1b[J`);
    painted = shown.length;
  };
}

/** False when a person ended it before the time was over. */
export async function passed(seconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(seconds * 1000, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}
