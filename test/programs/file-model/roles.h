/* What the processes on one file do. */
#ifndef FILE_MODEL_ROLES_H
#define FILE_MODEL_ROLES_H

#include "file.h"
#include "records.h"
#include "runs.h"

/* One process and what it knows. */
struct role {
  const struct options *options;
  struct board *board;
  unsigned number;
  struct random random;
  struct file *file; /* Only its name and descriptors are used; and the content, by the tail. */
  unsigned char *scratch;
};

/* One operation each: writes and reads records of its own, and reads all of them. */
void role_writer_step(struct role *role);
/* The same, but writes through a shared mapping. */
void role_mapper_step(struct role *role);
/* Opens, reads and closes read-only. */
void role_reader_step(struct role *role);
/* Cuts, grows and writes what is behind all records; commits and empties the cache. */
void role_tail_step(struct role *role);

/* Reads all records in each way there is. */
void role_check_all(struct role *role);

#endif
