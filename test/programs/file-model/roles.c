#define _GNU_SOURCE
#include "roles.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"

/* Where to read: some bytes anywhere, mostly few, or whole pages of it. */
static void draw_span(struct role *role, bool whole_pages, size_t *offset, size_t *length) {
  struct random *random = &role->random;
  size_t end = role->board->end;
  *offset = random_below(random, end);
  *length = 1 + random_below(random, random_once_in(random, 20) ? end : 4 * PAGE);
  if (*length > end - *offset) *length = end - *offset;
  if (!whole_pages) return;
  *length += *offset % PAGE;
  *offset -= *offset % PAGE;
  *length = (*length + PAGE - 1) & ~(PAGE - 1);
}

/* A part that ends behind the records has bytes of the tail, which are not looked at. */
static void check_read(struct role *role, const struct handle *handle, size_t offset,
                       size_t length) {
  uint32_t done[RECORDS_MAX];
  size_t end = role->board->end;
  size_t inside = length < end - offset ? length : end - offset;
  note(" fd %d (0x%x) at %zu, %zu", handle->fd, handle->flags, offset, length);
  board_before(role->board, offset, length, done);
  ssize_t count = pread(handle->fd, role->scratch, length, (off_t)offset);
  // ext4 answers EIO to O_DIRECT when a mapping has just made one of the blocks.
  bool is_native = role->options->control == NULL;
  if (count < 0 && errno == EIO && handle->flags & O_DIRECT && is_native) return;
  if (count < 0) failed("pread");
  if ((size_t)count < inside) differ("pread: %zd bytes of %zu", count, inside);
  board_check(role->board, "pread", offset, role->scratch, inside, done);
}

static void step_read(struct role *role) {
  note("read");
  struct handle *handle = file_handle(role->file, &role->random, TO_READ);
  size_t offset, length;
  draw_span(role, handle->flags & O_DIRECT, &offset, &length);
  check_read(role, handle, offset, length);
}

static void step_map_read(struct role *role) {
  struct handle *handle = file_handle(role->file, &role->random, TO_READ);
  size_t offset, length;
  uint32_t done[RECORDS_MAX];
  draw_span(role, false, &offset, &length);
  size_t before = offset % PAGE;
  note("map-read fd %d at %zu, %zu", handle->fd, offset, length);
  unsigned char *at = mmap(NULL, before + length, PROT_READ, MAP_SHARED, handle->fd,
                           (off_t)(offset - before));
  if (at == MAP_FAILED) failed("mmap");
  board_before(role->board, offset, length, done);
  // A copy: what is compared must not change while it is compared.
  memcpy(role->scratch, at + before, length);
  board_check(role->board, "a mapping", offset, role->scratch, length, done);
  if (munmap(at, before + length) != 0) failed("munmap");
}

static void step_open(struct role *role, int flags) {
  note("open");
  file_open(role->file, &role->random, flags);
}

/*
 * Nobody takes pages out of the kernel while others write: a FUSE file system's pages are clean
 * from the moment a write has changed them, before its request is sent. If such a page goes then,
 * and is read at once, the kernel keeps the old bytes for good, although the file has the new ones.
 */
static void step_sync(struct role *role) {
  note("sync");
  struct handle *handle = file_handle(role->file, &role->random, TO_READ);
  bool data_only = random_once_in(&role->random, 2);
  if ((data_only ? fdatasync(handle->fd) : fsync(handle->fd)) != 0) failed("fsync");
}

/* A record of this process; every writer has some, as there are many more of them. */
static size_t draw_own(struct role *role) {
  const struct board *board = role->board;
  size_t at = random_below(&role->random, board->count);
  for (size_t tries = 0; tries < board->count; tries++, at = (at + 1) % board->count) {
    if (board->records[at].owner == role->number) return at;
  }
  differ("process %u has no record", role->number);
}

static bool try_punch(struct role *role, const struct handle *handle,
                      const struct record *record) {
  int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (fallocate(handle->fd, mode, (off_t)record->offset, (off_t)record->length) == 0) return true;
  if (errno != EOPNOTSUPP && errno != ENOSYS) failed("fallocate");
  role->board->refused++;
  return false;
}

