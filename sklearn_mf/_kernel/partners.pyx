"""Provide partners.c to Python: sums over distinct pairs, thin matrix products and small eigenvalue problems."""

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


cdef extern from "centers.h" nogil:
    ctypedef struct centers_view:
        float *x
        ptrdiff_t stride

    ctypedef struct centers_side:
        centers_view row, center, bias, bias_center
        const float *norm
        const float *strength
        const float *of_bias

    void centers_weigh(ptrdiff_t n, int width, const centers_side *side, float *out)
    void centers_subtract_ridge(ptrdiff_t n, int width, int k, const float *directions, const float *ridge, const float *x,
                         float *residual, float *out)
    void centers_precondition(ptrdiff_t n, int width, int k, const float *directions, const float *along, float momentum,
                              const float *residual, float *direction, float *slope, float *length)
    void centers_curve(ptrdiff_t n, int width, const centers_side *side, float *near, float *total)
    void centers_move(ptrdiff_t n, int width, const float *near, const float *step, const centers_side *side)
    double centers_move_coefficients(ptrdiff_t n, int width, const float *direction, const float *step, float *x,
                                     centers_view q, centers_view push, const double *weight)


def select_wide(bint wide):
    """Use 256-bit vectors, or the portable loops, from now on."""
    partners_select_simd(wide)


