/* Writes in every way. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "report.h"
#include "world.h"

#define PARTS_MAX 5

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* New bytes: random ones, zeros, or some that were written before and are stored already. */
static const unsigned char *random_data(struct world *world, size_t length, bool aligned) {
  struct random *random = &world->random;
  unsigned char *data = world->data + (aligned ? 0 : random_below(random, 9));
  uint64_t kind = random_below(random, 16);
  uint64_t seed = random_next(random);
  if (kind == 0) memset(data, 0, length);
  else random_fill(data, length, kind < 3 ? seed % 4 : seed);
  return data;
}

/* Writes mostly begin inside of the file, or not far behind its end. */
static size_t write_offset(struct world *world, struct file *file) {
  size_t end = smaller(file->size + 4 * PAGE, file->limit);
  if (random_once_in(&world->random, 30)) end = file->limit;
  return random_offset(file, &world->random, end);
}

static void wrote(struct file *file, const char *what, size_t offset, const unsigned char *data,
                  size_t length, ssize_t count) {
  if (count < 0) failed(what);
  if ((size_t)count != length) differ("%s: %zd bytes of %zu", what, count, length);
  file_wrote(file, offset, data, length);
}

static void run_pwrite(struct world *world, struct file *file) {
  struct handle *handle = file_handle(file, &world->random, TO_WRITE | NOT_APPENDING);
  bool direct = handle->flags & O_DIRECT;
  size_t offset = write_offset(world, file);
  size_t length = random_length(file, &world->random);
  if (direct) {
    offset &= ~(PAGE - 1);
    length = (length & ~(PAGE - 1)) + PAGE;
    if (offset + length > file->limit) {
      length = PAGE;
      offset = smaller(offset, (file->limit & ~(PAGE - 1)) - PAGE);
    }
  }
  length = smaller(length, file->limit - offset);
  const unsigned char *data = random_data(world, length, direct);
  note(" fd %d%s at %zu, %zu", handle->fd, direct ? " direct" : "", offset, length);
  ssize_t count = pwrite(handle->fd, data, length, (off_t)offset);
  wrote(file, "pwrite", offset, data, length, count);
}

static void run_pwritev(struct world *world, struct file *file) {
  struct handle *handle =
      file_handle(file, &world->random, TO_WRITE | NOT_APPENDING | NOT_DIRECT);
  size_t offset = write_offset(world, file);
  size_t length = smaller(random_length(file, &world->random), file->limit - offset);
  const unsigned char *data = random_data(world, length, false);
  struct iovec parts[PARTS_MAX];
  int count = 1 + (int)random_below(&world->random, PARTS_MAX);
  size_t left = length;
  unsigned char *from = (unsigned char *)data;
  for (int at = 0; at < count; at++) {
    size_t part = at == count - 1 ? left : random_below(&world->random, left + 1);
    parts[at] = (struct iovec){from, part};
    from += part;
    left -= part;
  }
  note(" fd %d at %zu, %zu in %d", handle->fd, offset, length, count);
  wrote(file, "pwritev", offset, data, length,
        pwritev(handle->fd, parts, count, (off_t)offset));
}

static void run_write(struct world *world, struct file *file) {
  struct handle *handle =
      file_handle(file, &world->random, TO_WRITE | NOT_APPENDING | NOT_DIRECT);
  size_t offset = write_offset(world, file);
  size_t length = smaller(random_length(file, &world->random), file->limit - offset);
  const unsigned char *data = random_data(world, length, false);
  note(" fd %d at %zu, %zu", handle->fd, offset, length);
  if (lseek(handle->fd, (off_t)offset, SEEK_SET) != (off_t)offset) failed("lseek");
  wrote(file, "write", offset, data, length, write(handle->fd, data, length));
}

/* Where the descriptor stands does not matter to it. */
static void run_append(struct world *world, struct file *file) {
  struct handle *handle =
      file_handle(file, &world->random, TO_WRITE | TO_APPEND | NOT_DIRECT);
  size_t length = smaller(random_length(file, &world->random), file->limit - file->size);
  const unsigned char *data = random_data(world, length, false);
  note(" fd %d at %zu, %zu", handle->fd, file->size, length);
  wrote(file, "append", file->size, data, length, write(handle->fd, data, length));
}

const struct operation write_operations[] = {
    {"pwrite", 110, false, run_pwrite},
    {"pwritev", 30, false, run_pwritev},
    {"write", 30, false, run_write},
    {"append", 25, false, run_append},
    {NULL, 0, false, NULL},
};