static void step_write(struct role *role) {
  size_t number = draw_own(role);
  struct record *record = &role->board->records[number];
  // Beside O_DIRECT a buffered or mapped write to the same page is not defined.
  unsigned needs = TO_WRITE | NOT_APPENDING | (record_has_own_pages(record) ? 0 : NOT_DIRECT);
  note("write");
  struct handle *handle = file_handle(role->file, &role->random, needs);
  uint32_t version = record->done + 1;
  note(" fd %d (0x%x) record %zu, version %u, at %zu, %zu", handle->fd, handle->flags, number,
       version, record->offset, record->length);
  record_content(role->board, number, version, role->scratch);
  record->begun = version;
  if (!version_is_zeros(version) || !try_punch(role, handle, record)) {
    ssize_t count =
        pwrite(handle->fd, role->scratch, record->length, (off_t)record->offset);
    if (count < 0) failed("pwrite");
    if ((size_t)count != record->length) differ("pwrite: %zd of %zu", count, record->length);
  }
  record->done = version;
}

static void step_read_own(struct role *role) {
  const struct record *record = &role->board->records[draw_own(role)];
  note("read own");
  unsigned needs = TO_READ | (record_has_own_pages(record) ? 0 : NOT_DIRECT);
  struct handle *handle = file_handle(role->file, &role->random, needs);
  check_read(role, handle, record->offset, record->length);
}

void role_writer_step(struct role *role) {
  uint64_t at = random_below(&role->random, 100);
  if (at < 45) step_write(role);
  else if (at < 65) step_read_own(role);
  else if (at < 85) step_read(role);
  else if (at < 90) step_map_read(role);
  else if (at < 95) step_open(role, random_open_flags(&role->random));
  else step_sync(role);
}

static void step_map_write(struct role *role) {
  struct file *file = role->file;
  size_t number = draw_own(role);
  struct record *record = &role->board->records[number];
  if (file->map == NULL) {
    struct handle *handle = file_handle(file, &role->random, TO_READ | TO_WRITE);
    file->map = mmap(NULL, file->limit, PROT_READ | PROT_WRITE, MAP_SHARED, handle->fd, 0);
    if (file->map == MAP_FAILED) failed("mmap");
  }
  uint32_t version = record->done + 1;
  note("map-write record %zu, version %u, at %zu, %zu", number, version, record->offset,
       record->length);
  record_content(role->board, number, version, role->scratch);
  record->begun = version;
  memcpy(file->map + record->offset, role->scratch, record->length);
  record->done = version;
  size_t start = record->offset & ~(PAGE - 1);
  size_t length = record->offset + record->length - start;
  if (!random_once_in(&role->random, 6)) return;
  note(", msync");
  if (msync(file->map + start, length, MS_SYNC) != 0) failed("msync");
}

void role_mapper_step(struct role *role) {
  uint64_t at = random_below(&role->random, 100);
  if (at < 50) step_map_write(role);
  else if (at < 65) step_read_own(role);
  else if (at < 80) step_read(role);
  else if (at < 90) step_map_read(role);
  else if (at < 92) file_unmap(role->file);
  else if (at < 96) step_open(role, random_once_in(&role->random, 2) ? O_RDWR : O_RDONLY);
  else step_sync(role);
}

void role_reader_step(struct role *role) {
  uint64_t at = random_below(&role->random, 100);
  if (at < 60) step_read(role);
  else if (at < 80) step_map_read(role);
  else if (at < 95) step_open(role, O_RDONLY | (random_once_in(&role->random, 3) ? O_DIRECT : 0));
  else {
    note("close");
    handle_close(&role->file->handles[random_below(&role->random, HANDLES_MAX)]);
  }
}

void role_check_all(struct role *role) {
  static const int ways[] = {O_RDONLY, O_RDONLY | O_DIRECT, O_RDWR};
  size_t whole = (role->board->end + PAGE - 1) & ~(PAGE - 1);
  for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
    struct handle *handle = file_open(role->file, &role->random, ways[way]);
    check_read(role, handle, 0, whole);
  }
}
