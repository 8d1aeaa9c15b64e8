/* Reads in every way, compared with what is expected. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "report.h"
#include "world.h"

#define PARTS_MAX 5

static size_t page_floor(size_t offset) { return offset & ~(PAGE - 1); }

/* Where to read and how much; whole pages for a descriptor that asks for them. */
struct span {
  size_t offset;
  size_t length;
};

static struct span random_span(struct world *world, struct file *file, bool whole_pages) {
  struct span span = {random_offset(file, &world->random, file->limit),
                      random_length(file, &world->random)};
  if (whole_pages) {
    span.offset = page_floor(span.offset);
    span.length = page_floor(span.length) + PAGE;
  }
  if (span.offset + span.length > file->limit + PAGE) span.length = PAGE;
  return span;
}

/* The result of a read must be all there is, and right. */
static void check_read(struct file *file, const char *what, struct span span, ssize_t count,
                       const unsigned char *got) {
  if (count < 0) failed(what);
  size_t expected = file_inside(file, span.offset, span.length);
  if ((size_t)count != expected) {
    differ("%s: %zd bytes at %zu, expected %zu of %zu asked for", what, count, span.offset,
           expected, span.length);
  }
  if (expected > 0) file_check(file, what, span.offset, got, expected);
}

static void run_pread(struct world *world, struct file *file) {
  struct handle *handle = file_handle(file, &world->random, TO_READ);
  bool direct = handle->flags & O_DIRECT;
  struct span span = random_span(world, file, direct);
  unsigned char *into = world->scratch + (direct ? 0 : random_below(&world->random, 9));
  note(" fd %d at %zu, %zu", handle->fd, span.offset, span.length);
  ssize_t count = pread(handle->fd, into, span.length, (off_t)span.offset);
  check_read(file, "pread", span, count, into);
}

static void run_preadv(struct world *world, struct file *file) {
  struct handle *handle = file_handle(file, &world->random, TO_READ | NOT_DIRECT);
  struct span span = random_span(world, file, false);
  struct iovec parts[PARTS_MAX];
  int count = 1 + (int)random_below(&world->random, PARTS_MAX);
  size_t left = span.length;
  unsigned char *into = world->scratch;
  for (int at = 0; at < count; at++) {
    size_t length = at == count - 1 ? left : random_below(&world->random, left + 1);
    parts[at] = (struct iovec){into, length};
    into += length;
    left -= length;
  }
  note(" fd %d at %zu, %zu in %d", handle->fd, span.offset, span.length, count);
  ssize_t got = preadv(handle->fd, parts, count, (off_t)span.offset);
  check_read(file, "preadv", span, got, world->scratch);
}

static void run_read(struct world *world, struct file *file) {
  struct handle *handle = file_handle(file, &world->random, TO_READ | NOT_DIRECT);
  struct span span = random_span(world, file, false);
  note(" fd %d at %zu, %zu", handle->fd, span.offset, span.length);
  off_t position = span.offset <= file->size && random_once_in(&world->random, 2)
                       ? lseek(handle->fd, (off_t)span.offset - (off_t)file->size, SEEK_END)
                       : lseek(handle->fd, (off_t)span.offset, SEEK_SET);
  if (position != (off_t)span.offset) differ("lseek: at %ld", position);
  ssize_t count = read(handle->fd, world->scratch, span.length);
  check_read(file, "read", span, count, world->scratch);
}

static void run_splice(struct world *world, struct file *file) {
  struct handle *handle = file_handle(file, &world->random, TO_READ | ONLY_TO_READ | NOT_DIRECT);
  struct span span = random_span(world, file, false);
  if (span.length > 8 * PAGE) span.length = 8 * PAGE;
  note(" fd %d at %zu, %zu", handle->fd, span.offset, span.length);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) failed("pipe");
  loff_t from = (loff_t)span.offset;
  ssize_t moved = splice(handle->fd, &from, ends[1], NULL, span.length, 0);
  if (moved < 0) failed("splice");
  // A splice may end early, but not at once before the end of the file.
  if (moved == 0 && file_inside(file, span.offset, span.length) > 0) differ("splice: no bytes");
  for (ssize_t at = 0; at < moved;) {
    ssize_t count = read(ends[0], world->scratch + at, (size_t)(moved - at));
    if (count <= 0) failed("read of a pipe");
    at += count;
  }
  close(ends[0]);
  close(ends[1]);
  span.length = (size_t)moved;
  check_read(file, "splice", span, moved, world->scratch);
}

static void run_stat(struct world *world, struct file *file) {
  file_check_stat(file, &world->random);
}

static void run_whole(struct world *world, struct file *file) {
  file_check_all(file, world->scratch);
}

const struct operation read_operations[] = {
    {"pread", 120, true, run_pread},
    {"preadv", 40, true, run_preadv},
    {"read", 50, true, run_read},
    {"splice", 20, true, run_splice},
    {"stat", 5, true, run_stat},
    {"whole", 1, true, run_whole},
    {NULL, 0, false, NULL},
};
