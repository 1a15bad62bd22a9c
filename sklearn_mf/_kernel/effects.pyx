"""Provide effects.c to Python: sums over ratings for additive effects of users and items."""

import numpy as np

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t

from sklearn_mf._kernel.sgd import largest_indices


cdef extern from "effects.h" nogil:
    void effects_add_residuals(ptrdiff_t n, int n_fields, int field, const int32_t *index, const float *target,
                               const float *weight, const double *other_effects, double *sums)
    double effects_left_out_squares(ptrdiff_t n, int n_fields, const int32_t *index, const float *target,
                                    const float *weight, double intercept, const double *user_effects,
                                    const double *item_effects, const double *user_shares, const double *item_shares,
                                    double largest)


cdef class EffectSums:
    """Sum over the ratings of a block grid, block by block.

    The constructor checks that every index is a row of its block. All arrays of rows have a row for each user, then a
    row for each item, in the order of the grid.

    Parameters
    ----------
    grid : BlockGrid
        Its ``index``, ``target``, ``weight``, ``block_start``, ``first_row`` and ``n_pair_rows``.
    """

    cdef const int32_t[:, ::1] index
    cdef const float[::1] target, weight
    cdef const int64_t[::1] block_start
    cdef const int64_t[:, ::1] first_row
    cdef Py_ssize_t n_rows

    def __init__(self, grid):
        n_blocks, n = len(grid.block_start) - 1, len(grid.index)
        if grid.index.shape[1] < 2 or len(grid.target) != n or (grid.weight is not None and len(grid.weight) != n):
            raise ValueError("index, target and weight do not fit each other.")
        if grid.first_row.shape != (n_blocks, 2):
            raise ValueError("first_row does not have two numbers for each block.")
        ends = grid.first_row + largest_indices(grid.index, grid.block_start)[:, :2]
        n_users = grid.n_users
        if (grid.first_row < [0, n_users]).any() or (ends > [n_users, grid.n_pair_rows]).any():
            raise IndexError("An index of a rating is beyond the rows of the grid.")
        self.index, self.target, self.weight = grid.index, grid.target, grid.weight
        self.block_start, self.first_row, self.n_rows = grid.block_start, grid.first_row, grid.n_pair_rows

    def add_residuals(self, const int64_t[::1] blocks, int field, const double[::1] effects, double[::1] sums):
        """Add w (t - effect of the other side) to the sum of each user (field 0) or item (1), one block after another."""
        cdef ptrdiff_t t, lo, n
        cdef int64_t b
        self._check(blocks, effects.shape[0], sums.shape[0])
        if field not in (0, 1):
            raise ValueError("field is neither 0 nor 1.")
        with nogil:
            for t in range(blocks.shape[0]):
                b = blocks[t]
                lo, n = self.block_start[b], self.block_start[b + 1] - self.block_start[b]
                if n:
                    effects_add_residuals(n, self.index.shape[1], field, &self.index[lo, 0], &self.target[lo],
                                          &self.weight[lo] if self.weight is not None else NULL,
                                          &effects[self.first_row[b, 1 - field]], &sums[self.first_row[b, field]])

    def left_out_squares(
        self, const int64_t[::1] blocks, double intercept, const double[::1] effects, const double[::1] shares,
        double largest,
    ):
        """Sum the approximate squared errors of the ratings of blocks, as if each rating had been left out."""
        cdef double total = 0.0
        cdef ptrdiff_t t, lo, n
        cdef int64_t b, u, i
        self._check(blocks, effects.shape[0], shares.shape[0])
        with nogil:
            for t in range(blocks.shape[0]):
                b = blocks[t]
                lo, n = self.block_start[b], self.block_start[b + 1] - self.block_start[b]
                u, i = self.first_row[b, 0], self.first_row[b, 1]
                if n:
                    total += effects_left_out_squares(
                        n, self.index.shape[1], &self.index[lo, 0], &self.target[lo],
                        &self.weight[lo] if self.weight is not None else NULL, intercept, &effects[u], &effects[i],
                        &shares[u], &shares[i], largest,
                    )
        return total

    cdef _check(self, const int64_t[::1] blocks, Py_ssize_t n_first, Py_ssize_t n_second):
        if n_first != self.n_rows or n_second != self.n_rows:
            raise ValueError(f"Arrays of rows have lengths {n_first} and {n_second}, not {self.n_rows}.")
        cdef ptrdiff_t t
        for t in range(blocks.shape[0]):
            if not 0 <= blocks[t] < self.block_start.shape[0] - 1:
                raise IndexError(f"There is no block {blocks[t]} among {self.block_start.shape[0] - 1}.")