cdef class PartnerRuns:
    """Hold the distinct pairs of a block grid, and sum over them. A run stores the items of one user.

    The constructor checks that every index is a row of its block.

    Parameters
    ----------
    grid : BlockGrid
        Its ``index``, ``block_start`` and ``first_row``.

    n_rows : int64 array (n_blocks, 2)
        Numbers of user rows and of item rows of each block.

    empty : callable, default=numpy.empty
        Function of a shape and a type that returns an array. The array is not filled.
    """

    cdef const int32_t[:, ::1] index
    cdef const int64_t[::1] block_start
    cdef const int64_t[:, ::1] first_row, n_rows
    cdef int64_t[::1] run_start  # (n_blocks + 1,): start of the room for the runs of each block
    cdef int64_t[::1] n_runs  # (n_blocks,): number of runs of each block
    cdef int32_t[::1] user, count  # (n_room,): user and number of items of each run
    cdef int32_t[::1] item  # (n_ratings,): items of the runs; those of a block begin at block_start
    cdef Py_ssize_t n_users, n_items

    def __init__(self, grid, const int64_t[:, ::1] n_rows, empty=np.empty):
        n_blocks = len(grid.block_start) - 1
        if grid.index.shape[1] < 2:
            raise ValueError("index needs the two fields of users and items.")
        if n_rows.shape[0] != n_blocks or n_rows.shape[1] != 2 or grid.first_row.shape != (n_blocks, 2):
            raise ValueError("n_rows and first_row do not have two numbers for each block.")
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
        """Add the rows of the partners in these blocks to each row of one side, in order.

        With ``to_field`` 0, users get the sum over their items. With 1, items get the sum over their users. ``given``
        has the rows of the other side, ``out`` the rows of this side. The length of rows is a multiple of 8 floats.
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


cdef class CenteredRows:
    """Hold rows of one side with their centers, and move the centers.

    A wide row has the factors, then LANES floats: the bias and zeros.

    Parameters
    ----------
    rows, centers : float32 arrays (n, width)
        Factors and their centers. There may be a gap between rows.

    bias, bias_centers : float32 arrays (n,)
        Biases and their centers.

    norm, strength, of_bias : float32 arrays (n,)
        1 / sqrt(number of partners), and the strengths of the penalties of factors and of biases.
    """

    cdef object arrays  # keeps the memory
    cdef centers_side side
    cdef Py_ssize_t n
    cdef int width

    def __init__(
        self,
        float[:, :] rows,
        float[:, :] centers,
        float[:] bias,
        float[:] bias_centers,
        const float[::1] norm,
        const float[::1] strength,
        const float[::1] of_bias,
    ):
        self.n, self.width = rows.shape[0], rows.shape[1]
        lengths = {centers.shape[0], bias.shape[0], bias_centers.shape[0], norm.shape[0], strength.shape[0]}
        if lengths | {of_bias.shape[0]} != {self.n}:
            raise ValueError("All arrays must have as many entries as rows.")
        if centers.shape[1] != self.width or self.width % PARTNERS_LANES:
            raise ValueError("rows and centers must have one width, a multiple of LANES.")
        self.arrays = rows, centers, bias, bias_centers, norm, strength, of_bias
        if self.n == 0:
            return
        self.side.row, self.side.center = _view(rows), _view(centers)
        self.side.bias.x, self.side.bias.stride = &bias[0], bias.strides[0] // sizeof(float)
        self.side.bias_center.x, self.side.bias_center.stride = &bias_centers[0], bias_centers.strides[0] // sizeof(float)
        self.side.norm, self.side.strength, self.side.of_bias = &norm[0], &strength[0], &of_bias[0]

    def weigh(self, Py_ssize_t start, Py_ssize_t stop, float[:, ::1] near):
        """Fill rows of ``near`` with |N|^(-1/2) d (p - z)."""
        cdef centers_side side = self._from(start, stop, near.shape[0], near.shape[1])
        if start < stop:
            with nogil:
                centers_weigh(stop - start, self.width, &side, &near[start, 0])

    def curve(self, Py_ssize_t start, Py_ssize_t stop, float[:, ::1] near, float[::1] total):
        """Multiply rows of ``near`` by |N|^(-1/2). Add d times their squares to ``total``, for each column."""
        cdef centers_side side = self._from(start, stop, near.shape[0], near.shape[1])
        _check_wide(total.shape[0], self.width)
        if start < stop:
            with nogil:
                centers_curve(stop - start, self.width, &side, &near[start, 0], &total[0])

    def move(self, Py_ssize_t start, Py_ssize_t stop, const float[:, ::1] near, const float[::1] step):
        """Add step times ``near`` to the centers."""
        cdef centers_side side = self._from(start, stop, near.shape[0], near.shape[1])
        _check_wide(step.shape[0], self.width)
        if start < stop:
            with nogil:
                centers_move(stop - start, self.width, &near[start, 0], &step[0], &side)

    cdef centers_side _from(self, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t n_near, Py_ssize_t width) except *:
        """Return the rows from ``start`` on."""
        cdef centers_side side = self.side
        if not 0 <= start <= stop <= self.n or n_near != self.n:
            raise IndexError("There are no such rows.")
        _check_wide(width, self.width)
        side.row.x += start * side.row.stride
        side.center.x += start * side.center.stride
        side.bias.x += start * side.bias.stride
        side.bias_center.x += start * side.bias_center.stride
        side.norm += start
        side.strength += start
        side.of_bias += start
        return side


cdef centers_view _view(float[:, :] rows) except *:
    cdef centers_view view
    if rows.strides[1] != sizeof(float):
        raise ValueError("The floats of a row must lie side by side.")
    view.x, view.stride = &rows[0, 0], rows.strides[0] // sizeof(float)
    return view


cdef int _check_wide(Py_ssize_t n, Py_ssize_t width) except -1:
    if n != width + PARTNERS_LANES:
        raise ValueError("A wide row must have the factors and then LANES floats.")
    return 0


def subtract_ridge(
    const float[:, ::1] directions,     # IN    (n, k)
    const float[::1] ridge,             # IN    (wide,)
    const float[:, ::1] x,              # IN    (n, wide)
    float[:, ::1] residual,             # INOUT (n, wide)
    float[:, ::1] out,                  # INOUT (k, wide)
):
    """Subtract ridge times x from the residual, and add directions^T residual to ``out``."""
    n, k = directions.shape[0], directions.shape[1]
    _check_product(residual, n, out, k)
    if x.shape[0] != n or x.shape[1] != residual.shape[1] or ridge.shape[0] != residual.shape[1]:
        raise ValueError("ridge, x and residual do not fit.")
    if n and k:
        with nogil:
            centers_subtract_ridge(directions.shape[0], residual.shape[1] - PARTNERS_LANES, directions.shape[1],
                            &directions[0, 0], &ridge[0], &x[0, 0], &residual[0, 0], &out[0, 0])


def precondition(
    const float[:, ::1] directions,     # IN    (n, k)
    const float[:, ::1] along,          # IN    (k, wide)
    float momentum,
    const float[:, ::1] residual,       # IN    (n, wide)
    float[:, ::1] direction,            # INOUT (n, wide): residual + directions along + momentum direction
    float[::1] slope,                   # INOUT (wide,): sum of direction times residual
    float[::1] length,                  # INOUT (wide,): sum of direction times itself
):
    """Find the direction of a step, and the sums that give its length."""
    n, k, wide = directions.shape[0], directions.shape[1], residual.shape[1]
    _check_product(along, k, direction, n)
    if residual.shape[0] != n or direction.shape[1] != wide or slope.shape[0] != wide or length.shape[0] != wide:
        raise ValueError("residual, direction and sums do not fit.")
    if n and k:
        with nogil:
            centers_precondition(directions.shape[0], residual.shape[1] - PARTNERS_LANES, directions.shape[1],
                                 &directions[0, 0], &along[0, 0], momentum, &residual[0, 0], &direction[0, 0],
                                 &slope[0], &length[0])


def move_coefficients(
    const float[:, ::1] direction,      # IN    (n, wide)
    const float[::1] step,              # IN    (wide,)
    float[:, ::1] x,                    # INOUT (n, wide)
    float[:, :] rows,                   # IN    (n, width)
    float[:, :] push,                   # OUT   (n, 2): <x, row>, and x of the bias
    const double[::1] weight,           # IN    (n,)
):
    """Move coefficients by the step; return the sum of weights times squared lengths of rows."""
    cdef double total = 0.0
    cdef centers_view q, out
    n, width = rows.shape[0], rows.shape[1]
    _check_wide(x.shape[1], width)
    if {direction.shape[0], x.shape[0], push.shape[0], weight.shape[0]} != {n} or push.shape[1] != 2:
        raise ValueError("The arrays of a move must have the same number of rows.")
    if direction.shape[1] != x.shape[1] or step.shape[0] != x.shape[1]:
        raise ValueError("The arrays of a move do not fit.")
    if n:
        q, out = _view(rows), _view(push)
        with nogil:
            total = centers_move_coefficients(rows.shape[0], rows.shape[1], &direction[0, 0], &step[0], &x[0, 0], q, out,
                                              &weight[0])
    return total


def project(
    const float[:, ::1] left,           # IN    (n, k)
    const float[:, ::1] right,          # IN    (n, width), width a multiple of LANES
    float[:, ::1] out,                  # INOUT (k, width)
):
    """Add left^T right to ``out``."""
    _check_product(right, left.shape[0], out, left.shape[1])
    if left.shape[0] and left.shape[1]:
        with nogil:
            partners_project(left.shape[0], left.shape[1], right.shape[1], &left[0, 0], &right[0, 0], &out[0, 0])


def expand(
    const float[:, ::1] left,           # IN    (n, k)
    const float[:, ::1] right,          # IN    (k, width), width a multiple of LANES
    float[:, ::1] rows,                 # INOUT (n, width)
):
    """Add left right to ``rows``."""
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
    """Write eigenvalues and eigenvectors, in any order."""
    k = matrix.shape[0]
    if matrix.shape[1] != k or vectors.shape[0] != k or vectors.shape[1] != k:
        raise ValueError("matrix and vectors must be square and have the same size.")
    with nogil:
        partners_eigen(matrix.shape[0], &matrix[0, 0], &vectors[0, 0])
