import { spawn } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { receiveDescriptor, socketPair } from './mod.ts';

/** Runs Python with the socket as its descriptor 3, which is closed here; resolves at its end. */
async function withSocket(socket: number, program: string): Promise<void> {
  const child = spawn('python3', ['-c', program], {
    stdio: ['ignore', 'ignore', 'inherit', socket],
  });
  closeSync(socket);
  expect(await new Promise((done) => child.once('exit', done))).toBe(0);
}

const IMPORTS = 'import os, socket; s = socket.socket(fileno=3)';

test('a descriptor of another process is received', async () => {
  const [ours, theirs] = socketPair();
  const program = `${IMPORTS}
r, w = os.pipe()
os.write(w, b"from far away")
socket.send_fds(s, [b"\\0"], [r])`;
  await withSocket(theirs, program);
  const received = receiveDescriptor(ours);
  closeSync(ours);
  expect(received).toBeGreaterThan(2);
  expect(readFileSync(received ?? -1, 'utf8')).toBe('from far away');
  closeSync(received ?? -1);
});

test.each([
  ['the other side closes the socket', IMPORTS],
  ['a message has no descriptor', `${IMPORTS}; s.send(b"x")`],
])('there is none when %s', async (_, program) => {
  const [ours, theirs] = socketPair();
  await withSocket(theirs, program);
  expect(receiveDescriptor(ours)).toBeUndefined();
  closeSync(ours);
});

test('a descriptor that is no socket is refused', () => {
  expect(() => receiveDescriptor(-1)).toThrow('recvmsg failed with EBADF');
});
