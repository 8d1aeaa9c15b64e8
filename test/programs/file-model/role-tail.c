/* The process that works behind all records, and has commits and evictions made. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "report.h"
#include "roles.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void step_truncate(struct role *role) {
  struct file *file = role->file;
  size_t size = role->board->end + random_below(&role->random, file->limit - role->board->end);
  struct handle *handle = file_handle(file, &role->random, TO_WRITE);
  note("truncate %zu to %zu", file->size, size);
  if (ftruncate(handle->fd, (off_t)size) != 0) failed("ftruncate");
  file_resized(file, size);
}

/* Mostly right behind the last record, whose page this shares. */
static size_t draw_offset(struct role *role) {
  size_t end = role->board->end;
  size_t room = random_once_in(&role->random, 2) ? 300 : role->file->limit - end;
  return end + random_below(&role->random, room);
}

static void step_write(struct role *role) {
  struct file *file = role->file;
  struct handle *handle = file_handle(file, &role->random, TO_WRITE | NOT_DIRECT);
  size_t offset = handle->flags & O_APPEND ? file->size : draw_offset(role);
  size_t length = smaller(random_below(&role->random, 3 * PAGE), file->limit - offset);
  note("write fd %d (0x%x) at %zu, %zu", handle->fd, handle->flags, offset, length);
  random_fill(role->scratch, length, random_next(&role->random));
  ssize_t count = pwrite(handle->fd, role->scratch, length, (off_t)offset);
  if (count < 0) failed("pwrite");
  if ((size_t)count != length) differ("pwrite: %zd of %zu", count, length);
  file_wrote(file, offset, role->scratch, length);
}

static void step_punch(struct role *role) {
  struct file *file = role->file;
  struct handle *handle = file_handle(file, &role->random, TO_WRITE);
  size_t offset = draw_offset(role);
  size_t length = 1 + random_below(&role->random, 3 * PAGE);
  note("punch fd %d at %zu, %zu", handle->fd, offset, length);
  int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (fallocate(handle->fd, mode, (off_t)offset, (off_t)length) != 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS) failed("fallocate");
    role->board->refused++;
    return;
  }
  file_wrote(file, offset, NULL, file_inside(file, offset, length));
}

static void step_read(struct role *role) {
  struct file *file = role->file;
  struct handle *handle = file_handle(file, &role->random, TO_READ);
  size_t end = role->board->end;
  size_t start = handle->flags & O_DIRECT ? end & ~(PAGE - 1) : end;
  size_t length = ((file->limit - start + PAGE) & ~(PAGE - 1));
  note("read fd %d (0x%x) from %zu", handle->fd, handle->flags, start);
  ssize_t count = pread(handle->fd, role->scratch, length, (off_t)start);
  if (count < 0) failed("pread");
  if ((size_t)count != file->size - start) {
    differ("pread: %zd bytes from %zu, the size is %zu", count, start, file->size);
  }
  file_check(file, "the tail", end, role->scratch + (end - start), file->size - end);
}

static void disturb(struct role *role) {
  const struct options *options = role->options;
  bool commits = random_once_in(&role->random, options->commit_every);
  bool evicts = random_once_in(&role->random, options->evict_every);
  if (options->control == NULL) return;
  if (commits) {
    note("; commit begins");
    control_begin(options->control, "/commit");
  }
  if (!evicts) return;
  struct stat stat_of_file;
  if (stat(role->file->path, &stat_of_file) != 0) failed("stat");
  note("; evict");
  control_evict(options->control, stat_of_file.st_ino, EVICT_BLOCKS);
}

void role_tail_step(struct role *role) {
  uint64_t at = random_below(&role->random, 100);
  if (at < 25) step_truncate(role);
  else if (at < 55) step_write(role);
  else if (at < 65) step_punch(role);
  else if (at < 92) step_read(role);
  else {
    note("open");
    file_open(role->file, &role->random, random_open_flags(&role->random));
  }
  file_check_stat(role->file, &role->random);
  disturb(role);
}
