/* Calls of a mount's control API (docs/control-api.md). */
#ifndef FILE_MODEL_CONTROL_H
#define FILE_MODEL_CONTROL_H

#include <stdint.h>

/*
 * Has `path` done by the daemon behind a unix socket, and waits for it. A daemon that dies is
 * waited for, and asked again. An error that it answers ends the process.
 */
void control_post(const char *socket_path, const char *path);

/* The same, but does not wait: what follows happens while it is done. */
void control_begin(const char *socket_path, const char *path);

/* What is taken out of the cache: only what the daemon has, or the kernel's pages as well. */
enum evict { EVICT_BLOCKS, EVICT_BLOCKS_AND_PAGES };

/* Takes clean blocks of a file out of the cache; of all files for inode 1. */
void control_evict(const char *socket_path, uint64_t ino, enum evict what);

#endif
