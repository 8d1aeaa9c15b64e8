#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT 50
#define TEXT_BYTES 400
#define REFUSED_MAX 32
#define SHOWN_BYTES 16

struct line {
  uint64_t number;
  char text[TEXT_BYTES];
};

static struct line lines[KEPT];
static struct line *now = lines;
static uint64_t begun;
static bool prints_all;
static const char *process_name = "";
static const char *replay_command = "";

static struct {
  const char *operation;
  uint64_t count;
} counts[REFUSED_MAX];

void report_begin(const char *replay) { replay_command = replay; }

void report_name(const char *name) { process_name = name; }

void report_all(void) { prints_all = true; }

void report_operation(uint64_t number) {
  if (prints_all && begun > 0) fprintf(stderr, "%8lu %s\n", now->number, now->text);
  now = &lines[begun++ % KEPT];
  now->number = number;
  now->text[0] = 0;
}

void note(const char *format, ...) {
  size_t used = strlen(now->text);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(now->text + used, TEXT_BYTES - used, format, arguments);
  va_end(arguments);
}

static void print_history(void) {
  fprintf(stderr, "The last operations%s%s:\n", *process_name ? " of " : "", process_name);
  for (uint64_t back = begun < KEPT ? begun : KEPT; back > 0; back--) {
    const struct line *line = &lines[(begun - back) % KEPT];
    fprintf(stderr, "  %8lu %s\n", line->number, line->text);
  }
  fprintf(stderr, "Again with: %s\n", replay_command);
}

void differ(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "DIFFERENCE in operation %lu: ", now->number);
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  va_end(arguments);
  print_history();
  fflush(NULL);
  _exit(1);
}

void failed(const char *call) { differ("%s failed: %s", call, strerror(errno)); }

static void show(const char *who, const unsigned char *bytes, size_t length) {
  fprintf(stderr, "  %s", who);
  for (size_t at = 0; at < length && at < SHOWN_BYTES; at++) fprintf(stderr, " %02x", bytes[at]);
  fprintf(stderr, "\n");
}

void must_equal(const char *what, size_t offset, const unsigned char *got,
                const unsigned char *want, size_t length) {
  if (memcmp(got, want, length) == 0) return;
  size_t first = 0, last = length - 1, count = 0;
  while (got[first] == want[first]) first++;
  while (got[last] == want[last]) last--;
  for (size_t at = first; at <= last; at++) count += got[at] != want[at];
  show("expected", want + first, length - first);
  show("found   ", got + first, length - first);
  differ("%s: byte %zu (0x%zx) differs, %zu bytes up to %zu differ, of %zu read from %zu", what,
         offset + first, offset + first, count, offset + last, length, offset);
}

void refused(const char *operation) {
  for (int at = 0; at < REFUSED_MAX; at++) {
    if (counts[at].operation == NULL) counts[at].operation = operation;
    if (strcmp(counts[at].operation, operation) != 0) continue;
    counts[at].count++;
    note(" (refused)");
    return;
  }
}

bool print_refused(void) {
  bool any = false;
  printf(", \"refused\": {");
  for (int at = 0; at < REFUSED_MAX && counts[at].operation != NULL; at++) {
    printf("%s\"%s\": %lu", at > 0 ? ", " : "", counts[at].operation, counts[at].count);
    // The kernel has no request that would hand a clone to a FUSE file system.
    any = any || strcmp(counts[at].operation, "clone") != 0;
  }
  printf("}");
  return any;
}
