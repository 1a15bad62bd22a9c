/* Rows of levels, in chunks that the snapshots of a model share. */
#ifndef SKLEARN_MF_ROWS_H
#define SKLEARN_MF_ROWS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    float *whole;   /* where all rows follow each other; NULL where they are in chunks of several arrays */
    float **chunks; /* of (1 << shift) rows each; the last may end earlier */
    int shift;
    int n_columns;
} row_table;

static inline float *row_at(const row_table *table, int32_t row)
{
    if (table->whole)
        return table->whole + (size_t)row * table->n_columns;
    return table->chunks[row >> table->shift] + (size_t)(row & ((1 << table->shift) - 1)) * table->n_columns;
}

#endif
