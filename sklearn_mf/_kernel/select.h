/* The best of many scores, row by row, one tile of columns at a time. Plain C: no Python, no threads, no allocation.
 *
 * If a score is not known exactly, it has a lower and an upper bound. A row keeps every column whose upper bound is above
 * its limit, (k-th best lower bound - margin). So it keeps the k best columns by true score. A row keeps its columns in a
 * buffer. When the buffer is full, columns below the limit are dropped. If too many columns are near the k-th best, the row
 * is marked, and the caller must handle it.
 */
#ifndef SKLEARN_MF_SELECT_H
#define SKLEARN_MF_SELECT_H

#include <stddef.h>
#include <stdint.h>

enum {
    SELECT_TOO_MANY = -1, /* the count of a row whose buffer was too small */
    SELECT_RUN = 64,      /* columns that are compared with the limit at once */
    SELECT_FEW = 16       /* with at most so many wanted columns, the best lower bounds are kept sorted */
};

typedef struct {
    float upper, lower; /* bounds of the score */
    int32_t column;
} select_entry;

typedef struct {
    int k;                       /* number of wanted columns, at least 1 */
    int room;                    /* entries in the buffer of a row, more than k */
    const float *margin;         /* IN    (n_rows,), at least 0: twice the largest error of a bound */
    const int32_t *exclude;      /* IN    columns to leave out: for row r from exclude_next[r] to exclude_stop[r], */
    int64_t *exclude_next;       /* INOUT (n_rows,)                                                in rising order */
    const int64_t *exclude_stop; /* IN    (n_rows,) */
    float *limit;                /* INOUT (n_rows,): kept upper bounds are above it; -infinity at first */
    int32_t *count;              /* INOUT (n_rows,): entries in the buffer, or SELECT_TOO_MANY; 0 at first */
    int32_t *full;               /* INOUT (n_rows,): entries at which columns are dropped, at most `room`; 2 k at first */
    float *best;                 /* INOUT (n_rows, k): the best lower bounds, -infinity at first; only if k <= SELECT_FEW */
    select_entry *buffer;        /* INOUT (n_rows, room) */
} select_state;

/* Offers to row r the columns first + j for each bit j of `above`. Their upper bounds are upper[j], and their lower bounds
 * upper[j] - width unit[j]. If both are the same, `unit` may be NULL. Columns must arrive in rising order. */
void select_offer(const select_state *state, ptrdiff_t r, int32_t first, uint64_t above, const float *upper, float width,
                  const float *unit);

/* Adds the scores (n_rows, n_columns) of the columns from `first` on. */
void select_tile(const select_state *state, ptrdiff_t n_rows, ptrdiff_t n_columns, int32_t first, const float *scores);

/* Drops columns below the limits, after the last tile. Returns the number of entries that all rows keep. */
ptrdiff_t select_finish(const select_state *state, ptrdiff_t n_rows);

typedef struct {
    double value;
    int32_t column;
} select_exact;

/* Finds the k best columns of each row, best first. Of equal values, the lower column comes first. Row r has the columns
 * from start[r] to start[r + 1]. If it has fewer than k, the rest of its outputs is not changed. `scratch` has room for
 * the longest row. */
void select_best(ptrdiff_t n_rows, int k, const int64_t *start, const int32_t *column, const double *value,
                 select_exact *scratch, int32_t *columns_out, double *values_out);

#endif
