/* Measures a FUSE mount from outside: bench-client FOLDER. Prints one line a measurement. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LARGE (1 << 20)
#define SMALL 4096
#define FILE_BYTES (256L << 20)
#define COUNT 100000

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void check(int ok, const char *what)
{
  if (!ok) {
    perror(what);
    exit(1);
  }
}

/* A fixed sequence of blocks, the same in each run. */
static off_t any_block(void)
{
  return (off_t)(rand() % (FILE_BYTES / SMALL)) * SMALL;
}

static void write_all(int fd, const char *buffer)
{
  for (off_t at = 0; at < FILE_BYTES; at += LARGE)
    check(pwrite(fd, buffer, LARGE, at) == LARGE, "pwrite");
}

int main(int argc, char **argv)
{
  char path[4096];
  char *buffer;
  struct stat st;
  double start;

  check(argc == 2, "usage: bench-client FOLDER");
  check(posix_memalign((void **)&buffer, SMALL, LARGE) == 0, "posix_memalign");
  memset(buffer, 7, LARGE);

  start = now();
  for (int i = 0; i < COUNT; i++) {
    snprintf(path, sizeof path, "%s/absent-%d-%d", argv[1], getpid(), i);
    check(stat(path, &st) == -1, "stat of a name that is not there");
  }
  printf("failed lookups            %8.0f /s\n", COUNT / (now() - start));

  snprintf(path, sizeof path, "%s/bench-file", argv[1]);
  int fd = open(path, O_RDWR | O_CREAT, 0644);
  check(fd >= 0, path);
  write_all(fd, buffer); /* makes the file as long as it gets */
  start = now();
  write_all(fd, buffer);
  printf("1 MiB pwrite              %8.2f GB/s\n", FILE_BYTES / (now() - start) / 1e9);
  start = now();
  for (int i = 0; i < COUNT; i++) check(pwrite(fd, buffer, SMALL, any_block()) == SMALL, "pwrite");
  printf("4 KiB pwrite              %8.0f /s\n", COUNT / (now() - start));
  close(fd);

  fd = open(path, O_RDONLY | O_DIRECT);
  check(fd >= 0, path);
  start = now();
  for (int i = 0; i < COUNT; i++) check(pread(fd, buffer, SMALL, any_block()) == SMALL, "pread");
  printf("4 KiB pread, O_DIRECT     %8.0f /s\n", COUNT / (now() - start));
  start = now();
  for (off_t at = 0; at < FILE_BYTES; at += LARGE)
    check(pread(fd, buffer, LARGE, at) == LARGE, "pread");
  printf("1 MiB pread, O_DIRECT     %8.2f GB/s\n", FILE_BYTES / (now() - start) / 1e9);
  close(fd);

  start = now();
  for (int i = 0; i < COUNT / 10; i++) {
    snprintf(path, sizeof path, "%s/new-%d-%d", argv[1], getpid(), i);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    check(fd >= 0 && write(fd, buffer, SMALL) == SMALL && close(fd) == 0, path);
  }
  printf("create, write 4 KiB, close%8.0f /s\n", COUNT / 10 / (now() - start));
  return 0;
}
