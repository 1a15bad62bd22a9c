"""Hold the typed boundary to partners.c: sums over who rated what, thin matrix products and small eigenproblems."""

import numpy as np

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

from sklearn_mf._kernel.sgd import largest_indices


cdef extern from "partners.h" nogil:
    int PARTNERS_LANES

    ctypedef struct partners_block:
        ptrdiff_t n_runs
        const int32_t *user
        const int32_t *count
        const int32_t *item

    ptrdiff_t partners_find(ptrdiff_t n, int n_fields, const int32_t *index, ptrdiff_t n_users, ptrdiff_t n_items,
                            int32_t *user, int32_t *count, int32_t *item, int32_t *last_user, int32_t *next)
    void partners_gather(const partners_block *block, int width, const float *from_items, float *to_users)
    void partners_scatter(const partners_block *block, int width, const float *from_users, float *to_items)
    void partners_project(ptrdiff_t n, int k, int width, const float *left, const float *right, float *out)
    void partners_expand(ptrdiff_t n, int k, int width, const float *left, const float *out, float *rows)
    void partners_eigen(int k, double *matrix, double *vectors)
    void partners_select_simd(int wide)


def select_wide(bint wide):
    """Use 256-bit vectors from now on, or the portable loops."""
    partners_select_simd(wide)


cdef class PartnerRuns:
    """Hold the distinct pairs of a block grid, as runs of the items of one user, and sum over them.

    The constructor compares every index with the rows of its block.

    Parameters
    ----------
    grid : BlockGrid
        Its ``index``, ``block_start`` and ``first_row``.

    n_rows : int64 array (n_blocks, 2)
        User rows and item rows of each block.

    empty : callable, default=numpy.empty
        Gives room for arrays, of a shape and a type.
    """

    cdef const int32_t[:, ::1] index
    cdef const int64_t[::1] block_start
    cdef const int64_t[:, ::1] first_row, n_rows
    cdef int64_t[::1] run_start  # (n_blocks + 1,): a block's room for runs
    cdef int64_t[::1] n_runs  # (n_blocks,): runs that it has
    cdef int32_t[::1] user, count  # (n_room,): user and number of items of each run
    cdef int32_t[::1] item  # (n_ratings,): items, run after run, a block's from block_start on
    cdef Py_ssize_t n_users, n_items

    def __init__(self, grid, const int64_t[:, ::1] n_rows, empty=np.empty):
        n_blocks = len(grid.block_start) - 1
        if grid.index.shape[1] < 2:
            raise ValueError("index needs the two fields of users and items.")
        if n_rows.shape[0] != n_blocks or n_rows.shape[1] != 2 or grid.first_row.shape != (n_blocks, 2):
            raise ValueError("n_rows and first_row do not have two numbers a block.")
        ends = grid.first_row + np.asarray(n_rows)
        self.n_users, self.n_items = grid.n_users, grid.n_pair_rows - grid.n_users
        if (grid.first_row < [0, self.n_users]).any() or (ends > [self.n_users, grid.n_pair_rows]).any():
            raise IndexError("The rows of a block are beyond those of the grid.")
        if (largest_indices(grid.index, grid.block_start)[:, :2] > n_rows).any():
            raise IndexError("An index of a rating is beyond the rows of its block.")
        self.index, self.block_start = grid.index, grid.block_start
        self.first_row, self.n_rows = grid.first_row, n_rows
        room = np.minimum(n_rows[:, 0], np.diff(grid.block_start))
        self.run_start = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
        self.n_runs = np.zeros(n_blocks, dtype=np.int64)
        self.user, self.count = empty((2, self.run_start[n_blocks]), np.int32)
        self.item = empty(self.index.shape[0], np.int32)

    def find(self, const int64_t[::1] blocks):
        """Find the runs of these blocks."""
        cdef ptrdiff_t n_users = 0, n_items = 0, t
        cdef int64_t b, lo, at
        self._check_blocks(blocks)
        for t in range(blocks.shape[0]):
            n_users, n_items = max(n_users, self.n_rows[blocks[t], 0]), max(n_items, self.n_rows[blocks[t], 1])
        cdef int32_t *scratch = <int32_t *>malloc((n_items + n_users + 1) * sizeof(int32_t))
        if scratch is NULL:
            raise MemoryError
        with nogil:
            for t in range(blocks.shape[0]):
                b = blocks[t]
                lo, at = self.block_start[b], self.run_start[b]
                if self.block_start[b + 1] > lo:
                    self.n_runs[b] = partners_find(
                        self.block_start[b + 1] - lo, self.index.shape[1], &self.index[lo, 0], self.n_rows[b, 0],
                        self.n_rows[b, 1], &self.user[at], &self.count[at], &self.item[lo], scratch, scratch + n_items,
                    )
        free(scratch)

    def sum(self, const int64_t[::1] blocks, int to_field, const float[:, ::1] given, float[:, ::1] out):
        """Add to each row of one side the rows of its partners in these blocks, in order.

        ``to_field`` 0: to users the sum over their items; 1: to items the sum over their users. ``given`` and ``out``
        have a row for each of the other side and of this one, of a multiple of 8 floats.
        """
        cdef partners_block block
        cdef int width = given.shape[1]
        cdef ptrdiff_t t
        cdef int64_t b, u, i
        n_given, n_out = (self.n_items, self.n_users) if to_field == 0 else (self.n_users, self.n_items)
        if given.shape[0] != n_given or out.shape[0] != n_out or out.shape[1] != width or width % PARTNERS_LANES:
            raise ValueError("given and out do not fit the two sides.")
        self._check_blocks(blocks)
        with nogil:
            for t in range(blocks.shape[0]):
                b = blocks[t]
                if self.n_runs[b] == 0:
                    continue
                u, i = self.first_row[b, 0], self.first_row[b, 1] - self.n_users
                block.n_runs = self.n_runs[b]
                block.user, block.count = &self.user[self.run_start[b]], &self.count[self.run_start[b]]
                block.item = &self.item[self.block_start[b]]
                if to_field == 0:
                    partners_gather(&block, width, &given[i, 0], &out[u, 0])
                else:
                    partners_scatter(&block, width, &given[u, 0], &out[i, 0])

    cdef int _check_blocks(self, const int64_t[::1] blocks) except -1:
        cdef ptrdiff_t t
        for t in range(blocks.shape[0]):
            if not 0 <= blocks[t] < self.n_runs.shape[0]:
                raise IndexError(f"There is no block {blocks[t]} among {self.n_runs.shape[0]}.")
        return 0


