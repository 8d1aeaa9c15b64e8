/* Syncs, opens, and names that come and go while the files stay open. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "world.h"

#define CALM_MAX 60
#define PART_BYTES 131072

static void run_sync(struct world *world, struct file *file) {
  struct handle *handle = file_handle(file, &world->random, TO_READ);
  bool data_only = random_once_in(&world->random, 2);
  note(" fd %d%s", handle->fd, data_only ? " data" : "");
  if ((data_only ? fdatasync(handle->fd) : fsync(handle->fd)) != 0) failed("fsync");
  file->has_mapped_changes = false;
}

static void run_advise(struct world *world, struct file *file) {
  struct handle *handle = file_handle(file, &world->random, TO_READ);
  bool whole = random_once_in(&world->random, 2);
  size_t offset = random_offset(file, &world->random, file->limit);
  size_t length = random_length(file, &world->random);
  note(" fd %d%s at %zu, %zu", handle->fd, whole ? " whole" : "", offset, length);
  int error = whole ? posix_fadvise(handle->fd, 0, 0, POSIX_FADV_DONTNEED)
                    : posix_fadvise(handle->fd, (off_t)offset, (off_t)length, POSIX_FADV_DONTNEED);
  if (error == 0) return;
  errno = error;
  failed("posix_fadvise");
}

static void run_open(struct world *world, struct file *file) {
  file_open(file, &world->random, random_open_flags(&world->random));
}

static void run_open_truncate(struct world *world, struct file *file) {
  file_open(file, &world->random, O_RDWR | O_TRUNC);
  file_resized(file, 0);
}

/* Closes all descriptors, and the mapping, but for one where the file has no name. */
static void run_close(struct world *world, struct file *file) {
  file_unmap(file);
  bool keeps_one = file->path[0] == 0;
  size_t first = random_below(&world->random, HANDLES_MAX);
  for (size_t at = 0; at < HANDLES_MAX; at++) {
    struct handle *handle = &file->handles[(first + at) % HANDLES_MAX];
    if (handle->fd >= 0 && keeps_one) keeps_one = false;
    else handle_close(handle);
  }
}

/* For a while the file is only read, through descriptors that can do nothing else. */
static void run_calm(struct world *world, struct file *file) {
  if (file->path[0] == 0) return;
  run_close(world, file);
  for (uint64_t left = random_below(&world->random, 3); left > 0; left--) {
    file_open(file, &world->random, O_RDONLY);
  }
  file->calm = (unsigned)random_below(&world->random, CALM_MAX);
  note(" for %u", file->calm);
}

/* The file has lost its name: it stays in the world as long as no other one takes its place. */
static void orphan(struct world *world, struct file *file) {
  if (world->orphan != NULL) {
    file_check_all(world->orphan, world->scratch);
    file_free(world->orphan);
  }
  world->orphan = NULL;
  file->path[0] = 0;
  for (int at = 0; at < HANDLES_MAX; at++) {
    if (file->handles[at].fd >= 0) world->orphan = file;
  }
  if (world->orphan == NULL) file_free(file);
}

static int place_of(struct world *world, struct file *file) { return world->named[1] == file; }

/* A new file at `path`, empty. */
static struct file *create(struct world *world, const char *path) {
  struct file *file = file_new(world->limit);
  strcpy(file->path, path);
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) failed("open(O_CREAT)");
  file->handles[0] = (struct handle){fd, O_RDWR};
  return file;
}

/* Gives a new file some content. */
static void fill(struct world *world, struct file *file) {
  size_t length = random_length(file, &world->random);
  uint64_t seed = random_next(&world->random);
  random_fill(world->data, length, seed);
  note(" %zu bytes", length);
  ssize_t count = pwrite(file->handles[0].fd, world->data, length, 0);
  if (count != (ssize_t)length) failed("pwrite to a new file");
  file_wrote(file, 0, world->data, length);
}

void world_begin(struct world *world) {
  char path[PATH_BYTES];
  for (int place = 0; place < 2; place++) {
    snprintf(path, sizeof path, "%s/file%d", world->folder, place);
    unlink(path);
    world->named[place] = create(world, path);
  }
}

