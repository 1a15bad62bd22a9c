"""Provide grid.c to Python: scatter ratings to the blocks of a grid, and work on the ratings of a block."""

import numpy as np

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from sklearn_mf._kernel.sgd import largest_indices


cdef extern from "sgd.h" nogil:
    int SGD_BATCH


cdef extern from "bounds.h" nogil:
    void bounds_of_index(ptrdiff_t n, int n_fields, const int32_t *index, int32_t shift, uint32_t *largest)


cdef extern from "grid.h" nogil:
    ctypedef struct grid_place:
        int32_t row
        int32_t group

    void grid_count(ptrdiff_t n, const int32_t *const *codes, const double *weights, const grid_place *users,
                    const grid_place *items, int32_t n_user_groups, int32_t n_groups, int64_t *count)
    ptrdiff_t grid_scatter(ptrdiff_t n, int n_fields, const int32_t *const *codes, const double *values,
                           const double *weights, double weight_scale, const grid_place *users,
                           const grid_place *items, const int64_t *offset, int32_t n_user_groups, int32_t n_groups,
                           int64_t n_out, int64_t *next, int32_t *index, double *values_out, double *weights_out)
    ctypedef struct grid_bands:
        int field
        int32_t n_rows
        int shift

    size_t grid_order_scratch(ptrdiff_t n, int n_fields)
    ptrdiff_t grid_order(ptrdiff_t n, int n_fields, uint64_t seed, grid_bands bands, int32_t *index, double *values,
                         double *weights, void *scratch)
    ptrdiff_t grid_merge(ptrdiff_t n, int n_fields, int32_t *index, double *values, double *weights)
    ptrdiff_t grid_number(ptrdiff_t n, int n_fields, int32_t *index, const double *weights, int32_t *context_rows,
                          double *row_weights, int32_t *number)
    void grid_spread(ptrdiff_t n, int n_fields, int32_t *index, double *values, double *weights,
                     const float *context_step_factor, const int64_t *first, int64_t n_last, int32_t *last,
                     uint8_t *batch_kinds)
    void grid_add_weights(ptrdiff_t n, int n_fields, int field, const int32_t *index, const double *weights,
                          double *total)


BATCH = SGD_BATCH  # number of ratings that are visited together if they have no row in common


