/* Random numbers that a seed repeats (splitmix64: a counter and a mixer). */
#ifndef FILE_MODEL_RANDOM_H
#define FILE_MODEL_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
  uint64_t state;
};

static inline uint64_t random_next(struct random *random) {
  uint64_t mixed = random->state += 0x9e3779b97f4a7c15u;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return mixed ^ (mixed >> 31);
}

/* A number from 0 to limit - 1; 0 when limit is 0. */
static inline uint64_t random_below(struct random *random, uint64_t limit) {
  return limit == 0 ? 0 : random_next(random) % limit;
}

/* True once in `of` times. */
static inline bool random_once_in(struct random *random, uint64_t of) {
  return of != 0 && random_next(random) % of == 0;
}

/* Fills `into` with bytes that follow from `seed`. */
void random_fill(unsigned char *into, size_t length, uint64_t seed);

#endif
