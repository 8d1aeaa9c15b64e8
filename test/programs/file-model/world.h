/* The files of a single run and the operations on them. */
#ifndef FILE_MODEL_WORLD_H
#define FILE_MODEL_WORLD_H

#include "file.h"

struct world {
  struct random random;
  const char *folder;
  struct file *named[2];
  struct file *orphan; /* A file that lost its name and is still open, or NULL. */
  unsigned char *scratch; /* limit + 4 pages, aligned to a page. */
  unsigned char *data;    /* The same. */
  size_t limit;
};

/* An operation on a file, which is one of the world's. */
struct operation {
  const char *name;
  unsigned weight;
  bool only_reads; /* It can be done in a calm time. */
  void (*run)(struct world *world, struct file *file);
};

/* Each list ends with an operation without a name. */
extern const struct operation read_operations[];
extern const struct operation write_operations[];
extern const struct operation map_operations[];
extern const struct operation space_operations[];
extern const struct operation copy_operations[];
extern const struct operation life_operations[];

/* Makes the two named files. */
void world_begin(struct world *world);

/* Compares all of every file. */
void world_check(struct world *world);

#endif