void world_check(struct world *world) {
  for (int place = 0; place < 3; place++) {
    struct file *file = place < 2 ? world->named[place] : world->orphan;
    if (file == NULL) continue;
    file_handle(file, &world->random, TO_READ);
    file_check_all(file, world->scratch);
    file_check_stat(file, &world->random);
  }
}

static void run_unlink(struct world *world, struct file *file) {
  if (file == world->orphan) return;
  int place = place_of(world, file);
  char path[PATH_BYTES];
  strcpy(path, file->path);
  if (unlink(path) != 0) failed("unlink");
  orphan(world, file);
  world->named[place] = create(world, path);
}

/* Puts `file`, which has the name `from`, at the place of a named file. */
static void rename_over(struct world *world, struct file *file, int place) {
  struct file *old = world->named[place];
  note(" %s over %s", file->path, old->path);
  if (rename(file->path, old->path) != 0) failed("rename");
  strcpy(file->path, old->path);
  orphan(world, old);
  world->named[place] = file;
}

static void run_replace(struct world *world, struct file *file) {
  if (file == world->orphan) return;
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/new", world->folder);
  struct file *replacement = create(world, path);
  fill(world, replacement);
  if (random_once_in(&world->random, 2) && fsync(replacement->handles[0].fd) != 0) failed("fsync");
  rename_over(world, replacement, place_of(world, file));
}

/*
 * A file that is written once from front to end, and then only read: what a file system may hand to
 * the kernel as it is. Those who change it come later, while descriptors and mappings are open.
 */
static void run_publish(struct world *world, struct file *file) {
  if (file == world->orphan) return;
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/new", world->folder);
  struct file *made = create(world, path);
  size_t length = world->limit / 2 + random_below(&world->random, world->limit / 2);
  random_fill(world->data, length, random_next(&world->random));
  for (size_t at = 0; at < length;) {
    size_t part = length - at < PART_BYTES ? length - at : PART_BYTES;
    if (write(made->handles[0].fd, world->data + at, part) != (ssize_t)part) failed("write");
    at += part;
  }
  file_wrote(made, 0, world->data, length);
  note(" %zu bytes", length);
  handle_close(&made->handles[0]);
  rename_over(world, made, place_of(world, file));
  file_open(made, &world->random, O_RDONLY);
  if (random_once_in(&world->random, 2)) file_open(made, &world->random, O_RDONLY);
  made->calm = (unsigned)random_below(&world->random, CALM_MAX);
}

/* A file moves over the other one, and a new one takes its old name. */
static void run_rename(struct world *world, struct file *file) {
  if (file == world->orphan) return;
  int place = place_of(world, file);
  char path[PATH_BYTES];
  strcpy(path, file->path);
  rename_over(world, file, !place);
  world->named[place] = create(world, path);
  fill(world, world->named[place]);
}

/* A file made without a name gets one when it is written, and replaces another one. */
static void run_tmpfile(struct world *world, struct file *file) {
  if (file == world->orphan) return;
  int fd = open(world->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
  if (fd < 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EISDIR) failed("open(O_TMPFILE)");
    refused("tmpfile");
    return;
  }
  struct file *made = file_new(world->limit);
  made->handles[0] = (struct handle){fd, O_RDWR};
  fill(world, made);
  file_check_stat(made, &world->random);
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  snprintf(made->path, sizeof made->path, "%s/new", world->folder);
  if (linkat(AT_FDCWD, link, AT_FDCWD, made->path, AT_SYMLINK_FOLLOW) != 0) failed("linkat");
  rename_over(world, made, place_of(world, file));
}

const struct operation life_operations[] = {
    {"sync", 10, true, run_sync},
    {"advise", 12, true, run_advise},
    {"open", 25, false, run_open},
    {"open-truncate", 1, false, run_open_truncate},
    {"close", 4, false, run_close},
    {"unlink", 1, false, run_unlink},
    {"replace", 1, false, run_replace},
    {"rename", 1, false, run_rename},
    {"tmpfile", 1, false, run_tmpfile},
    {"calm", 3, false, run_calm},
    {"publish", 2, false, run_publish},
    {NULL, 0, false, NULL},
};
