/*
 * What a run did last, and how it ends when something differs. A process keeps its last operations
 * as text, so that a difference is printed with what led to it.
 */
#ifndef FILE_MODEL_REPORT_H
#define FILE_MODEL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The command that repeats the run, to be printed with a difference. */
void report_begin(const char *replay);

/* Names this process among several. */
void report_name(const char *name);

/* Every operation is printed when it begins. */
void report_all(void);

/* Operation `number` begins; its text is the following note. */
void report_operation(uint64_t number);

/* Appends to the text of the operation. */
__attribute__((format(printf, 1, 2))) void note(const char *format, ...);

/* Something differs: prints all that is known, ends the process with 1. */
__attribute__((format(printf, 1, 2), noreturn)) void differ(const char *format, ...);

/* A call that must not fail did: as differ(), with errno. */
__attribute__((noreturn)) void failed(const char *call);

/* Ends the process when `got` is not what `want` says the bytes from `offset` on are. */
void must_equal(const char *what, size_t offset, const unsigned char *got,
                const unsigned char *want, size_t length);

/* Counts an operation that the file system does not know. */
void refused(const char *operation);

/* Prints ', "refused": {...}', and says whether there are any, not counting clones. */
bool print_refused(void);

#endif
