/* Rows of levels, in chunks that the versions of a table share. */
#ifndef SKLEARN_MF_ROWS_H
#define SKLEARN_MF_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* Pointers to chunks, and the number of tables that have this page. */
typedef struct {
    int64_t n_users;
    float *chunks[];
} row_page;

typedef struct {
    float *whole;     /* start of the rows if they are contiguous; NULL if they are in chunks */
    row_page **pages; /* pages of (1 << page_shift) chunks; NULL if rows are contiguous */
    int shift;        /* a chunk has (1 << shift) rows; the last one may have fewer */
    int page_shift;
    int n_columns;
} row_table;

static inline float *row_at(const row_table *table, int32_t row)
{
    if (table->whole)
        return table->whole + (size_t)row * table->n_columns;
    const int32_t chunk = row >> table->shift;
    const row_page *page = table->pages[chunk >> table->page_shift];
    return page->chunks[chunk & ((1 << table->page_shift) - 1)]
           + (size_t)(row & ((1 << table->shift) - 1)) * table->n_columns;
}

#endif
