/*
 * One file as it should be, with the descriptors that are open on it.
 *
 * Invariants:
 *  1. Bytes of `want` from `size` to `limit` are zero.
 *  2. A file without a name has at least one descriptor.
 *  3. What is drawn from the generator depends on nothing but the seed and the state of the
 *     model: a seed gives the same operations wherever the same ones are refused.
 */
#ifndef FILE_MODEL_FILE_H
#define FILE_MODEL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "random.h"

#define HANDLES_MAX 5
#define PATH_BYTES 512
#define PAGE 4096ul

struct handle {
  int fd; /* -1: closed. */
  int flags;
};

struct file {
  unsigned char *want;
  size_t size;
  size_t limit;
  char path[PATH_BYTES]; /* Empty when the file has no name. */
  struct handle handles[HANDLES_MAX];
  unsigned char *map; /* A shared mapping that stays from one operation to others, or NULL. */
  bool map_writes;
  unsigned calm; /* For so many operations nobody changes the file. */
  bool has_mapped_changes; /* Written through a mapping, and not synced since. */
};

/* What a descriptor must be good for. */
enum need {
  TO_READ = 1,
  TO_WRITE = 2,
  TO_APPEND = 4,
  NOT_DIRECT = 8,
  NOT_APPENDING = 16,
  /*
   * For splice, also by a copy in the kernel: through a descriptor that may write, of a file that
   * others read past the daemon, it shows the kernel's pages, which mappings do not change then.
   */
  ONLY_TO_READ = 32,
};

/* A file without a name or descriptor. */
struct file *file_new(size_t limit);

/* Closes everything. */
void file_free(struct file *file);

/* A descriptor of the file: an open one if there is one, else one is opened. */
struct handle *file_handle(struct file *file, struct random *random, unsigned needs);

/* Opens a descriptor with these flags in a random place, whose descriptor is closed. */
struct handle *file_open(struct file *file, struct random *random, int flags);

void handle_close(struct handle *handle);
void file_unmap(struct file *file);

/* Flags for a random open. */
int random_open_flags(struct random *random);

/* The bytes at `offset` are now those in `data`, or zeros without data; the file may grow. */
void file_wrote(struct file *file, size_t offset, const unsigned char *data, size_t length);
void file_resized(struct file *file, size_t size);

/* Bytes of [offset, offset + length) that are inside of the file. */
size_t file_inside(const struct file *file, size_t offset, size_t length);

/* Compares `got` with what is expected at `offset`. */
void file_check(const struct file *file, const char *what, size_t offset,
                const unsigned char *got, size_t length);

/* Size and number of links as fstat tells them. */
void file_check_stat(const struct file *file, struct random *random);

/* Reads the whole file through every descriptor that reads. */
void file_check_all(const struct file *file, unsigned char *scratch);

/* A place to begin at, up to `end`: anywhere, at blocks' borders, at the end of the file. */
size_t random_offset(const struct file *file, struct random *random, size_t end);
size_t random_length(const struct file *file, struct random *random);

#endif
