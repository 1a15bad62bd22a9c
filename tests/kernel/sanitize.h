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

/* A table of zeros: one array, or pages of 2 chunks of 8 rows that are each an array, the last as long as it has rows. */
static inline row_table take_table(int n_rows, int n_columns, int in_chunks)
{
    row_table table = {NULL, NULL, 3, 1, n_columns};
    if (!in_chunks) {
        table.whole = take((size_t)n_rows * n_columns * sizeof(float));
        return table;
    }
    const int n_chunks = (n_rows + 7) / 8, n_pages = (n_chunks + 1) / 2;
    table.pages = take(n_pages * sizeof(row_page *));
    for (int p = 0; p < n_pages; p++)
        table.pages[p] = take(sizeof(row_page) + 2 * sizeof(float *));
    for (int k = 0; k < n_chunks; k++) {
        const int left = n_rows - k * 8;
        table.pages[k / 2]->chunks[k % 2] = take((size_t)(left < 8 ? left : 8) * n_columns * sizeof(float));
    }
    return table;
}

static inline void free_table(row_table *table, int n_rows)
{
    free(table->whole);
    if (!table->pages)
        return;
    for (int p = 0; p * 16 < n_rows; p++) {
        free(table->pages[p]->chunks[0]);
        free(table->pages[p]->chunks[1]);
        free(table->pages[p]);
    }
    free(table->pages);
}

#endif
