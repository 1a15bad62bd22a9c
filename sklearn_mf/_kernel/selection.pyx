"""The typed boundary to select.c: the best of many scores. The functions release the GIL and fill what they are given."""

from libc.math cimport INFINITY
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc


cdef extern from "select.h" nogil:
    int SELECT_TOO_MANY

    ctypedef struct select_entry:
        float score
        int32_t column

    ctypedef struct select_exact:
        double value
        int32_t column

    ctypedef struct select_state:
        int k
        int room
        const float *margin
        float *limit
        int32_t *count
        select_entry *buffer

    void select_tile(const select_state *state, ptrdiff_t n_rows, ptrdiff_t n_columns, int32_t first,
                     const float *scores)
    void select_finish(const select_state *state, ptrdiff_t n_rows)
    void select_best(ptrdiff_t n_rows, int k, const int64_t *start, const int32_t *column, const double *value,
                     select_exact *scratch, int32_t *columns_out, double *values_out)


TOO_MANY = SELECT_TOO_MANY  # the count of a row with more columns near its best than there was room for


cdef select_state state_of(int k, const float[::1] margin, float[::1] limit, int32_t[::1] count, int32_t[:, ::1] buffer):
    cdef select_state state
    state.k, state.room = k, buffer.shape[1] // 2
    state.margin, state.limit, state.count = &margin[0], &limit[0], &count[0]
    state.buffer = <select_entry *>&buffer[0, 0]
    return state


def take_tile(
    float[:, ::1] scores,               # INOUT (n_rows, n_columns), n_rows >= 1; those excluded become -infinity
    int first,                          # column of the first score
    const int64_t[::1] exclude_stop,    # IN    (n_rows,): where a row's part of `exclude` ends
    const int32_t[::1] exclude,         # IN    columns to leave out, in order within a row
    int64_t[::1] exclude_next,          # INOUT (n_rows,): place of the next one of each row
    int k,                              # how many are wanted
    const float[::1] margin,            # IN    (n_rows,): twice what a score may be off by
    float[::1] limit,                   # INOUT (n_rows,): -infinity at first
    int32_t[::1] count,                 # INOUT (n_rows,): 0 at first
    int32_t[:, ::1] buffer,             # INOUT (n_rows, 2 room), room > k: pairs of score and column
):
    """Take in the scores of the columns from ``first`` on; tiles come in order."""
    cdef ptrdiff_t n_rows = scores.shape[0], n_columns = scores.shape[1], r
    cdef int64_t e
    cdef select_state state = state_of(k, margin, limit, count, buffer)
    with nogil:
        for r in range(n_rows):
            e = exclude_next[r]
            while e < exclude_stop[r] and exclude[e] < first + n_columns:
                scores[r, exclude[e] - first] = -INFINITY
                e += 1
            exclude_next[r] = e
        select_tile(&state, n_rows, n_columns, first, &scores[0, 0])


def finish(int k, const float[::1] margin, float[::1] limit, int32_t[::1] count, int32_t[:, ::1] buffer):
    """After the last tile: drop what is below the limit."""
    cdef select_state state = state_of(k, margin, limit, count, buffer)
    with nogil:
        select_finish(&state, count.shape[0])


def best(
    int k,
    const int64_t[::1] start,           # IN    (n_rows + 1,): a row's part of the next two
    const int32_t[::1] column,          # IN    (n,)
    const double[::1] value,            # IN    (n,)
    int32_t[:, ::1] columns_out,        # INOUT (n_rows, k), filled by the caller
    double[:, ::1] values_out,          # INOUT (n_rows, k), filled by the caller
):
    """The k best of each row, best first, of equal ones the lower column."""
    cdef ptrdiff_t n_rows = columns_out.shape[0], longest = 1, r
    for r in range(n_rows):
        longest = max(longest, start[r + 1] - start[r])
    cdef select_exact *scratch = <select_exact *>malloc(longest * sizeof(select_exact))
    if scratch is NULL:
        raise MemoryError
    if start[n_rows] > start[0]:
        with nogil:
            select_best(n_rows, k, &start[0], &column[0], &value[0], scratch, &columns_out[0, 0], &values_out[0, 0])
    free(scratch)