cdef class RatingPartitioner:
    """Scatter rows of codes to the blocks of a grid.

    Parameters
    ----------
    codes : list of n_fields int32 arrays (n,)
        Level of each row.

    layout : GridLayout
        Place of each level: ``places_here``, ``offset``, ``own_groups`` and ``n_groups``.
    """

    cdef const int32_t **codes
    cdef tuple arrays  # keeps the memory of the pointers
    cdef const int32_t[:, ::1] users, items
    cdef const int64_t[::1] offset
    cdef Py_ssize_t n
    cdef int n_fields, n_user_groups, n_groups

    def __cinit__(self, list codes, layout):
        self.codes = <const int32_t **>malloc(max(len(codes), 1) * sizeof(int32_t *))
        if self.codes is NULL:
            raise MemoryError

    def __init__(self, list codes, layout):
        cdef const int32_t[::1] column
        cdef int f
        places = layout.places_here
        self.users, self.items = places
        self.n_groups, self.n_user_groups = layout.n_groups, len(layout.own_groups)
        self.offset, self.n_fields, self.n = layout.offset, len(codes), len(codes[0])
        n_levels = [len(places[0]), len(places[1]), *np.diff(layout.offset)[2:]]
        if self.n_fields < 2 or len(n_levels) != self.n_fields:
            raise ValueError(f"There are {self.n_fields} columns of codes and {len(n_levels)} fields.")
        if layout.is_whole and (len(places[0]), len(places[1])) != tuple(np.diff(layout.offset)[:2]):
            raise ValueError("places do not fit offset.")
        for of_field in places:
            if not 0 <= of_field[:, 1].min() <= of_field[:, 1].max() < self.n_groups:
                raise IndexError(f"A group of places is beyond {self.n_groups}.")
        for f in range(self.n_fields):
            column = codes[f]
            if column.shape[0] != self.n:
                raise ValueError("Columns of codes do not have the same length.")
            _check_codes(codes[f], n_levels[f])
            self.codes[f] = &column[0] if self.n else NULL
        if self.n and not layout.is_whole and places[0][codes[0], 1].max() >= self.n_user_groups:
            raise IndexError(f"A user is not in the {self.n_user_groups} user groups of this shard.")
        self.arrays = tuple(codes)

    def __dealloc__(self):
        free(self.codes)

    def count(self, ptrdiff_t start, ptrdiff_t stop, const double[::1] weights, int64_t[::1] count):
        """Add the rows ``start..stop``, with these ``weights`` or None, to the ``count`` of their blocks.

        Rows of weight 0 are not counted.
        """
        self._check_part(start, stop, weights, count)
        cdef const int32_t *codes[2]
        codes[0], codes[1] = self.codes[0] + start, self.codes[1] + start
        cdef const double *w = &weights[0] if weights is not None else NULL
        if stop > start:
            with nogil:
                grid_count(stop - start, codes, w, <const grid_place *>&self.users[0, 0],
                           <const grid_place *>&self.items[0, 0], self.n_user_groups, self.n_groups, &count[0])

    def scatter(
        self,
        ptrdiff_t start, ptrdiff_t stop,
        const double[::1] values,       # IN    (stop - start,): values of the rows start..stop
        const double[::1] weights,      # IN    (stop - start,) or None
        double weight_scale,            # factor of weights
        int64_t[::1] next,              # INOUT (n_blocks,): place of the next rating of each block
        RatingBlocks out,               # OUT   filled at these places
    ):
        """Write the rows ``start..stop`` to their blocks; ``count`` must have counted them."""
        self._check_part(start, stop, weights, next)
        if values.shape[0] != stop - start or out.n_fields != self.n_fields or (weights is None) != (out.weights is None):
            raise ValueError("values or the blocks do not fit the rows.")
        cdef const int32_t **codes = <const int32_t **>malloc(self.n_fields * sizeof(int32_t *))
        if codes is NULL:
            raise MemoryError
        cdef int f
        for f in range(self.n_fields):
            codes[f] = self.codes[f] + start
        cdef const double *w = &weights[0] if weights is not None else NULL
        cdef int32_t *index_out = out.index_at(0)
        cdef double *values_out = out.value_at(0)
        cdef double *weights_out = out.weight_at(0)
        cdef int64_t n_out = out.index.shape[0]
        cdef ptrdiff_t beyond = -1
        if stop > start:
            with nogil:
                beyond = grid_scatter(
                    stop - start, self.n_fields, codes, &values[0], w, weight_scale,
                    <const grid_place *>&self.users[0, 0], <const grid_place *>&self.items[0, 0], &self.offset[0],
                    self.n_user_groups, self.n_groups, n_out, &next[0], index_out, values_out, weights_out,
                )
        free(codes)
        if beyond >= 0:
            raise IndexError(f"Row {start + beyond} has no place in its block: it was not counted.")

    cdef _check_part(self, ptrdiff_t start, ptrdiff_t stop, const double[::1] weights, int64_t[::1] of_blocks):
        if not 0 <= start <= stop <= self.n or of_blocks.shape[0] != self.n_user_groups * self.n_groups:
            raise ValueError("The rows, or the array with a number for each block, do not fit the partitioner.")
        if weights is not None and weights.shape[0] != stop - start:
            raise ValueError("weights do not fit the rows.")


def _check_codes(codes, n_levels):
    """Raise an IndexError unless all codes are below ``n_levels``."""
    if len(codes) and not 0 <= codes.min() <= codes.max() < n_levels:
        raise IndexError(f"A code is beyond {n_levels} levels.")


