/*
 * The load programs of the bench for works with more operations a second than a script can ask for.
 * Every command does one work in a folder, measures it itself (the start of the process is not part
 * of it) and prints a line "name operations bytes seconds" for each measure. Exit status 1 and a line
 * on stderr when anything fails: a bench that ignores a failed call measures nothing.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20, PATH_BYTES = 4096, OPEN_FOLDERS = 32 };

static void die(const char *what, const char *path) {
  fprintf(stderr, "Cannot %s %s: %s\n", what, path, strerror(errno));
  exit(1);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(const char *name, double operations, double bytes, double start) {
  printf("%s %.0f %.0f %.9f\n", name, operations, bytes, seconds() - start);
}

static uint64_t state;

static uint64_t next_random(void) { /* xorshift64* of Vigna */
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545f4914f6cdd1dull;
}

static void set_seed(const char *text) { state = strtoull(text, NULL, 10) * 2 + 1; }

static char *new_buffer(size_t bytes) {
  void *buffer;
  if (posix_memalign(&buffer, PAGE, bytes) != 0) die("allocate", "a buffer");
  uint64_t *words = buffer;
  for (size_t index = 0; index < bytes / 8; index++) words[index] = next_random();
  return buffer;
}

/* Makes every page differ from every other one, or the volume would store it only once. */
static void stamp(char *buffer, size_t bytes) {
  for (size_t at = 0; at < bytes; at += PAGE) {
    uint64_t value = next_random();
    memcpy(buffer + at, &value, sizeof value);
  }
}

static int open_or_die(const char *path, int flags) {
  int fd = open(path, flags, 0644);
  if (fd < 0) die("open", path);
  return fd;
}

static void write_all(int fd, const char *buffer, size_t bytes, off_t offset, const char *path) {
  if (pwrite(fd, buffer, bytes, offset) != (ssize_t)bytes) die("write", path);
}

/* write FILE BYTES SEED SYNC */
static void run_write(char **args) {
  off_t bytes = atoll(args[1]);
  set_seed(args[2]);
  char *buffer = new_buffer(MIB);
  double start = seconds();
  int fd = open_or_die(args[0], O_CREAT | O_TRUNC | O_WRONLY);
  for (off_t at = 0; at < bytes; at += MIB) {
    stamp(buffer, MIB);
    write_all(fd, buffer, MIB, at, args[0]);
  }
  if (atoi(args[3]) && fsync(fd) != 0) die("sync", args[0]);
  if (close(fd) != 0) die("close", args[0]);
  report("write", (double)bytes / MIB, (double)bytes, start);
}

/* read FILE */
static void run_read(char **args) {
  char *buffer = new_buffer(MIB);
  double start = seconds();
  double bytes = 0;
  int fd = open_or_die(args[0], O_RDONLY);
  for (;;) {
    ssize_t got = read(fd, buffer, MIB);
    if (got < 0) die("read", args[0]);
    if (got == 0) break;
    bytes += (double)got;
  }
  close(fd);
  report("read", bytes / MIB, bytes, start);
}

/* random-read FILE COUNT SEED: pages in an order without repetition, without read-ahead */
static void run_random_read(char **args) {
  long count = atol(args[1]);
  set_seed(args[2]);
  char *buffer = new_buffer(PAGE);
  int fd = open_or_die(args[0], O_RDONLY);
  posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
  long pages = (long)(lseek(fd, 0, SEEK_END) / PAGE);
  if (count > pages) count = pages;
  long *order = malloc((size_t)pages * sizeof *order);
  for (long index = 0; index < pages; index++) order[index] = index;
  for (long index = pages - 1; index > 0; index--) {
    long other = (long)(next_random() % (uint64_t)(index + 1));
    long kept = order[index];
    order[index] = order[other];
    order[other] = kept;
  }
  double start = seconds();
  for (long index = 0; index < count; index++) {
    if (pread(fd, buffer, PAGE, (off_t)order[index] * PAGE) != PAGE) die("read", args[0]);
  }
  report("random-read", (double)count, (double)count * PAGE, start);
}

