/* The best of many scores, row by row, a tile of columns at a time: plain C, no Python, no threads, no allocation.
 *
 * Of a score that is not known exactly there are bounds. Every column whose upper bound is above (k-th best lower bound -
 * margin) is kept: the k best by true value are among them. A row keeps them in a buffer. When the buffer is full,
 * columns below the limit are dropped. If too many columns are near the k-th best for the buffer, the row is marked,
 * and the caller must handle it.
 */
#ifndef SKLEARN_MF_SELECT_H
#define SKLEARN_MF_SELECT_H

#include <stddef.h>
#include <stdint.h>

enum {
    SELECT_TOO_MANY = -1, /* the count of a row whose buffer was too small */
    SELECT_RUN = 64,      /* columns that are compared with the limit at once */
    SELECT_FEW = 16       /* columns wanted whose bounds are kept in order */
};

typedef struct {
    float upper, lower; /* bounds of the score */
    int32_t column;
} select_entry;

typedef struct {
    int k;                       /* how many are wanted, at least 1 */
    int room;                    /* entries that a row's buffer holds, more than k */
    const float *margin;         /* IN    (n_rows,), at least 0: what bounds may be off by, twice */
    const int32_t *exclude;      /* IN    columns to leave out, of row r those from exclude_next[r] to exclude_stop[r], */
    int64_t *exclude_next;       /* INOUT (n_rows,)                                                       in rising order */
    const int64_t *exclude_stop; /* IN    (n_rows,) */
    float *limit;                /* INOUT (n_rows,): upper bounds must be above it; -infinity at first */
    int32_t *count;              /* INOUT (n_rows,): entries in the buffer, or SELECT_TOO_MANY; 0 at first */
    int32_t *full;               /* INOUT (n_rows,): entries that make room, at most `room`; 2 k at first */
    float *best;                 /* INOUT (n_rows, k): the best lower bounds, -infinity at first; of up to SELECT_FEW */
    select_entry *buffer;        /* INOUT (n_rows, room) */
} select_state;

/* Offers to row r the columns first + j of the bits j of `above`: their upper bounds are upper[j], their lower ones
 * upper[j] - width unit[j]; `unit` may be NULL where they are the same. Columns come in rising order. */
void select_offer(const select_state *state, ptrdiff_t r, int32_t first, uint64_t above, const float *upper, float width,
                  const float *unit);

/* Takes in the scores (n_rows, n_columns) of the columns from `first` on. */
void select_tile(const select_state *state, ptrdiff_t n_rows, ptrdiff_t n_columns, int32_t first, const float *scores);

/* Drops what is below the limits, after the last tile. Returns how many entries all rows keep. */
ptrdiff_t select_finish(const select_state *state, ptrdiff_t n_rows);

typedef struct {
    double value;
    int32_t column;
} select_exact;

/* The k best of each row's columns, best first, of equal ones the lower column: row r has those from start[r] to
 * start[r + 1]. Where there are fewer, the rest of a row of the outputs keeps its fill. `scratch` holds a row. */
void select_best(ptrdiff_t n_rows, int k, const int64_t *start, const int32_t *column, const double *value,
                 select_exact *scratch, int32_t *columns_out, double *values_out);

#endif
