/* What the programs of tests/kernel/sanitize.sh share: heap arrays of the exact size, and tables of rows made of them. */
#ifndef SANITIZE_H
#define SANITIZE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

static unsigned state = 1;

static inline unsigned draw(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static inline void *take(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory)
        abort();
    memset(memory, 0, size);
    return memory;
}

static inline void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* A table of zeros: one array, or chunks of 8 rows that are each an array, the last as long as it has rows. */
static inline row_table take_table(int n_rows, int n_columns, int in_chunks)
{
    row_table table = {NULL, NULL, in_chunks ? 3 : 20, n_columns};
    const int n_chunk = 1 << table.shift, n_chunks = (n_rows + n_chunk - 1) / n_chunk;
    table.chunks = take(n_chunks * sizeof(float *));
    for (int k = 0; k < n_chunks; k++) {
        const int left = n_rows - k * n_chunk;
        table.chunks[k] = take((size_t)(left < n_chunk ? left : n_chunk) * n_columns * sizeof(float));
    }
    if (!in_chunks && n_rows)
        table.whole = table.chunks[0];
    return table;
}

static inline void free_table(row_table *table, int n_rows)
{
    for (int k = 0; k << table->shift < n_rows; k++)
        free(table->chunks[k]);
    free(table->chunks);
}

#endif
