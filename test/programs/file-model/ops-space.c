/* Sizes and holes: truncate, fallocate, SEEK_DATA and SEEK_HOLE. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"
#include "world.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* A mapping that is kept may have changes that only the kernel knows; here they are sent. */
static void flush_mapped(struct file *file, int fd) {
  if (!file->has_mapped_changes) return;
  if (fdatasync(fd) != 0) failed("fdatasync");
  file->has_mapped_changes = false;
}

static size_t random_size(struct world *world, struct file *file) {
  struct random *random = &world->random;
  if (random_once_in(random, 12)) return 0;
  if (random_once_in(random, 3)) return random_offset(file, random, file->limit);
  // Mostly not far away, so that the file stays of some length.
  size_t step = random_below(random, 6 * PAGE);
  if (random_once_in(random, 2)) return smaller(file->size + step, file->limit);
  return file->size < step ? 0 : file->size - step;
}

static void run_truncate(struct world *world, struct file *file) {
  size_t size = random_size(world, file);
  bool by_name = random_once_in(&world->random, 3);
  struct handle *handle = file_handle(file, &world->random, TO_WRITE);
  note(" %zu to %zu%s", file->size, size, by_name ? " by name" : "");
  int result = by_name && file->path[0] != 0 ? truncate(file->path, (off_t)size)
                                             : ftruncate(handle->fd, (off_t)size);
  if (result != 0) failed("truncate");
  file_resized(file, size);
}

/* What a mode of fallocate does with the content is told by its flags. */
static void allocate(struct world *world, struct file *file, const char *name, int mode) {
  struct handle *handle = file_handle(file, &world->random, TO_WRITE);
  size_t offset = random_offset(file, &world->random, file->limit - 1);
  size_t length = 1 + random_length(file, &world->random);
  length = smaller(length, file->limit - offset);
  note(" fd %d at %zu, %zu", handle->fd, offset, length);
  if (fallocate(handle->fd, mode, (off_t)offset, (off_t)length) != 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS) failed("fallocate");
    refused(name);
    return;
  }
  size_t inside = file_inside(file, offset, length);
  bool zeroes = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
  if (zeroes) file_wrote(file, offset, NULL, inside);
  if (!(mode & FALLOC_FL_KEEP_SIZE) && offset + length > file->size) {
    file_resized(file, offset + length);
  }
}

static void run_allocate(struct world *world, struct file *file) {
  allocate(world, file, "allocate", 0);
}

static void run_allocate_keep(struct world *world, struct file *file) {
  allocate(world, file, "allocate-keep", FALLOC_FL_KEEP_SIZE);
}

static void run_punch(struct world *world, struct file *file) {
  allocate(world, file, "punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

static void run_zero(struct world *world, struct file *file) {
  allocate(world, file, "zero", FALLOC_FL_ZERO_RANGE);
}

static void run_zero_keep(struct world *world, struct file *file) {
  allocate(world, file, "zero-keep", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
}

static void must_be_hole(struct file *file, size_t from, size_t to) {
  for (size_t at = from; at < to; at++) {
    if (file->want[at] != 0) {
      differ("lseek calls %zu to %zu a hole, byte %zu is not zero", from, to, at);
    }
  }
}

/* The first byte of data at or behind `from`; the size when there is none. */
static size_t seek_data(struct file *file, int fd, size_t from) {
  off_t data = lseek(fd, (off_t)from, SEEK_DATA);
  if (data < 0 && errno != ENXIO) failed("lseek(SEEK_DATA)");
  size_t found = data < 0 ? file->size : (size_t)data;
  if (found < from || found > file->size || (data >= 0 && found == file->size)) {
    differ("SEEK_DATA from %zu gives %ld, the size is %zu", from, data, file->size);
  }
  must_be_hole(file, from, found);
  return found;
}

static size_t seek_hole(struct file *file, int fd, size_t from) {
  off_t hole = lseek(fd, (off_t)from, SEEK_HOLE);
  if (hole < 0) failed("lseek(SEEK_HOLE)");
  if ((size_t)hole < from || (size_t)hole > file->size) {
    differ("SEEK_HOLE from %zu gives %ld, the size is %zu", from, hole, file->size);
  }
  return (size_t)hole;
}

/* Walks over all data and holes: what is called a hole has no byte that is not zero. */
static void run_walk(struct world *world, struct file *file) {
  struct handle *handle = file_handle(file, &world->random, TO_READ);
  flush_mapped(file, handle->fd);
  note(" fd %d", handle->fd);
  for (size_t at = 0; at < file->size;) {
    size_t data = seek_data(file, handle->fd, at);
    if (data == file->size) return;
    at = seek_hole(file, handle->fd, data);
    if (at == data) differ("SEEK_HOLE: there are both data and a hole at %zu", at);
  }
}

static void run_seek(struct world *world, struct file *file) {
  struct handle *handle = file_handle(file, &world->random, TO_READ);
  size_t from = random_offset(file, &world->random, file->limit);
  flush_mapped(file, handle->fd);
  note(" fd %d from %zu", handle->fd, from);
  if (from < file->size) {
    seek_data(file, handle->fd, from);
    seek_hole(file, handle->fd, from);
    return;
  }
  for (int way = 0; way < 2; way++) {
    off_t found = lseek(handle->fd, (off_t)from, way == 0 ? SEEK_DATA : SEEK_HOLE);
    if (found >= 0 || errno != ENXIO) differ("lseek behind the end gives %ld", found);
  }
}

const struct operation space_operations[] = {
    {"truncate", 35, false, run_truncate},
    {"allocate", 10, false, run_allocate},
    {"allocate-keep", 6, false, run_allocate_keep},
    {"punch", 25, false, run_punch},
    {"zero", 10, false, run_zero},
    {"zero-keep", 10, false, run_zero_keep},
    {"walk", 8, true, run_walk},
    {"seek", 20, true, run_seek},
    {NULL, 0, false, NULL},
};