/* random-write FILE COUNT SEED SYNC */
static void run_random_write(char **args) {
  long count = atol(args[1]);
  set_seed(args[2]);
  int sync_each = atoi(args[3]);
  char *buffer = new_buffer(PAGE);
  int fd = open_or_die(args[0], O_RDWR);
  uint64_t pages = (uint64_t)(lseek(fd, 0, SEEK_END) / PAGE);
  double start = seconds();
  for (long index = 0; index < count; index++) {
    stamp(buffer, PAGE);
    write_all(fd, buffer, PAGE, (off_t)(next_random() % pages) * PAGE, args[0]);
    if (sync_each && fdatasync(fd) != 0) die("sync", args[0]);
  }
  report("random-write", (double)count, (double)count * PAGE, start);
}

static const char *name_of(const char *folder, const char *prefix, long index) {
  static char path[2][PATH_BYTES];
  static int turn;
  turn ^= 1;
  snprintf(path[turn], PATH_BYTES, "%s/%s%06ld", folder, prefix, index);
  return path[turn];
}

static void stat_all(const char *folder, long count, const char *measure) {
  struct stat found;
  double start = seconds();
  for (long index = 0; index < count; index++) {
    const char *path = name_of(folder, "file", index);
    if (stat(path, &found) != 0) die("stat", path);
  }
  report(measure, (double)count, 0, start);
}

