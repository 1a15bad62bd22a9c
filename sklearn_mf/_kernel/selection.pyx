"""Provide select.c and coarse.c to Python: find the best of many scores, without the GIL."""

import numpy as np

from libc.math cimport INFINITY
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc


cdef extern from "select.h" nogil:
    int SELECT_TOO_MANY
    int SELECT_FEW

    ctypedef struct select_entry:
        float upper
        float lower
        int32_t column

    ctypedef struct select_exact:
        double value
        int32_t column

    ctypedef struct select_state:
        int k
        int room
        const float *margin
        const int32_t *exclude
        int64_t *exclude_next
        const int64_t *exclude_stop
        float *limit
        int32_t *count
        int32_t *full
        float *best
        select_entry *buffer

    void select_tile(const select_state *state, ptrdiff_t n_rows, ptrdiff_t n_columns, int32_t first,
                     const float *scores)
    ptrdiff_t select_finish(const select_state *state, ptrdiff_t n_rows)
    void select_best(ptrdiff_t n_rows, int k, const int64_t *start, const int32_t *column, const double *value,
                     select_exact *scratch, int32_t *columns_out, double *values_out)


cdef extern from "coarse.h" nogil:
    int COARSE_PANEL
    int COARSE_ROWS
    int COARSE_MOST_FACTORS

    ctypedef struct coarse_items:
        int fours
        ptrdiff_t n_panels
        uint8_t *factors
        float *unit
        float *constant
        float *length
        float *error

    ctypedef struct coarse_rows:
        int8_t *factors
        float *unit
        float *length
        float *error
        int32_t *base
        int32_t *start

    int coarse_is_available(const char *name)
    void coarse_round_items(ptrdiff_t n, int rank, const float *factors, const float *constant,
                            const coarse_items *items)
    void coarse_round_rows(ptrdiff_t n, int rank, const float *factors, const coarse_rows *rows)
    void coarse_select(const select_state *state, ptrdiff_t n_rows, const coarse_rows *rows, const coarse_items *items)


cdef bint coarse_is_chosen = False


def select_simd(str name):
    """Use this instruction set from now on. The processor must have it."""
    global coarse_is_chosen
    coarse_is_chosen = coarse_is_available(name.encode())


def can_round(int rank):
    """Return whether `CoarseItems` supports this rank."""
    return coarse_is_chosen and 1 <= rank <= COARSE_MOST_FACTORS


cdef aligned(ptrdiff_t n, dtype):
    """Make an array of zeros that begins at a multiple of 64 bytes."""
    cdef ptrdiff_t size = n * np.dtype(dtype).itemsize
    room = np.zeros(size + 64, dtype=np.uint8)
    cdef ptrdiff_t before = -room.ctypes.data % 64
    return room[before : before + size].view(dtype)


