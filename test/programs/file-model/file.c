#define _GNU_SOURCE
#include "file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

struct file *file_new(size_t limit) {
  struct file *file = calloc(1, sizeof *file);
  if (file == NULL) failed("calloc");
  file->want = calloc(1, limit);
  if (file->want == NULL) failed("calloc");
  file->limit = limit;
  for (int at = 0; at < HANDLES_MAX; at++) file->handles[at].fd = -1;
  return file;
}

void handle_close(struct handle *handle) {
  if (handle->fd >= 0 && close(handle->fd) != 0) failed("close");
  handle->fd = -1;
}

void file_unmap(struct file *file) {
  if (file->map != NULL && munmap(file->map, file->limit) != 0) failed("munmap");
  file->map = NULL;
}

void file_free(struct file *file) {
  file_unmap(file);
  for (int at = 0; at < HANDLES_MAX; at++) handle_close(&file->handles[at]);
  free(file->want);
  free(file);
}

int random_open_flags(struct random *random) {
  static const int choices[] = {
      O_RDONLY, O_RDONLY,          O_RDONLY,          O_RDWR,  O_RDWR,
      O_WRONLY, O_RDWR | O_APPEND, O_RDWR | O_DIRECT, O_RDONLY | O_DIRECT, O_WRONLY | O_APPEND,
  };
  return choices[random_below(random, sizeof choices / sizeof choices[0])];
}

static bool fits(const struct handle *handle, unsigned needs) {
  int access = handle->flags & O_ACCMODE;
  if (handle->fd < 0) return false;
  if (needs & TO_READ && access == O_WRONLY) return false;
  if (needs & TO_WRITE && access == O_RDONLY) return false;
  if (needs & ONLY_TO_READ && access != O_RDONLY) return false;
  if (needs & TO_APPEND && !(handle->flags & O_APPEND)) return false;
  if (needs & NOT_APPENDING && handle->flags & O_APPEND) return false;
  return !(needs & NOT_DIRECT && handle->flags & O_DIRECT);
}

struct handle *file_handle(struct file *file, struct random *random, unsigned needs) {
  size_t first = random_below(random, HANDLES_MAX);
  for (size_t at = 0; at < HANDLES_MAX; at++) {
    struct handle *handle = &file->handles[(first + at) % HANDLES_MAX];
    if (fits(handle, needs)) return handle;
  }
  bool reads = !(needs & TO_WRITE) && (random_once_in(random, 2) || file->calm > 0);
  if (needs & ONLY_TO_READ) reads = true;
  int flags = reads ? O_RDONLY : O_RDWR;
  if (needs & TO_APPEND) flags |= O_APPEND;
  return file_open(file, random, flags);
}

struct handle *file_open(struct file *file, struct random *random, int flags) {
  char path[PATH_BYTES];
  strcpy(path, file->path);
  if (path[0] == 0) {
    // What has no name any more can still be opened through a descriptor.
    for (int at = 0; at < HANDLES_MAX; at++) {
      int fd = file->handles[at].fd;
      if (fd >= 0) snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
  }
  struct handle *handle = &file->handles[random_below(random, HANDLES_MAX)];
  int fd = open(path, flags | O_CLOEXEC);
  note(" open(0x%x)=%d", flags, fd);
  if (fd < 0) failed("open");
  handle_close(handle);
  *handle = (struct handle){fd, flags & ~O_TRUNC};
  return handle;
}

void file_wrote(struct file *file, size_t offset, const unsigned char *data, size_t length) {
  if (length == 0) return;
  if (data == NULL) memset(file->want + offset, 0, length);
  else memcpy(file->want + offset, data, length);
  if (offset + length > file->size) file->size = offset + length;
}

void file_resized(struct file *file, size_t size) {
  if (size < file->size) memset(file->want + size, 0, file->size - size);
  file->size = size;
}

size_t file_inside(const struct file *file, size_t offset, size_t length) {
  if (offset >= file->size) return 0;
  return length < file->size - offset ? length : file->size - offset;
}

void file_check(const struct file *file, const char *what, size_t offset,
                const unsigned char *got, size_t length) {
  must_equal(what, offset, got, file->want + offset, length);
}

void file_check_stat(const struct file *file, struct random *random) {
  size_t first = random_below(random, HANDLES_MAX);
  for (size_t at = 0; at < HANDLES_MAX; at++) {
    int fd = file->handles[(first + at) % HANDLES_MAX].fd;
    if (fd < 0) continue;
    struct stat stat;
    if (fstat(fd, &stat) != 0) failed("fstat");
    if ((size_t)stat.st_size != file->size) {
      differ("fstat: the size is %ld, expected %zu", stat.st_size, file->size);
    }
    nlink_t links = file->path[0] != 0;
    if (stat.st_nlink != links) differ("fstat: %lu links, expected %lu", stat.st_nlink, links);
    return;
  }
}

void file_check_all(const struct file *file, unsigned char *scratch) {
  for (int at = 0; at < HANDLES_MAX; at++) {
    const struct handle *handle = &file->handles[at];
    if (handle->fd < 0 || (handle->flags & O_ACCMODE) == O_WRONLY) continue;
    char what[64];
    snprintf(what, sizeof what, "the whole file through descriptor %d (0x%x)", handle->fd,
             handle->flags);
    size_t whole = (file->limit + 2 * PAGE) & ~(PAGE - 1);
    ssize_t count = pread(handle->fd, scratch, whole, 0);
    if (count < 0) failed(what);
    if ((size_t)count != file->size) differ("%s: %zd bytes, not %zu", what, count, file->size);
    file_check(file, what, 0, scratch, file->size);
  }
}

size_t random_offset(const struct file *file, struct random *random, size_t end) {
  size_t offset;
  switch (random_below(random, 4)) {
    case 0: offset = random_below(random, end + 1); break;
    case 1:
      offset = random_below(random, end / PAGE + 1) * PAGE + random_below(random, 7);
      offset = offset < 3 ? 0 : offset - 3;
      break;
    case 2:
      offset = file->size + random_below(random, 200);
      offset = offset < 100 ? 0 : offset - 100;
      break;
    default: offset = random_below(random, 16 * PAGE);
  }
  return offset > end ? random_below(random, end + 1) : offset;
}

size_t random_length(const struct file *file, struct random *random) {
  switch (random_below(random, 24)) {
    case 0: return random_below(random, file->limit / 2);
    case 1: case 2: case 3: return random_below(random, 16 * PAGE);
    case 4: case 5: case 6: case 7: return PAGE * random_below(random, 9);
    case 8: case 9: case 10: case 11: case 12: return random_below(random, 5000);
    case 13: case 14: case 15: return random_below(random, 20000);
    default: return 1 + random_below(random, 64);
  }
}
