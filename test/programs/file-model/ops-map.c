/* Mappings: shared and private, short ones and one that outlives other operations. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"
#include "world.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* A part of the file that is not empty, unless the file is. */
struct part {
  size_t offset;
  size_t length;
};

static struct part random_part(struct world *world, struct file *file) {
  if (file->size == 0) return (struct part){0, 0};
  size_t offset = random_offset(file, &world->random, file->size - 1);
  size_t length = 1 + random_length(file, &world->random);
  return (struct part){offset, smaller(length, file->size - offset)};
}

static unsigned char *map(int fd, struct part part, int protection, int flags) {
  size_t start = part.offset & ~(PAGE - 1);
  void *at = mmap(NULL, part.offset - start + part.length, protection, flags, fd, (off_t)start);
  if (at == MAP_FAILED) failed("mmap");
  return (unsigned char *)at + (part.offset - start);
}

static void unmap(unsigned char *at, struct part part) {
  size_t before = part.offset & (PAGE - 1);
  if (munmap(at - before, before + part.length) != 0) failed("munmap");
}

/* What a mapping shows behind the end of the file, in its last page, must be zeros. */
static void check_tail(struct file *file, const unsigned char *at, struct part part) {
  static const unsigned char zeros[PAGE];
  size_t end = part.offset + part.length;
  size_t rest = end == file->size ? (PAGE - end % PAGE) % PAGE : 0;
  must_equal("the page behind the end", end, at + part.length, zeros, rest);
}

static void run_map_read(struct world *world, struct file *file) {
  struct handle *handle = file_handle(file, &world->random, TO_READ);
  struct part part = random_part(world, file);
  int flags = random_once_in(&world->random, 3) ? MAP_PRIVATE : MAP_SHARED;
  note(" fd %d at %zu, %zu%s", handle->fd, part.offset, part.length,
       flags == MAP_PRIVATE ? ", private" : "");
  if (part.length == 0) return;
  unsigned char *at = map(handle->fd, part, PROT_READ, flags);
  file_check(file, "a mapping", part.offset, at, part.length);
  check_tail(file, at, part);
  unmap(at, part);
}

/* Syncs a changed part of a mapping in one of the ways there are, or leaves it to the kernel. */
static void sync_part(struct world *world, unsigned char *at, struct part part) {
  size_t before = part.offset & (PAGE - 1);
  uint64_t way = random_below(&world->random, 4);
  note(way == 0 ? ", msync" : way == 1 ? ", msync async" : ", no msync");
  if (way > 1) return;
  int flags = way == 0 ? MS_SYNC : MS_ASYNC;
  if (msync(at - before, before + part.length, flags) != 0) failed("msync");
}

static void run_map_write(struct world *world, struct file *file) {
  struct handle *handle = file_handle(file, &world->random, TO_READ | TO_WRITE);
  struct part part = random_part(world, file);
  uint64_t seed = random_next(&world->random);
  note(" fd %d at %zu, %zu", handle->fd, part.offset, part.length);
  if (part.length == 0) return;
  unsigned char *at = map(handle->fd, part, PROT_READ | PROT_WRITE, MAP_SHARED);
  random_fill(world->data, part.length, seed);
  memcpy(at, world->data, part.length);
  file_wrote(file, part.offset, world->data, part.length);
  file->has_mapped_changes = true;
  sync_part(world, at, part);
  unmap(at, part);
}

/* Changes of a private mapping are seen there and nowhere else. */
static void run_map_private(struct world *world, struct file *file) {
  struct handle *handle = file_handle(file, &world->random, TO_READ | NOT_DIRECT);
  struct part part = random_part(world, file);
  uint64_t seed = random_next(&world->random);
  note(" fd %d at %zu, %zu", handle->fd, part.offset, part.length);
  if (part.length == 0) return;
  unsigned char *at = map(handle->fd, part, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  random_fill(world->data, part.length, seed);
  memcpy(at, world->data, part.length / 2 + 1);
  must_equal("a private mapping", part.offset, at, world->data, part.length / 2 + 1);
  ssize_t count = pread(handle->fd, world->scratch, part.length, (off_t)part.offset);
  if (count != (ssize_t)part.length) differ("pread beside a private mapping: %zd", count);
  file_check(file, "the file behind a private mapping", part.offset, world->scratch,
             part.length);
  unmap(at, part);
}

/* A mapping that stays while the file is written, cut, punched and taken out of the cache. */
static void run_map_keep(struct world *world, struct file *file) {
  file_unmap(file);
  unsigned needs = random_once_in(&world->random, 2) ? TO_READ : TO_READ | TO_WRITE;
  struct handle *handle = file_handle(file, &world->random, needs);
  file->map_writes = needs & TO_WRITE;
  note(" fd %d%s", handle->fd, file->map_writes ? " to write" : "");
  int protection = file->map_writes ? PROT_READ | PROT_WRITE : PROT_READ;
  file->map = mmap(NULL, file->limit, protection, MAP_SHARED, handle->fd, 0);
  if (file->map != MAP_FAILED) return;
  file->map = NULL;
  failed("mmap");
}

static void run_map_unkeep(struct world *world, struct file *file) {
  (void)world;
  file_unmap(file);
}

static void run_kept_read(struct world *world, struct file *file) {
  struct part part = random_part(world, file);
  if (file->map == NULL || part.length == 0) return;
  note(" at %zu, %zu", part.offset, part.length);
  file_check(file, "the kept mapping", part.offset, file->map + part.offset, part.length);
  check_tail(file, file->map + part.offset, part);
}

static void run_kept_write(struct world *world, struct file *file) {
  struct part part = random_part(world, file);
  uint64_t seed = random_next(&world->random);
  if (file->map == NULL || !file->map_writes || part.length == 0) return;
  note(" at %zu, %zu", part.offset, part.length);
  random_fill(world->data, part.length, seed);
  memcpy(file->map + part.offset, world->data, part.length);
  file_wrote(file, part.offset, world->data, part.length);
  file->has_mapped_changes = true;
  sync_part(world, file->map + part.offset, part);
}

const struct operation map_operations[] = {
    {"map-read", 40, true, run_map_read},
    {"map-write", 40, false, run_map_write},
    {"map-private", 10, false, run_map_private},
    {"map-keep", 4, false, run_map_keep},
    {"map-unkeep", 2, false, run_map_unkeep},
    {"kept-read", 40, true, run_kept_read},
    {"kept-write", 40, false, run_kept_write},
    {NULL, 0, false, NULL},
};