cdef class CoarseItems:
    """Hold items with factors that are rounded to integers of 8 bits, and the numbers for bounds of scores.

    Parameters
    ----------
    factors : float32 array (n_items, rank)
        Factors: finite, with row lengths of at most 1e25.

    constant : float32 array (n_items,)
        Constant that is added to the product of a row and an item.
    """

    cdef int rank
    cdef ptrdiff_t n_items
    cdef uint8_t[::1] factors
    cdef float[::1] unit, constant, length, error

    def __init__(self, const float[:, ::1] factors, const float[::1] constant):
        cdef int rank = factors.shape[1]
        cdef ptrdiff_t n = factors.shape[0]
        if not (can_round(rank) and 1 <= n == constant.shape[0]):
            raise ValueError("factors and constant do not fit, or no integers of 8 bits can be used.")
        cdef ptrdiff_t n_panels = (n + COARSE_PANEL - 1) // COARSE_PANEL, n_places = n_panels * COARSE_PANEL
        self.rank, self.n_items = rank, n
        self.factors = aligned(n_places * ((rank + 3) // 4 * 4), np.uint8)
        self.unit, self.constant = aligned(n_places, np.float32), aligned(n_places, np.float32)
        self.length, self.error = aligned(n_panels, np.float32), aligned(n_panels, np.float32)
        cdef coarse_items items = self._items()
        with nogil:
            coarse_round_items(n, rank, &factors[0, 0], &constant[0], &items)

    cdef coarse_items _items(self) noexcept:
        cdef coarse_items items
        items.fours, items.n_panels, items.factors = (self.rank + 3) // 4, self.length.shape[0], &self.factors[0]
        items.unit, items.constant = &self.unit[0], &self.constant[0]
        items.length, items.error = &self.length[0], &self.error[0]
        return items


cdef class TileSelector:
    """Keep the columns that may be among the k best of each row. Scores arrive one tile of columns at a time.

    Parameters
    ----------
    k : int
        Number of columns wanted per row, at least 1.

    margin : float32 array (n_rows,)
        Twice the largest error of a score of the row.

    excluded : Excluded
        Columns to leave out. Row r leaves out ``place[start[r]:stop[r]]``, in rising order.

    n_slack : int
        Room for columns near the k-th best, in addition to 2 k.
    """

    cdef int k, room
    cdef const float[::1] margin
    cdef const int64_t[::1] exclude_stop
    cdef const int32_t[::1] exclude
    cdef int64_t[::1] exclude_next
    cdef float[::1] limit
    cdef int32_t[::1] n_kept
    cdef int32_t[::1] full
    cdef float[::1] best
    cdef int32_t[:, ::1] buffer  # (n_rows, 3 room): an upper and a lower bound and a column
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
        self.full = np.full(n_rows, 2 * k, dtype=np.int32)
        self.best = np.full(n_rows * min(k, SELECT_FEW), -np.inf, dtype=np.float32)
        self.buffer = np.empty((n_rows, 3 * self.room), dtype=np.int32)
        self.next_column = 0

    cdef select_state _state(self) noexcept:
        cdef select_state state
        state.k, state.room, state.margin = self.k, self.room, &self.margin[0]
        state.exclude = &self.exclude[0] if self.exclude.shape[0] else NULL
        state.exclude_next, state.exclude_stop = &self.exclude_next[0], &self.exclude_stop[0]
        state.limit, state.count, state.full = &self.limit[0], &self.n_kept[0], &self.full[0]
        state.best, state.buffer = &self.best[0], <select_entry *>&self.buffer[0, 0]
        return state

    def take(self, const float[:, ::1] scores):
        """Add the scores of the next columns."""
        cdef ptrdiff_t n_rows = scores.shape[0], n_columns = scores.shape[1]
        cdef int first = self.next_column
        if n_rows != self.margin.shape[0]:
            raise ValueError(f"scores have {n_rows} rows, not {self.margin.shape[0]}.")
        if n_columns == 0:
            return
        cdef select_state state = self._state()
        with nogil:
            select_tile(&state, n_rows, n_columns, first, &scores[0, 0])
        self.next_column = first + n_columns

    def take_all(self, const float[:, ::1] factors, CoarseItems items):
        """Add the scores of all columns, the ``items``, from the factors of the rows."""
        cdef ptrdiff_t n = factors.shape[0], n_rows = (n + COARSE_ROWS - 1) // COARSE_ROWS * COARSE_ROWS
        cdef int rank = items.rank
        if n != self.margin.shape[0] or factors.shape[1] != rank or self.next_column:
            raise ValueError(f"factors are not ({self.margin.shape[0]}, {rank}), or columns were taken before.")
        cdef int8_t[::1] whole = np.zeros(n_rows * ((rank + 3) // 4 * 4), dtype=np.int8)
        cdef float[:, ::1] sizes = np.zeros((3, n_rows), dtype=np.float32)
        cdef int32_t[:, ::1] sums = np.zeros((2, n_rows), dtype=np.int32)
        cdef coarse_rows rows
        rows.factors, rows.base, rows.start = &whole[0], &sums[0, 0], &sums[1, 0]
        rows.unit, rows.length, rows.error = &sizes[0, 0], &sizes[1, 0], &sizes[2, 0]
        cdef select_state state = self._state()
        cdef coarse_items columns = items._items()
        with nogil:
            coarse_round_rows(n, rank, &factors[0, 0], &rows)
            coarse_select(&state, n, &rows, &columns)
        self.next_column = items.n_items

    def finish(self):
        """Return the kept columns, one row after another, and their number for each row; -1 for a row with too many."""
        cdef select_state state = self._state()
        cdef ptrdiff_t n_rows = self.margin.shape[0], n, at = 0, r
        cdef int32_t e
        with nogil:
            n = select_finish(&state, n_rows)
        cdef int32_t[::1] columns = np.empty(n, dtype=np.int32)
        for r in range(n_rows):
            for e in range(state.count[r]):
                columns[at] = state.buffer[r * state.room + e].column
                at += 1
        return np.asarray(columns), np.asarray(self.n_kept)


def best(
    int k,
    const int64_t[::1] start,           # IN    (n_rows + 1,): start of each row in the next two
    const int32_t[::1] column,          # IN    (n,)
    const double[::1] value,            # IN    (n,)
    int32_t[:, ::1] columns_out,        # INOUT (n_rows, k), filled by the caller
    double[:, ::1] values_out,          # INOUT (n_rows, k), filled by the caller
):
    """Find the k best columns of each row, best first. Among equal scores, the lower column comes first."""
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