def project(
    const float[:, ::1] left,           # IN    (n, k)
    const float[:, ::1] right,          # IN    (n, width), width a multiple of LANES
    float[:, ::1] out,                  # INOUT (k, width)
):
    """Add left^T right."""
    _check_product(right, left.shape[0], out, left.shape[1])
    if left.shape[0] and left.shape[1]:
        with nogil:
            partners_project(left.shape[0], left.shape[1], right.shape[1], &left[0, 0], &right[0, 0], &out[0, 0])


def expand(
    const float[:, ::1] left,           # IN    (n, k)
    const float[:, ::1] right,          # IN    (k, width), width a multiple of LANES
    float[:, ::1] rows,                 # INOUT (n, width)
):
    """Add left right."""
    _check_product(right, left.shape[1], rows, left.shape[0])
    if left.shape[0] and left.shape[1]:
        with nogil:
            partners_expand(left.shape[0], left.shape[1], right.shape[1], &left[0, 0], &right[0, 0], &rows[0, 0])


cdef int _check_product(
    const float[:, ::1] right, ptrdiff_t n_right, const float[:, ::1] out, ptrdiff_t n_out
) except -1:
    width = right.shape[1]
    if right.shape[0] != n_right or out.shape[0] != n_out or out.shape[1] != width or width % PARTNERS_LANES:
        raise ValueError("The matrices of a product do not fit.")
    return 0


def eigen(
    double[:, ::1] matrix,              # INOUT (k, k), symmetric; on return its diagonal has the eigenvalues
    double[:, ::1] vectors,             # OUT   (k, k): eigenvectors, as columns
):
    """Fill in eigenvalues and eigenvectors, in no order."""
    k = matrix.shape[0]
    if matrix.shape[1] != k or vectors.shape[0] != k or vectors.shape[1] != k:
        raise ValueError("matrix and vectors must be square and of one size.")
    with nogil:
        partners_eigen(matrix.shape[0], &matrix[0, 0], &vectors[0, 0])
