/**
 * What a process must know of a volume's HOME before it opens it: where its files are, its config,
 * its lock, the address of its control socket, and errors as plain values. It loads little, so that a command that
 * only asks the daemon starts at once.
 */

export { type Config, decodeConfig, encodeConfig, readConfig, writeConfig } from './config.ts';
export { forgetMount, requireConfig, requireMeta } from './contents.ts';
export { lockHome } from './lock.ts';
export { type PackedError, packError, unpackError } from './packed-error.ts';
export { type HomePaths, homePaths } from './paths.ts';
export { socketAddress } from './socket-address.ts';
