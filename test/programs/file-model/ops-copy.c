/* Copies that the kernel makes: copy_file_range and clones. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "report.h"
#include "world.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static struct file *other_of(struct world *world, const struct file *file) {
  return world->named[0] == file ? world->named[1] : world->named[0];
}

/* Copies all of a range, in as many calls as it takes. */
static void copy(struct file *from, size_t at, int from_fd, struct file *to, size_t target,
                 int to_fd, size_t length) {
  length = file_inside(from, at, length);
  for (size_t done = 0; done < length;) {
    off_t in = (off_t)(at + done), out = (off_t)(target + done);
    ssize_t count = copy_file_range(from_fd, &in, to_fd, &out, length - done, 0);
    if (count < 0 && (errno == EOPNOTSUPP || errno == ENOSYS) && done == 0) {
      refused("copy");
      return;
    }
    if (count < 0) failed("copy_file_range");
    if (count == 0) differ("copy_file_range: nothing copied at %zu of %zu", done, length);
    file_wrote(to, target + done, from->want + at + done, (size_t)count);
    done += (size_t)count;
  }
}

static void run_copy_within(struct world *world, struct file *file) {
  struct random *random = &world->random;
  struct handle *reads = file_handle(file, random, TO_READ | ONLY_TO_READ | NOT_DIRECT);
  int from_fd = reads->fd;
  size_t at = random_offset(file, random, file->size);
  size_t target = random_offset(file, random, smaller(file->size + 4 * PAGE, file->limit));
  size_t length = random_length(file, random);
  if (random_once_in(random, 3)) {
    at &= ~(PAGE - 1);
    target &= ~(PAGE - 1);
  }
  struct handle *writes = file_handle(file, random, TO_WRITE | NOT_APPENDING | NOT_DIRECT);
  // Opening the second descriptor may have closed the first one.
  if (reads->fd != from_fd) return;
  size_t apart = at < target ? target - at : at - target;
  length = smaller(smaller(length, apart), file->limit - target);
  note(" fd %d at %zu to fd %d at %zu, %zu", from_fd, at, writes->fd, target, length);
  copy(file, at, from_fd, file, target, writes->fd, length);
}

static void run_copy_to(struct world *world, struct file *file) {
  struct random *random = &world->random;
  struct file *to = other_of(world, file);
  struct handle *reads = file_handle(file, random, TO_READ | ONLY_TO_READ | NOT_DIRECT);
  struct handle *writes = file_handle(to, random, TO_WRITE | NOT_APPENDING | NOT_DIRECT);
  size_t at = random_offset(file, random, file->size);
  size_t target = random_offset(to, random, smaller(to->size + 4 * PAGE, to->limit));
  size_t length = random_length(file, random);
  switch (random_below(random, 4)) {
    case 0: target = at = 0; length = file->size; break;
    case 1: target = at = at & ~(PAGE - 1); break;
    default: break;
  }
  length = smaller(length, to->limit - target);
  note(" fd %d at %zu to the other file's fd %d at %zu, %zu", reads->fd, at, writes->fd, target,
       length);
  copy(file, at, reads->fd, to, target, writes->fd, length);
}

static void run_clone(struct world *world, struct file *file) {
  struct file *to = other_of(world, file);
  struct handle *reads = file_handle(file, &world->random, TO_READ | NOT_DIRECT);
  struct handle *writes = file_handle(to, &world->random, TO_WRITE | NOT_APPENDING | NOT_DIRECT);
  note(" fd %d to the other file's fd %d", reads->fd, writes->fd);
  if (ioctl(writes->fd, FICLONE, reads->fd) == 0) {
    file_wrote(to, 0, file->want, file->size);
    return;
  }
  if (errno != EOPNOTSUPP && errno != ENOTTY && errno != EXDEV && errno != ENOSYS) {
    failed("ioctl(FICLONE)");
  }
  refused("clone");
}

const struct operation copy_operations[] = {
    {"copy-within", 25, false, run_copy_within},
    {"copy-to", 20, false, run_copy_to},
    {"clone", 1, false, run_clone},
    {NULL, 0, false, NULL},
};
