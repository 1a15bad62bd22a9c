/* Fetch rows into the cache before they are needed, because their first use would wait for the L3 cache or memory. */
#ifndef SKLEARN_MF_PREFETCH_H
#define SKLEARN_MF_PREFETCH_H

#include <stddef.h>

#include "inline.h"

#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(address) __builtin_prefetch(address, 1)
#else
#define PREFETCH(address) ((void)0)
#endif

#define AHEAD 12 /* rows are fetched so many ratings ahead */
#define CACHE_LINE 64

INLINE void prefetch_row(const float *row, int width)
{
    const char *line = (const char *)row;
    for (ptrdiff_t at = 0; at < (ptrdiff_t)(width * sizeof(float)) && at < 8 * CACHE_LINE; at += CACHE_LINE)
        PREFETCH(line + at);
}

#endif
