/* The best of many scores, row by row, a tile of columns at a time: plain C, no Python, no threads, no allocation.
 *
 * Scores may be off by up to half the row's `margin`, so every column whose score is above (k-th best - margin) is kept:
 * the k best by true value are among them. A row keeps them in a buffer; when that is full, what is below the limit goes.
 * A row with more columns near its k-th best than its buffer has room for is marked, and left to the caller.
 */
#ifndef SKLEARN_MF_SELECT_H
#define SKLEARN_MF_SELECT_H

#include <stddef.h>
#include <stdint.h>

enum { SELECT_TOO_MANY = -1 }; /* the count of a row whose buffer was too small */

typedef struct {
    float score;
    int32_t column;
} select_entry;

typedef struct {
    int k;                /* how many are wanted, at least 1 */
    int room;             /* entries that a row's buffer holds, more than k */
    const float *margin;  /* IN    (n_rows,), at least 0 */
    float *limit;         /* INOUT (n_rows,): scores must be above it; -infinity at first */
    int32_t *count;       /* INOUT (n_rows,): entries in the buffer, or SELECT_TOO_MANY; 0 at first */
    select_entry *buffer; /* INOUT (n_rows, room) */
} select_state;

/* Takes in the scores (n_rows, n_columns) of the columns from `first` on. */
void select_tile(const select_state *state, ptrdiff_t n_rows, ptrdiff_t n_columns, int32_t first, const float *scores);

/* Drops what is below the limit; to be called once, after the last tile. */
void select_finish(const select_state *state, ptrdiff_t n_rows);

typedef struct {
    double value;
    int32_t column;
} select_exact;

/* The k best of each row's columns, best first, of equal ones the lower column: row r has those from start[r] to
 * start[r + 1]. Where there are fewer, the rest of a row of the outputs keeps its fill. `scratch` holds a row. */
void select_best(ptrdiff_t n_rows, int k, const int64_t *start, const int32_t *column, const double *value,
                 select_exact *scratch, int32_t *columns_out, double *values_out);

#endif
