/* Hashing a column of ids: codes in the order of first appearance, and the row where each was first. Plain C. */
#ifndef SKLEARN_MF_HASHING_H
#define SKLEARN_MF_HASHING_H

#include <stddef.h>
#include <stdint.h>

/* An id of at most 16 bytes is wholly in a, b and length; of a longer one, a and b are a hash of 128 bits. */
typedef struct {
    uint64_t a, b;
    int32_t length;
    int32_t code; /* -1: the slot is free */
} hashing_slot;

typedef struct {
    hashing_slot *slots;
    uint64_t mask;  /* number of slots - 1, a power of two - 1; at most half are taken */
    int64_t *first; /* row where each code came first, room for half as many as there are slots */
    int64_t n;
} hashing_table;

/* Fills `codes` (n,); returns 0, or -1 without memory, -2 with 2^31 levels. hashing_free is due in every case. */
int hashing_integers(ptrdiff_t n, const char *values, ptrdiff_t stride, int32_t *codes, hashing_table *table);

/* The same for the strings data[offsets[i]], ..., data[offsets[i + 1] - 1]. */
int hashing_strings(ptrdiff_t n, const char *data, const int64_t *offsets, int32_t *codes, hashing_table *table);

void hashing_free(hashing_table *table);

/* Sets the secrets of the hashes; to be called once, before any table is made. */
void hashing_seed(uint64_t first, uint64_t second);

/* The hash of an id that is an integer, or of a hash that is to be spread over the slots of a table. */
uint64_t hashing_of_integer(uint64_t x);

#endif
