/* Hashing a column of ids: codes in the order of first appearance, and the first row of each code. Plain C. */
#ifndef SKLEARN_MF_HASHING_H
#define SKLEARN_MF_HASHING_H

#include <stddef.h>
#include <stdint.h>

/* a, b and length store a whole id of at most 16 bytes. For a longer id, a and b are a hash of 128 bits. */
typedef struct {
    uint64_t a, b;
    int32_t length;
    int32_t code; /* -1: the slot is free */
} hashing_slot;

typedef struct {
    hashing_slot *slots;
    uint64_t mask;  /* number of slots - 1; the number is a power of two, and at most half of the slots are used */
    int64_t *first; /* first row of each code, with room for half as many codes as slots */
    int64_t n;
} hashing_table;

/* Fills `codes` (n,). Returns 0, -1 if there is not enough memory, or -2 if there are 2^31 levels. Call hashing_free in
 * every case. */
int hashing_integers(ptrdiff_t n, const char *values, ptrdiff_t stride, int32_t *codes, hashing_table *table);

/* The same for the strings data[offsets[i]], ..., data[offsets[i + 1] - 1]. */
int hashing_strings(ptrdiff_t n, const char *data, const int64_t *offsets, int32_t *codes, hashing_table *table);

void hashing_free(hashing_table *table);

/* Sets the secrets of the hashes. Call it once, before any table is made. */
void hashing_seed(uint64_t first, uint64_t second);

/* The hash of an integer id. Also used to spread another hash over the slots of a table. */
uint64_t hashing_of_integer(uint64_t x);

#endif