cdef class RatingBlocks:
    """Work in place on ratings that are stored one block after another.

    Parameters
    ----------
    index : int32 array (n, n_fields)
        Row of each field.

    values : float64 array (n,)
        Ratings.

    weights : float64 array (n,) or None
        Weights. None means that all are 1.

    block_start : int64 array (n_blocks + 1,)
        First rating of each block.
    """

    cdef int32_t[:, ::1] index
    cdef double[::1] values, weights
    cdef const int64_t[::1] block_start
    cdef const int64_t[:, ::1] n_rows
    cdef int32_t[::1] number  # of each stacked row within a block; -1 between calls
    cdef readonly int n_fields

    def __init__(self, int32_t[:, ::1] index, double[::1] values, double[::1] weights, const int64_t[::1] block_start):
        n = index.shape[0]
        if values.shape[0] != n or (weights is not None and weights.shape[0] != n):
            raise ValueError("index, values and weights do not have the same length.")
        if block_start[0] != 0 or block_start[block_start.shape[0] - 1] != n or (np.diff(block_start) < 0).any():
            raise ValueError(f"block_start does not rise from 0 to {n}.")
        self.index, self.values, self.weights, self.block_start = index, values, weights, block_start
        self.n_rows = None
        self.number = None
        self.n_fields = index.shape[1]

    cdef int32_t *index_at(self, ptrdiff_t r) noexcept:
        return &self.index[r, 0]

    cdef double *value_at(self, ptrdiff_t r) noexcept:
        return &self.values[r]

    cdef double *weight_at(self, ptrdiff_t r) noexcept:
        return &self.weights[r] if self.weights is not None else NULL

    cdef ptrdiff_t size_of(self, int64_t block) except -1:
        if not 0 <= block < self.block_start.shape[0] - 1:
            raise IndexError(f"There is no block {block} among {self.block_start.shape[0] - 1}.")
        return self.block_start[block + 1] - self.block_start[block]

    def order(self, const int64_t[::1] blocks, uint64_t seed, bands):
        """Put blocks into canonical order; return how many ratings equal the previous rating.

        ``bands`` (Bands) has ``field``, ``n_rows`` and ``n_bands``: blocks are sorted by bands first.
        """
        if not (0 <= bands.field < self.n_fields and bands.n_rows > 0 and 0 < bands.n_bands <= 2**31):
            raise ValueError(f"There are no such bands of {self.n_fields} fields: {bands}.")
        cdef grid_bands of_rows = grid_bands(bands.field, bands.n_rows, (bands.n_bands - 1).bit_length())
        cdef ptrdiff_t largest = 0, n_equal = 0, t, lo, n
        for t in range(blocks.shape[0]):
            largest = max(largest, self.size_of(blocks[t]))
        cdef void *scratch = malloc(grid_order_scratch(largest, self.n_fields) + 1)
        if scratch is NULL:
            raise MemoryError
        with nogil:
            for t in range(blocks.shape[0]):
                lo = self.block_start[blocks[t]]
                n = self.block_start[blocks[t] + 1] - lo
                if n:
                    n_equal += grid_order(n, self.n_fields, seed, of_rows, &self.index[lo, 0], &self.values[lo],
                                          &self.weights[lo] if self.weights is not None else NULL, scratch)
        free(scratch)
        return n_equal

    def merge(self, const int64_t[::1] blocks, int64_t[::1] n_left):
        """Merge equal ratings of blocks. ``n_left[b]`` ratings remain, at the start of block b."""
        cdef ptrdiff_t t, lo, n
        if self.weights is None or n_left.shape[0] != self.block_start.shape[0] - 1:
            raise ValueError("merge needs weights, and an n_left with a number for each block.")
        for t in range(blocks.shape[0]):
            self.size_of(blocks[t])
        with nogil:
            for t in range(blocks.shape[0]):
                lo = self.block_start[blocks[t]]
                n = self.block_start[blocks[t] + 1] - lo
                n_left[blocks[t]] = (
                    grid_merge(n, self.n_fields, &self.index[lo, 0], &self.values[lo], &self.weights[lo]) if n else 0
                )

    def number_context_rows(self, int64_t block, int32_t[::1] context_rows, double[::1] weight):
        """Write the numbers of context rows within a block to ``index``; return how many context rows there are.

        ``context_rows`` gets the stacked rows, and ``weight`` the summed weight of each. Both must have room for all
        stacked rows.
        """
        n_rows = min(context_rows.shape[0], weight.shape[0])
        if self.number is None or self.number.shape[0] < n_rows:
            self.number = np.full(n_rows, -1, dtype=np.int32)
        cdef ptrdiff_t n = self.size_of(block), lo = self.block_start[block], n_context_rows
        cdef uint32_t *largest = <uint32_t *>malloc(self.n_fields * sizeof(uint32_t))
        cdef int f
        if largest is NULL:
            raise MemoryError
        try:
            if n:
                bounds_of_index(n, self.n_fields, &self.index[lo, 0], 0, largest)
            for f in range(2, self.n_fields):
                if n and largest[f] >= n_rows:
                    raise IndexError(f"An index of field {f} is beyond the stacked rows.")
        finally:
            free(largest)
        if n == 0:
            return 0
        with nogil:
            n_context_rows = grid_number(n, self.n_fields, &self.index[lo, 0],
                                    &self.weights[lo] if self.weights is not None else NULL, &context_rows[0], &weight[0],
                                    &self.number[0])
        return n_context_rows

    def set_rows(self, const int64_t[:, ::1] n_rows):
        """Set how many user, item and context rows each block has, (n_blocks, 3); check all indices."""
        n_blocks = self.block_start.shape[0] - 1
        if n_rows.shape[0] != n_blocks or n_rows.shape[1] != 3:
            raise ValueError(f"n_rows has shape {(n_rows.shape[0], n_rows.shape[1])}, not {(n_blocks, 3)}.")
        largest = largest_indices(self.index, self.block_start)
        if (largest > np.asarray(n_rows)[:, [0, 1, *[2] * (self.n_fields - 2)]]).any():
            raise IndexError("An index of a rating is beyond the rows of its block.")
        self.n_rows = n_rows

    def spread(self, const int64_t[::1] blocks, const float[::1] context_step_factor, uint8_t[::1] batch_kinds):
        """Move ratings with a row in common apart, and fill ``batch_kinds``, which says how each batch can be visited.

        Call ``set_rows`` first. ``context_step_factor`` (n_context_rows,) has the part of each step that each context
        row takes, one block after another. Ratings of a batch may share rows that take small steps. ``batch_kinds`` has
        n // BATCH + n_blocks numbers.
        """
        cdef const int64_t[:, ::1] n_rows = self.n_rows
        cdef int f
        cdef ptrdiff_t largest = 1, t, lo, n
        cdef int64_t b
        n_blocks = self.block_start.shape[0] - 1
        if n_rows is None or batch_kinds.shape[0] != self.index.shape[0] // SGD_BATCH + n_blocks:
            raise ValueError("set_rows was not called, or batch_kinds does not fit the ratings.")
        cdef int64_t[::1] context_start = np.concatenate([[0], np.cumsum(np.asarray(n_rows)[:, 2])])
        if context_step_factor.shape[0] != context_start[n_blocks]:
            raise ValueError("context_step_factor does not have a number for each context row.")
        for t in range(blocks.shape[0]):
            b = blocks[t]
            self.size_of(b)
            largest = max(largest, n_rows[b, 0] + n_rows[b, 1] + n_rows[b, 2])
        cdef int32_t *last = <int32_t *>malloc(largest * sizeof(int32_t))
        cdef int64_t *first = <int64_t *>malloc(self.n_fields * sizeof(int64_t))
        if last is NULL or first is NULL:
            free(last)
            free(first)
            raise MemoryError
        with nogil:
            for t in range(blocks.shape[0]):
                b = blocks[t]
                lo = self.block_start[b]
                n = self.block_start[b + 1] - lo
                if n == 0:
                    continue
                first[0], first[1] = 0, n_rows[b, 0]
                for f in range(2, self.n_fields):
                    first[f] = n_rows[b, 0] + n_rows[b, 1]
                grid_spread(n, self.n_fields, &self.index[lo, 0], &self.values[lo],
                            &self.weights[lo] if self.weights is not None else NULL,
                            &context_step_factor[0] + context_start[b], first,
                            n_rows[b, 0] + n_rows[b, 1] + n_rows[b, 2], last, &batch_kinds[lo // SGD_BATCH + b])
        free(last)
        free(first)

    def add_row_weights(
        self, const int64_t[::1] blocks, const int64_t[:, ::1] first_row, int field, double[::1] total
    ):
        """Add the weights of the ratings of blocks to the ``total`` of their user (field 0) or item (field 1).

        Call ``set_rows`` first. ``first_row`` (n_blocks, 2) has the first user row and the first item row of each
        block, as rows of ``total``.
        """
        cdef ptrdiff_t t, lo, n
        if self.n_rows is None or field not in (0, 1):
            raise ValueError("set_rows was not called, or field is neither 0 nor 1.")
        if first_row.shape[0] != self.block_start.shape[0] - 1 or first_row.shape[1] != 2:
            raise ValueError("first_row does not have two numbers for each block.")
        for t in range(blocks.shape[0]):
            self.size_of(blocks[t])
            lo = first_row[blocks[t], field]
            if not 0 <= lo <= total.shape[0] - self.n_rows[blocks[t], field]:
                raise IndexError(f"The rows of block {blocks[t]} are beyond {total.shape[0]}.")
        with nogil:
            for t in range(blocks.shape[0]):
                lo = self.block_start[blocks[t]]
                n = self.block_start[blocks[t] + 1] - lo
                if n:
                    grid_add_weights(n, self.n_fields, field, &self.index[lo, 0],
                                     &self.weights[lo] if self.weights is not None else NULL,
                                     &total[first_row[blocks[t], field]])
