/*
 * Records of one file, each with an owner that alone writes it. What a record holds follows from
 * its number and its version, so that every process can tell which versions it has before it.
 *
 * A writer sets `begun` before and `done` after a write. A read that begins when version d is done
 * and ends when version b is begun sees, in each byte, one of the versions d to b.
 */
#ifndef FILE_MODEL_RECORDS_H
#define FILE_MODEL_RECORDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "random.h"

#define RECORDS_MAX 512
#define RECORD_BYTES_MAX 32768u

struct record {
  size_t offset;
  size_t length;
  unsigned owner;
  _Atomic uint32_t begun;
  _Atomic uint32_t done;
};

/* In memory that all processes share. */
struct board {
  size_t count;
  size_t end; /* Where the records end. */
  _Atomic uint64_t operations;
  _Atomic uint64_t refused;
  struct record records[RECORDS_MAX];
};

/* Cuts about `length` bytes into records of many sizes, for owners `first` to `last` in turn. */
void board_draw(struct board *board, struct random *random, size_t length, unsigned first,
                unsigned last);

/* Every sixteenth version is nothing but zeros: a hole may stand for it. */
bool version_is_zeros(uint32_t version);
void record_content(const struct board *board, size_t number, uint32_t version,
                    unsigned char *into);

/* Whether the record shares no page with another one. */
bool record_has_own_pages(const struct record *record);

/* What is done before a read of [offset, offset + length), for board_check(). */
void board_before(const struct board *board, size_t offset, size_t length, uint32_t *done);

/* Compares what was read with the versions that it may show. */
void board_check(const struct board *board, const char *what, size_t offset,
                 const unsigned char *got, size_t length, const uint32_t *done);

#endif
