import { closeSync, openSync, writeSync } from 'node:fs';

const DEVICE = '/dev/cpu_dma_latency';

/**
 * Asks the kernel to keep idle processors from sleeping so deeply that to wake them takes time (PM
 * QoS), until the descriptor returned is closed with {@link releaseCpuLatency}; undefined where that
 * is not allowed or not known.
 */
export function holdCpuLatency(): number | undefined {
  let fd: number;
  try {
    fd = openSync(DEVICE, 'w');
  } catch {
    return undefined;
  }
  // A 32-bit number of microseconds.
  writeSync(fd, Buffer.alloc(4));
  return fd;
}

/** Ends what {@link holdCpuLatency} asked for. */
export function releaseCpuLatency(fd: number): void {
  closeSync(fd);
}