static void list_all(const char *name, const char *folder, long count) {
  struct stat found;
  long seen = 0;
  double start = seconds();
  DIR *listing = opendir(folder);
  if (listing == NULL) die("list", folder);
  for (struct dirent *entry; (entry = readdir(listing)) != NULL; seen++) {
    if (fstatat(dirfd(listing), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) die("stat", entry->d_name);
  }
  closedir(listing);
  if (seen != count + 2) die("find all files of", folder);
  report(name, (double)count, 0, start);
}

/* small FOLDER COUNT SEED: creates, looks at, lists, renames and deletes files of 4 KiB */
static void run_small(char **args) {
  const char *folder = args[0];
  long count = atol(args[1]);
  set_seed(args[2]);
  char *buffer = new_buffer(PAGE);
  double start = seconds();
  for (long index = 0; index < count; index++) {
    const char *path = name_of(folder, "file", index);
    stamp(buffer, PAGE);
    int fd = open_or_die(path, O_CREAT | O_EXCL | O_WRONLY);
    write_all(fd, buffer, PAGE, 0, path);
    if (close(fd) != 0) die("close", path);
  }
  report("create", (double)count, (double)count * PAGE, start);
  stat_all(folder, count, "stat-first");
  stat_all(folder, count, "stat");
  list_all("list", folder, count);
  list_all("list-again", folder, count);
  start = seconds();
  for (long index = 0; index < count; index++) {
    const char *path = name_of(folder, "file", index);
    if (rename(path, name_of(folder, "renamed", index)) != 0) die("rename", path);
  }
  report("rename", (double)count, 0, start);
  start = seconds();
  for (long index = 0; index < count; index++) {
    const char *path = name_of(folder, "renamed", index);
    if (unlink(path) != 0) die("delete", path);
  }
  report("delete", (double)count, 0, start);
}

/* lookup FOLDER COUNT: names that do not exist, each another one */
static void run_lookup(char **args) {
  long count = atol(args[1]);
  struct stat found;
  double start = seconds();
  for (long index = 0; index < count; index++) {
    const char *path = name_of(args[0], "absent", index);
    if (stat(path, &found) == 0 || errno != ENOENT) die("miss", path);
  }
  report("lookup", (double)count, 0, start);
}

/* copy BYTES: what copying memory costs, 1 MiB at a time between 64 MiB */
static void run_copy(char **args) {
  double bytes = atof(args[0]);
  state = 1;
  size_t size = 64ul * MIB;
  char *from = new_buffer(size);
  char *to = new_buffer(size);
  double done = 0;
  double start = seconds();
  while (done < bytes) {
    for (size_t at = 0; at < size; at += MIB, done += MIB) memcpy(to + at, from + at, MIB);
    __asm__ volatile("" : : "r"(to) : "memory");
  }
  report("copy", done / MIB, done, start);
}

static int drop_one(const char *path, const struct stat *found, int type, struct FTW *walk) {
  (void)walk;
  if (type != FTW_F || !S_ISREG(found->st_mode)) return 0;
  int fd = open(path, O_RDONLY);
  if (fd < 0) return errno == ENOENT ? 0 : -1;
  /* Only clean pages can be dropped. */
  int failed = fdatasync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0;
  close(fd);
  return failed ? -1 : 0;
}

/* drop PATH: lets the kernel forget the pages of all files at and below PATH */
static void run_drop(char **args) {
  double start = seconds();
  if (nftw(args[0], drop_one, OPEN_FOLDERS, FTW_PHYS) != 0) die("drop the pages of", args[0]);
  report("drop", 1, 0, start);
}

static double walked;

static int walk_one(const char *path, const struct stat *found, int type, struct FTW *walk) {
  (void)path, (void)found, (void)walk;
  if (type == FTW_NS || type == FTW_DNR) return -1;
  walked++;
  return 0;
}

/* walk FOLDER: lists every folder of a tree and looks at every file, as find -size does */
static void run_walk(char **args) {
  double start = seconds();
  if (nftw(args[0], walk_one, OPEN_FOLDERS, FTW_PHYS) != 0) die("walk", args[0]);
  report("walk", walked, 0, start);
}

struct part {
  const char *path;
  off_t bytes;
  char *buffer;
};

static void *write_part(void *argument) {
  struct part *part = argument;
  int fd = open_or_die(part->path, O_CREAT | O_TRUNC | O_WRONLY);
  for (off_t at = 0; at < part->bytes; at += MIB) write_all(fd, part->buffer, MIB, at, part->path);
  if (fdatasync(fd) != 0 || close(fd) != 0) die("sync", part->path);
  return NULL;
}

/* parallel BYTES FILE FILE FILE: BYTES to each of three files at once, each synced at its end */
static void run_parallel(char **args) {
  enum { FILES = 3 };
  struct part parts[FILES];
  pthread_t threads[FILES];
  state = 1;
  for (int index = 0; index < FILES; index++) {
    parts[index] = (struct part){args[1 + index], atoll(args[0]), new_buffer(MIB)};
  }
  double start = seconds();
  for (int index = 0; index < FILES; index++) {
    if (pthread_create(&threads[index], NULL, write_part, &parts[index]) != 0) die("start", "a thread");
  }
  for (int index = 0; index < FILES; index++) pthread_join(threads[index], NULL);
  double bytes = (double)parts[0].bytes * FILES;
  report("parallel", bytes / MIB, bytes, start);
}

static const struct {
  const char *name;
  int arguments;
  void (*run)(char **args);
} COMMANDS[] = {
    {"write", 4, run_write},        {"read", 1, run_read},
    {"random-read", 3, run_random_read}, {"random-write", 4, run_random_write},
    {"small", 3, run_small},        {"lookup", 2, run_lookup},
    {"copy", 1, run_copy},          {"drop", 1, run_drop},
    {"walk", 1, run_walk},          {"parallel", 4, run_parallel},
};

int main(int count, char **args) {
  for (size_t index = 0; index < sizeof COMMANDS / sizeof *COMMANDS; index++) {
    if (count < 2 || strcmp(args[1], COMMANDS[index].name) != 0) continue;
    if (count - 2 != COMMANDS[index].arguments) break;
    COMMANDS[index].run(args + 2);
    return fflush(stdout) == 0 ? 0 : 1;
  }
  fprintf(stderr, "Cannot run the load: no such command, or a wrong number of arguments\n");
  return 2;
}
