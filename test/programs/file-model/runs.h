/* The two kinds of a run. */
#ifndef FILE_MODEL_RUNS_H
#define FILE_MODEL_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
  const char *folder;
  const char *control; /* Socket of the control API, or NULL. */
  uint64_t seed;
  uint64_t operations;
  size_t limit;              /* Largest size of a file; of all records, with processes. */
  unsigned processes;        /* 0: one process, every operation. */
  unsigned evict_every;      /* Operations between two evictions, on average; 0: none. */
  unsigned commit_every;     /* The same for commits. */
  uint64_t check_from;       /* From this operation on everything is compared after each. */
  bool replay;               /* Prints every operation. */
};

/* One process: every operation is compared. */
void run_single(const struct options *options);

/* Several processes on one file, each with records of its own. */
void run_processes(const struct options *options);

/* Says on stdout how far a run is, once a while. */
void progress(const struct options *options, uint64_t done);

#endif
