#include "records.h"

#include <stdio.h>
#include <string.h>

#include "report.h"

#define PAGE 4096u
#define VERSIONS_AT_ONCE_MAX 64u

static size_t draw_length(struct random *random, size_t offset) {
  switch (random_below(random, 8)) {
    case 0: case 1: return 1 + random_below(random, 100);
    case 2: return 512;
    case 3: return 1 + random_below(random, 6000);
    case 4: return PAGE - offset % PAGE; /* Up to a border, so that whole pages can follow. */
    case 5: return 1 + random_below(random, RECORD_BYTES_MAX);
    default: return PAGE * (1 + random_below(random, 4));
  }
}

void board_draw(struct board *board, struct random *random, size_t length, unsigned first,
                unsigned last) {
  // Short enough that everybody gets some of a short file.
  size_t most = length / 16 < 2 * PAGE ? 2 * PAGE : length / 16;
  while (board->count < RECORDS_MAX && board->end < length) {
    struct record *record = &board->records[board->count];
    size_t drawn = draw_length(random, board->end);
    record->offset = board->end;
    record->length = drawn < most ? drawn : most;
    record->owner = first + (unsigned)(board->count++ % (last - first + 1));
    board->end += record->length;
  }
}

bool version_is_zeros(uint32_t version) { return version % 16 == 0; }

void record_content(const struct board *board, size_t number, uint32_t version,
                    unsigned char *into) {
  size_t length = board->records[number].length;
  if (version_is_zeros(version)) memset(into, 0, length);
  else random_fill(into, length, ((uint64_t)number << 32) + version);
}

bool record_has_own_pages(const struct record *record) {
  return record->offset % PAGE == 0 && record->length % PAGE == 0;
}

static bool touches(const struct record *record, size_t offset, size_t length) {
  return record->offset < offset + length && offset < record->offset + record->length;
}

void board_before(const struct board *board, size_t offset, size_t length, uint32_t *done) {
  for (size_t at = 0; at < board->count; at++) {
    if (touches(&board->records[at], offset, length)) done[at] = board->records[at].done;
  }
}

/* The part of a record that was read. */
struct seen {
  const char *what;
  size_t number;
  size_t skip; /* Bytes of the record before the part. */
  const unsigned char *got;
  size_t length;
};

static void check_record(const struct board *board, struct seen seen, uint32_t done) {
  static unsigned char want[RECORD_BYTES_MAX];
  static bool right[RECORD_BYTES_MAX];
  const struct record *record = &board->records[seen.number];
  uint32_t begun = record->begun;
  // So many versions within one read would say little about any of them.
  if (begun - done > VERSIONS_AT_ONCE_MAX) return;
  size_t offset = record->offset + seen.skip;
  if (begun == done) {
    char what[160];
    snprintf(what, sizeof what, "%s, record %zu of process %u, version %u", seen.what,
             seen.number, record->owner, done);
    record_content(board, seen.number, done, want);
    must_equal(what, offset, seen.got, want + seen.skip, seen.length);
    return;
  }
  memset(right, 0, seen.length);
  for (uint32_t version = done; version <= begun; version++) {
    record_content(board, seen.number, version, want);
    for (size_t at = 0; at < seen.length; at++) {
      right[at] = right[at] || seen.got[at] == want[seen.skip + at];
    }
  }
  for (size_t at = 0; at < seen.length; at++) {
    if (right[at]) continue;
    differ("%s: byte %zu, in record %zu of process %u, is of none of the versions %u to %u",
           seen.what, offset + at, seen.number, record->owner, done, begun);
  }
}

void board_check(const struct board *board, const char *what, size_t offset,
                 const unsigned char *got, size_t length, const uint32_t *done) {
  for (size_t at = 0; at < board->count; at++) {
    const struct record *record = &board->records[at];
    if (!touches(record, offset, length)) continue;
    size_t from = record->offset > offset ? record->offset : offset;
    size_t record_end = record->offset + record->length, end = offset + length;
    size_t to = record_end < end ? record_end : end;
    struct seen seen = {what, at, from - record->offset, got + (from - offset), to - from};
    check_record(board, seen, done[at]);
  }
}
