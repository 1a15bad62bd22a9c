"""Hold the typed boundary to select.c: the best of many scores, without the GIL."""

import numpy as np

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


cdef class TileSelector:
    """Keep the columns that may be among the k best of each row, from scores that come a tile of columns at a time.

    Parameters
    ----------
    k : int
        How many are wanted, at least 1.

    margin : float32 array (n_rows,)
        Twice what a score of the row may be off by.

    excluded : Excluded
        Columns to leave out: for row r ``place[start[r]:stop[r]]``, in rising order.

    n_slack : int
        Room for columns near the k-th best, beyond 2 k.
    """

    cdef int k, room
    cdef const float[::1] margin
    cdef const int64_t[::1] exclude_stop
    cdef const int32_t[::1] exclude
    cdef int64_t[::1] exclude_next
    cdef float[::1] limit
    cdef int32_t[::1] n_kept
    cdef int32_t[:, ::1] buffer  # (n_rows, 2 room): pairs of score and column
    cdef int next_column

    def __init__(self, int k, const float[::1] margin, excluded, int n_slack):
        n_rows, n_excluded = margin.shape[0], len(excluded.place)
        start, stop = excluded.start, excluded.stop
        if not (k >= 1 and n_slack >= 1 and n_rows >= 1 and len(start) == len(stop) == n_rows):
            raise ValueError("k, margin, excluded or n_slack do not fit.")
        if not (0 <= start.min() and (start <= stop).all() and stop.max() <= n_excluded):
            raise IndexError(f"A row of excluded is beyond its {n_excluded} places.")
        self.k, self.room, self.margin = k, 2 * k + n_slack, margin
        self.exclude, self.exclude_stop, self.exclude_next = excluded.place, stop, np.array(start, dtype=np.int64)
        self.limit = np.full(n_rows, -np.inf, dtype=np.float32)
        self.n_kept = np.zeros(n_rows, dtype=np.int32)
        self.buffer = np.empty((n_rows, 2 * self.room), dtype=np.int32)
        self.next_column = 0

    cdef select_state _state(self) noexcept:
        cdef select_state state
        state.k, state.room = self.k, self.room
        state.margin, state.limit, state.count = &self.margin[0], &self.limit[0], &self.n_kept[0]
        state.buffer = <select_entry *>&self.buffer[0, 0]
        return state

    def take(self, float[:, ::1] scores):
        """Take in the scores of the next columns; those that are excluded become -infinity."""
        cdef ptrdiff_t n_rows = scores.shape[0], n_columns = scores.shape[1], r
        cdef int first = self.next_column
        cdef int64_t e
        if n_rows != self.margin.shape[0]:
            raise ValueError(f"scores have {n_rows} rows, not {self.margin.shape[0]}.")
        if n_columns == 0:
            return
        cdef select_state state = self._state()
        with nogil:
            for r in range(n_rows):
                e = self.exclude_next[r]
                while e < self.exclude_stop[r] and self.exclude[e] < first + n_columns:
                    if self.exclude[e] >= first:
                        scores[r, self.exclude[e] - first] = -INFINITY
                    e += 1
                self.exclude_next[r] = e
            select_tile(&state, n_rows, n_columns, first, &scores[0, 0])
        self.next_column = first + n_columns

    def finish(self):
        """Give the columns that are kept of each row, a list of int32 arrays; None of a row that has too many."""
        cdef select_state state = self._state()
        with nogil:
            select_finish(&state, self.margin.shape[0])
        columns, counts = np.asarray(self.buffer)[:, 1::2], np.asarray(self.n_kept).tolist()
        return [None if n == SELECT_TOO_MANY else columns[r, :n] for r, n in enumerate(counts)]


def best(
    int k,
    const int64_t[::1] start,           # IN    (n_rows + 1,): a row's part of the next two
    const int32_t[::1] column,          # IN    (n,)
    const double[::1] value,            # IN    (n,)
    int32_t[:, ::1] columns_out,        # INOUT (n_rows, k), filled by the caller
    double[:, ::1] values_out,          # INOUT (n_rows, k), filled by the caller
):
    """Find the k best of each row, best first, of equal ones the lower column."""
    cdef ptrdiff_t n_rows = columns_out.shape[0], longest = 1, n = column.shape[0], r
    if not (start.shape[0] == n_rows + 1 == values_out.shape[0] + 1 and n == value.shape[0]):
        raise ValueError("start, column, value and the outputs do not fit each other.")
    if columns_out.shape[1] != k or values_out.shape[1] != k:
        raise ValueError(f"The outputs do not have {k} columns.")
    for r in range(n_rows):
        if not 0 <= start[r] <= start[r + 1] <= n:
            raise IndexError(f"Row {r} is beyond the {n} columns.")
        longest = max(longest, start[r + 1] - start[r])
    cdef select_exact *scratch = <select_exact *>malloc(longest * sizeof(select_exact))
    if scratch is NULL:
        raise MemoryError
    if n_rows and start[n_rows] > start[0]:
        with nogil:
            select_best(n_rows, k, &start[0], &column[0], &value[0], scratch, &columns_out[0, 0], &values_out[0, 0])
    free(scratch)
