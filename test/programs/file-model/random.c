#include "random.h"

#include <string.h>

void random_fill(unsigned char *into, size_t length, uint64_t seed) {
  struct random bytes = {seed};
  for (size_t at = 0; at < length; at += 8) {
    uint64_t word = random_next(&bytes);
    memcpy(into + at, &word, length - at < 8 ? length - at : 8);
  }
}
