/*
 * Several processes on one file: process 0 works behind all records, process 1 writes its records
 * through a mapping, process 2 only reads, all others write theirs through descriptors.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"
#include "roles.h"

#define PROCESSES_MAX 64
#define TAIL_BYTES (16 * PAGE)
#define LOOK_EVERY_US 20000

static void (*step_of(unsigned number))(struct role *) {
  static void (*const steps[])(struct role *) = {role_tail_step, role_mapper_step,
                                                 role_reader_step};
  return number < 3 ? steps[number] : role_writer_step;
}

static struct board *share_board(void) {
  void *memory = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) failed("mmap");
  return memory;
}

static struct role role_new(const struct options *options, struct board *board, unsigned number) {
  size_t limit = ((board->end + PAGE - 1) & ~(PAGE - 1)) + TAIL_BYTES;
  struct role role = {.options = options, .board = board, .number = number};
  role.random.state = options->seed * 1009 + number;
  role.file = file_new(limit);
  role.file->size = board->end;
  snprintf(role.file->path, PATH_BYTES, "%s/records", options->folder);
  void *scratch = NULL;
  if (posix_memalign(&scratch, PAGE, limit + RECORD_BYTES_MAX + 2 * PAGE) != 0) {
    failed("posix_memalign");
  }
  role.scratch = scratch;
  return role;
}

/* Written from front to end and closed: a file system may take it for one that is only read. */
static void create(const char *path, size_t size) {
  static const unsigned char zeros[16 * PAGE];
  unlink(path);
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) failed("open(O_CREAT)");
  for (size_t at = 0; at < size;) {
    size_t part = size - at < sizeof zeros ? size - at : sizeof zeros;
    if (write(fd, zeros, part) != (ssize_t)part) failed("write");
    at += part;
  }
  close(fd);
}

static void work(const struct options *options, struct board *board, unsigned number) {
  static const char *const names[] = {"the tail", "the mapper", "the reader", "a writer"};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct role role = role_new(options, board, number);
  report_name(names[number < 3 ? number : 3]);
  void (*step)(struct role *) = step_of(number);
  uint64_t count = options->operations / options->processes;
  for (uint64_t at = 0; at < count; at++) {
    report_operation(at);
    step(&role);
    board->operations++;
  }
  file_free(role.file);
}

/* Waits for all; when one finds a difference, or is killed, the others end as well. */
static void wait_for(const struct options *options, struct board *board, pid_t *processes) {
  uint64_t told = 0;
  for (unsigned left = options->processes; left > 0;) {
    int status;
    pid_t ended = waitpid(-1, &status, WNOHANG);
    if (ended < 0) failed("waitpid");
    if (ended == 0) {
      usleep(LOOK_EVERY_US);
      uint64_t done = board->operations / 10000 * 10000;
      if (done > told) progress(options, told = done);
      continue;
    }
    left--;
    bool is_right = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    for (unsigned at = 0; at < options->processes; at++) {
      if (processes[at] == ended) processes[at] = 0;
      else if (!is_right && processes[at] != 0) kill(processes[at], SIGKILL);
    }
    if (is_right) continue;
    if (WIFSIGNALED(status)) fprintf(stderr, "a process died of signal %d\n", WTERMSIG(status));
    _exit(1);
  }
}

/*
 * The reader owns nothing. The mapper owns nothing in the page where the records end: the kernel
 * may send that page while a write makes the file longer, and put zeros behind the old end then
 * (Linux 6.17 and later, on every FUSE file system).
 */
static void give_away(struct board *board) {
  size_t last_page = board->end & ~(PAGE - 1);
  for (size_t at = 0; at < board->count; at++) {
    struct record *record = &board->records[at];
    if (record->owner == 2) record->owner = at % 2 == 0 ? 1 : 3;
    if (record->offset + record->length > last_page && record->owner == 1) record->owner = 3;
  }
}

void run_processes(const struct options *options) {
  if (options->processes > PROCESSES_MAX) differ("at most %d processes", PROCESSES_MAX);
  struct board *board = share_board();
  struct random random = {options->seed};
  board_draw(board, &random, options->limit, 1, options->processes - 1);
  give_away(board);
  struct role role = role_new(options, board, 0);
  create(role.file->path, board->end);
  // It stays open to read beside all that follow.
  report_operation(0);
  file_open(role.file, &role.random, O_RDONLY);
  pid_t processes[PROCESSES_MAX];
  fflush(NULL);
  for (unsigned number = 0; number < options->processes; number++) {
    processes[number] = fork();
    if (processes[number] < 0) failed("fork");
    if (processes[number] > 0) continue;
    work(options, board, number);
    _exit(0);
  }
  wait_for(options, board, processes);
  report_operation(options->operations);
  role_check_all(&role);
  for (uint64_t count = board->refused; count > 0; count--) refused("punch");
  file_free(role.file);
}
