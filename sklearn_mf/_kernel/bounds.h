/* The largest index of each field, to check that all indices are in range before C uses them. */
#ifndef SKLEARN_MF_BOUNDS_H
#define SKLEARN_MF_BOUNDS_H

#include <stddef.h>
#include <stdint.h>

/* largest[f] = the largest index[r, f] + shift over `n` ratings r. As unsigned numbers, negative sums are larger than
 * all others. */
static inline void bounds_of_index(ptrdiff_t n, int n_fields, const int32_t *index, int32_t shift, uint32_t *largest)
{
    for (int f = 0; f < n_fields; f++)
        largest[f] = 0;
    if (n_fields == 2) { /* eight numbers at a time, four of each field */
        uint32_t at[8] = {0};
        ptrdiff_t i = 0;
        for (; i + 4 <= n; i += 4)
            for (int j = 0; j < 8; j++) {
                const uint32_t x = (uint32_t)index[2 * i + j] + (uint32_t)shift;
                at[j] = x > at[j] ? x : at[j];
            }
        for (; i < n; i++)
            for (int j = 0; j < 2; j++) {
                const uint32_t x = (uint32_t)index[2 * i + j] + (uint32_t)shift;
                at[j] = x > at[j] ? x : at[j];
            }
        for (int j = 0; j < 8; j++)
            largest[j % 2] = at[j] > largest[j % 2] ? at[j] : largest[j % 2];
        return;
    }
    for (ptrdiff_t i = 0; i < n; i++)
        for (int f = 0; f < n_fields; f++) {
            const uint32_t x = (uint32_t)index[i * n_fields + f] + (uint32_t)shift;
            largest[f] = x > largest[f] ? x : largest[f];
        }
}

#endif
