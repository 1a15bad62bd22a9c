"""Provide als.c to Python: solve the rows of one side, while the rows of the other side are held fixed."""

import numpy as np

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc


cdef extern from "als.h" nogil:
    int ALS_LANES
    int ALS_VECTORS

    ctypedef struct als_side:
        int rank
        int n_steps
        float tolerance
        const int64_t *start
        const int32_t *index
        const float *weight
        const float *ridge
        const float *gram
        const float *other
        float *own

    ctypedef struct als_sums:
        double objective
        double decrease
        double penalty

    void als_solve(const als_side *side, ptrdiff_t first, ptrdiff_t last, float *scratch, als_sums *sums)
    void als_gram(ptrdiff_t n, int rank, const float *rows, float *scratch, double *gram)
    void als_select_simd(const char *name)


LANES = ALS_LANES


def select_simd(str name):
    """Use this instruction set from now on. The processor must have it."""
    als_select_simd(name.encode())


cdef class ALSSide:
    """Hold one side of a table of pairs, and solve its rows from the rows of the other side.

    The constructor checks that every index is a row of the other side.

    Parameters
    ----------
    start : int64 array (n_rows + 1,)
        Start of each row in ``index`` and ``weight``.

    index : int32 array (n_pairs,)
        Rows of the other side.

    weight : float32 array (n_pairs,) or None
        Weights of the pairs; None when all are 1.

    ridge : float32 array (n_rows,)
        Strength of the penalty of each row.

    n_other : int
        Number of rows of the other side.
    """

    cdef const int64_t[::1] start
    cdef const int32_t[::1] index
    cdef const float[::1] weight, ridge
    cdef Py_ssize_t n_other
    cdef bint is_weighted

    def __init__(
        self, const int64_t[::1] start, const int32_t[::1] index, const float[::1] weight, const float[::1] ridge,
        Py_ssize_t n_other,
    ):
        if start.shape[0] != ridge.shape[0] + 1 or (weight is not None and weight.shape[0] != index.shape[0]):
            raise ValueError("start, index, weight and ridge do not fit each other.")
        if start[0] != 0 or start[ridge.shape[0]] != index.shape[0] or (np.diff(start) < 0).any():
            raise IndexError("start does not rise from 0 to the length of index.")
        if index.shape[0] and not (0 <= np.min(index) and np.max(index) < n_other):
            raise IndexError(f"An index is beyond the {n_other} rows of the other side.")
        self.start, self.index, self.weight, self.ridge, self.n_other = start, index, weight, ridge, n_other
        self.is_weighted = weight is not None

    def solve(
        self, Py_ssize_t first, Py_ssize_t last, const float[:, ::1] gram, const float[:, ::1] other, float[:, ::1] own,
        int n_steps, float tolerance,
    ):
        """Take up to ``n_steps`` steps with the rows from ``first`` up to ``last``.

        ``gram`` is (rank, rank), ``other`` (n_other, rank) and ``own`` (n_rows, rank); the rank is a multiple of LANES.
        Return the objective of these rows before the steps, its decrease, and their penalties after the steps.
        """
        cdef als_side side
        cdef als_sums sums
        cdef int rank = own.shape[1]
        if rank % ALS_LANES or gram.shape[0] != rank or gram.shape[1] != rank or other.shape[1] != rank:
            raise ValueError(f"gram, other and own do not have the same rank, a multiple of {ALS_LANES}.")
        if own.shape[0] != self.ridge.shape[0] or other.shape[0] != self.n_other:
            raise ValueError("own and other do not fit the two sides.")
        if not 0 <= first <= last <= own.shape[0]:
            raise IndexError(f"Rows {first} to {last} are beyond {own.shape[0]}.")
        sums.objective, sums.decrease, sums.penalty = 0.0, 0.0, 0.0
        if first == last or rank == 0:
            return sums.objective, sums.decrease, sums.penalty
        cdef float *scratch = <float *>malloc(<size_t>ALS_VECTORS * rank * sizeof(float))
        if scratch is NULL:
            raise MemoryError
        side.rank, side.n_steps, side.tolerance = rank, n_steps, tolerance
        side.start, side.index = &self.start[0], (&self.index[0] if self.index.shape[0] else NULL)
        side.weight = &self.weight[0] if self.is_weighted and self.index.shape[0] else NULL
        side.ridge, side.gram, side.other, side.own = &self.ridge[0], &gram[0, 0], &other[0, 0], &own[0, 0]
        with nogil:
            als_solve(&side, first, last, scratch, &sums)
        free(scratch)
        return sums.objective, sums.decrease, sums.penalty


def gram(const float[:, ::1] rows):
    """Return rows^T rows, float64 (rank, rank); the rank is a multiple of LANES."""
    cdef int rank = rows.shape[1]
    if rank % ALS_LANES:
        raise ValueError(f"rows have {rank} floats, which is not a multiple of {ALS_LANES}.")
    out = np.zeros((rank, rank))
    cdef double[:, ::1] total = out
    cdef float *scratch
    if rank and rows.shape[0]:
        scratch = <float *>malloc(<size_t>rank * rank * sizeof(float))
        if scratch is NULL:
            raise MemoryError
        with nogil:
            als_gram(rows.shape[0], rank, &rows[0, 0], scratch, &total[0, 0])
        free(scratch)
    return out
