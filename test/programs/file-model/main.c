/*
 * Random operations on files beside a model of what they must hold: a difference ends the program
 * with 1 and is printed with the operations that led to it. It works on any file system; on a
 * mount it also has commits made and the cache emptied, through the control API.
 *
 * The last line on stdout is JSON: what was done.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "report.h"
#include "runs.h"

#define PROGRESS_EVERY 10000
#define REPLAY_BYTES 2048

enum { CHECK_FROM = 256 };

static const struct option known[] = {
    {"seed", required_argument, NULL, 's'},        {"ops", required_argument, NULL, 'o'},
    {"size", required_argument, NULL, 'z'},        {"processes", required_argument, NULL, 'p'},
    {"control", required_argument, NULL, 'c'},     {"evict-every", required_argument, NULL, 'e'},
    {"commit-every", required_argument, NULL, 'm'}, {"need-all", no_argument, NULL, 'n'},
    {"replay", no_argument, NULL, 'r'},
    {"check-from", required_argument, NULL, CHECK_FROM},
    {NULL, 0, NULL, 0},
};

static const char usage[] =
    "file-model [options] FOLDER\n"
    "  --seed N          what is drawn follows from it; the time, if not given\n"
    "  --ops N           operations, of all processes together (100000)\n"
    "  --size BYTES      largest size of a file, a multiple of 4096 (262144)\n"
    "  --processes N     N processes on one file, at least 4, instead of one on two\n"
    "  --control SOCKET  the control socket of the mount that has FOLDER\n"
    "  --evict-every N   empties the cache once in N operations\n"
    "  --commit-every N  commits once in N operations\n"
    "  --need-all        what the file system does not know is a failure\n"
    "  --replay          prints every operation\n"
    "  --check-from N    compares everything after each operation, from the N-th on\n";

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void progress(const struct options *options, uint64_t done) {
  if (done % PROGRESS_EVERY != 0 || done >= options->operations) return;
  printf("{\"done\": %lu}\n", done);
  fflush(stdout);
}

static uint64_t number(const char *text) {
  char *end;
  uint64_t value = strtoull(text, &end, 10);
  if (*text != 0 && *end == 0) return value;
  fprintf(stderr, "file-model: \"%s\" is no number\n", text);
  exit(2);
}

/* The command line again, with the seed. */
static const char *replay_of(int count, char **words, uint64_t seed, bool has_seed) {
  static char text[REPLAY_BYTES];
  size_t used = 0;
  for (int at = 0; at < count && used < sizeof text; at++) {
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", at > 0 ? " " : "", words[at]);
  }
  if (!has_seed && used < sizeof text) {
    snprintf(text + used, sizeof text - used, " --seed %lu", seed);
  }
  return text;
}

int main(int count, char **words) {
  struct options options = {.operations = 100000, .limit = 262144, .check_from = UINT64_MAX};
  bool need_all = false, has_seed = false;
  for (int option; (option = getopt_long(count, words, "", known, NULL)) != -1;) {
    switch (option) {
      case 's': options.seed = number(optarg); has_seed = true; break;
      case 'o': options.operations = number(optarg); break;
      case 'z': options.limit = number(optarg); break;
      case 'p': options.processes = (unsigned)number(optarg); break;
      case 'c': options.control = optarg; break;
      case 'e': options.evict_every = (unsigned)number(optarg); break;
      case 'm': options.commit_every = (unsigned)number(optarg); break;
      case 'n': need_all = true; break;
      case 'r': options.replay = true; break;
      case CHECK_FROM: options.check_from = number(optarg); break;
      default: fputs(usage, stderr); return 2;
    }
  }
  bool is_bad = optind != count - 1 || options.limit % 4096 != 0 || options.limit < 65536;
  if (is_bad || (options.processes > 0 && options.processes < 4)) {
    fputs(usage, stderr);
    return 2;
  }
  options.folder = words[optind];
  if (!has_seed) options.seed = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
  report_begin(replay_of(count, words, options.seed, has_seed));
  if (options.replay) report_all();
  double begin = seconds();
  if (options.processes == 0) run_single(&options);
  else run_processes(&options);
  printf("{\"seed\": %lu, \"operations\": %lu, \"seconds\": %.1f", options.seed,
         options.operations, seconds() - begin);
  bool any = print_refused();
  printf("}\n");
  fflush(stdout);
  if (!any || !need_all) return 0;
  fprintf(stderr, "file-model: the file system does not know all operations\n");
  return 1;
}
