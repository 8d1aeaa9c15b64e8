/* One process works on two files and compares every answer. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "report.h"
#include "runs.h"
#include "world.h"

#define OPERATIONS_MAX 64

static const struct operation *const lists[] = {
    read_operations,  write_operations, map_operations,
    space_operations, copy_operations,  life_operations,
};

static const struct operation *operations[OPERATIONS_MAX];
static size_t operation_count;
static uint64_t weights;

static void collect(void) {
  for (size_t list = 0; list < sizeof lists / sizeof lists[0]; list++) {
    for (const struct operation *one = lists[list]; one->name != NULL; one++) {
      operations[operation_count++] = one;
      weights += one->weight;
    }
  }
}

static const struct operation *draw(struct random *random, bool only_reads) {
  for (;;) {
    uint64_t at = random_below(random, weights);
    size_t index = 0;
    while (at >= operations[index]->weight) at -= operations[index++]->weight;
    if (operations[index]->only_reads || !only_reads) return operations[index];
  }
}

static struct file *draw_file(struct world *world) {
  uint64_t at = random_below(&world->random, 16);
  if (at == 0 && world->orphan != NULL) return world->orphan;
  return world->named[at < 5];
}

static const char *name_of(const struct world *world, const struct file *file) {
  if (file == world->orphan) return "orphan";
  return file == world->named[0] ? "A" : "B";
}

/* Commits and evictions go between operations, so that a seed repeats where they were. */
static void disturb(const struct options *options, struct world *world) {
  struct random *random = &world->random;
  bool commits = random_once_in(random, options->commit_every);
  bool waits = random_once_in(random, 2);
  bool evicts = random_once_in(random, options->evict_every);
  bool everything = random_once_in(random, 8);
  const struct file *file = world->named[random_once_in(random, 4)];
  if (options->control == NULL) return;
  if (commits) {
    note(waits ? "; commit" : "; commit begins");
    (waits ? control_post : control_begin)(options->control, "/commit");
  }
  if (!evicts) return;
  struct stat stat_of_file;
  if (stat(file->path, &stat_of_file) != 0) failed("stat");
  note(everything ? "; evict all" : "; evict %s", name_of(world, file));
  control_evict(options->control, everything ? 1 : stat_of_file.st_ino, EVICT_BLOCKS_AND_PAGES);
}

static void step(const struct options *options, struct world *world, uint64_t number) {
  report_operation(number);
  struct file *file = draw_file(world);
  const struct operation *operation = draw(&world->random, file->calm > 0);
  if (file->calm > 0) file->calm--;
  note("%s %s[%zu]", operation->name, name_of(world, file), file->size);
  operation->run(world, file);
  // The file itself may be gone: any that is there is looked at.
  struct file *seen = file == world->named[0] || file == world->orphan ? file : world->named[1];
  file_check_stat(seen, &world->random);
  disturb(options, world);
  if (number >= options->check_from) world_check(world);
}

static unsigned char *pages(size_t length) {
  void *made = NULL;
  if (posix_memalign(&made, PAGE, length) != 0) failed("posix_memalign");
  return made;
}

void run_single(const struct options *options) {
  struct world world = {
      .random = {options->seed},
      .folder = options->folder,
      .limit = options->limit,
      .scratch = pages(options->limit + 4 * PAGE),
      .data = pages(options->limit + 4 * PAGE),
  };
  collect();
  world_begin(&world);
  for (uint64_t number = 0; number < options->operations; number++) {
    step(options, &world, number);
    progress(options, number + 1);
  }
  world_check(&world);
}
