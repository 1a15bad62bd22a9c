"""The typed boundary between Python and the C files: Python validates and allocates, these functions fill.

Every function releases the GIL and touches nothing but the arrays it is given.
"""

import os

import numpy as np

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc


cdef extern from "sgd.h" nogil:
    int SGD_LANES
    int SGD_GROUP
    int SGD_USER_BIAS
    int SGD_ITEM_BIAS

    ctypedef enum sgd_loss:
        SGD_SQUARED_ERROR
        SGD_ABSOLUTE_ERROR
        SGD_HUBER
        SGD_QUANTILE
        SGD_POISSON

    ctypedef struct sgd_config:
        float step
        float alpha
        float alpha_bias
        float fit_bias
        sgd_loss loss
        float parameter
        int positive

    ctypedef struct sgd_scalars:
        float bias
        float damping

    ctypedef struct sgd_tables:
        int rank
        double intercept
        const float *const *rows
        const float *const *bias

    void sgd_predict(ptrdiff_t n, int n_fields, const sgd_tables *tables, const int32_t *index, double *out)
    const char *sgd_select_simd(const char *name)


cdef extern from "strata.h" nogil:
    ctypedef struct strata_grid:
        int n_fields
        int width
        int64_t n_groups
        const int32_t *index
        const float *target
        const float *weight
        const uint8_t *group
        const int64_t *block_start
        const int64_t *first_row
        float *rows
        sgd_scalars *scalars
        const float *ties
        const int32_t *touched
        const int64_t *touched_start
        const float *share
        const float *pace
        float *own_rows
        sgd_scalars *own_scalars
        double *loss
        double limit

    int64_t STRATA_STATE_SIZE(int64_t n_groups)
    size_t strata_scratch(const strata_grid *grid)
    void strata_run(const strata_grid *grid, const sgd_config *config, int64_t n_strata, const int64_t *strata,
                    int64_t *state, void *scratch)


cdef extern from "grid.h" nogil:
    ctypedef struct grid_place:
        int32_t row
        int32_t group

    void grid_count(ptrdiff_t n, const int32_t *const *codes, const double *weights, const grid_place *users,
                    const grid_place *items, int32_t n_groups, int64_t *count)
    void grid_deal(ptrdiff_t n, int n_fields, const int32_t *const *codes, const double *values, const double *weights,
                   double weight_scale, const grid_place *users, const grid_place *items, const int64_t *offset,
                   int32_t n_groups, int64_t *next, int32_t *index, double *values_out, double *weights_out)
    size_t grid_order_scratch(ptrdiff_t n, int n_fields)
    ptrdiff_t grid_order(ptrdiff_t n, int n_fields, uint64_t seed, int32_t *index, double *values, double *weights,
                         void *scratch)
    ptrdiff_t grid_merge(ptrdiff_t n, int n_fields, int32_t *index, double *values, double *weights)
    ptrdiff_t grid_number(ptrdiff_t n, int n_fields, int32_t *index, const double *weights, int32_t *touched,
                          double *share, int32_t *number)
    void grid_spread(ptrdiff_t n, int n_fields, int32_t *index, double *values, double *weights, const int64_t *first,
                     int64_t n_last, int32_t *last, uint8_t *group)
    void grid_add_weights(ptrdiff_t n, int n_fields, int field, const int32_t *index, const double *weights,
                          double *total)


cdef extern from "partners.h" nogil:
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


LANES = SGD_LANES  # rows are padded to a multiple of this many floats
GROUP = SGD_GROUP  # ratings visited together
LOSSES = {
    "squared_error": SGD_SQUARED_ERROR, "absolute_error": SGD_ABSOLUTE_ERROR, "huber": SGD_HUBER,
    "quantile": SGD_QUANTILE, "poisson": SGD_POISSON,
}
TIE_BIAS = (SGD_USER_BIAS, SGD_ITEM_BIAS)  # where the ties of users and of items have the center of the bias


def select_simd(name):
    """Use the instruction set ``name`` ("auto", "avx512", "avx2" or "baseline") from now on; return the name in use."""
    cdef const char *chosen = sgd_select_simd(name.encode())
    if chosen is NULL:
        raise ValueError(
            f"SKLEARN_MF_SIMD={name!r} is not available on this processor and build; use 'auto', 'avx512', 'avx2' or "
            "'baseline'."
        )
    partners_select_simd(chosen != b"baseline")
    return chosen.decode()


SIMD = select_simd(os.environ.get("SKLEARN_MF_SIMD") or "auto")


def state_size(int64_t n_groups):
    """Length of the ``state`` of ``run_strata``."""
    return STRATA_STATE_SIZE(n_groups)


def run_strata(
    const int32_t[:, ::1] index,        # IN    (n_ratings, n_fields)
    const float[::1] target,            # IN    (n_ratings,)
    const float[::1] weight,            # IN    (n_ratings,) or None
    const uint8_t[::1] group,           # IN    as spread_blocks fills it
    const int64_t[::1] block_start,     # IN    (n_blocks + 1,): a block's ratings
    const int64_t[:, ::1] first_row,    # IN    (n_blocks, 2): a block's first user row and first item row
    const int32_t[::1] touched,         # IN    (n_touched,): rows of further fields that each block works on
    const int64_t[::1] touched_start,   # IN    (n_blocks + 1,): a block's part of `touched`
    const float[::1] share,             # IN    (n_touched,): part of the block's change that counts
    const float[::1] pace,              # IN    (n_touched,): part of each step that the row takes
    float[:, ::1] rows,                 # INOUT (n_rows, width), width >= LANES: all fields, stacked; with ties (n_rows,
                                        #       2 width): what a row shrinks to, its center, is behind it
    float[:, ::1] scalars,              # INOUT (n_rows, 2): bias and damping
    const float[:, ::1] ties,           # IN    (users and items, LANES): see _implicit.py; or None: no centers
    float[:, ::1] own_rows,             # scratch (>= touched rows of any one stratum, width)
    float[:, ::1] own_scalars,          # scratch (>= touched rows of any one stratum, 2)
    const int64_t[::1] strata,          # IN    the strata to run, in order
    int64_t[::1] state,                 # INOUT (state_size,): zeros, shared by the threads that run them
    float step, float alpha, float alpha_bias, float fit_bias,
    sgd_loss loss, float parameter,     # one of LOSSES and its parameter
    bint positive,                      # whether factors are kept at 0 or above
    double limit,                       # a block whose loss is above it, or not a number, ends the run
    double[::1] losses,                 # OUT   (n_blocks,)
):
    """Run the blocks of ``strata``, in turn with the other threads that were given the same ``state``."""
    cdef sgd_config config
    config.step, config.alpha, config.alpha_bias, config.fit_bias = step, alpha, alpha_bias, fit_bias
    config.loss, config.parameter, config.positive = loss, parameter, positive
    cdef strata_grid grid
    grid.n_fields = index.shape[1]
    grid.width = rows.shape[1] if ties is None else rows.shape[1] // 2
    grid.n_groups = (state.shape[0] - 4) // 2
    grid.index, grid.target, grid.group = &index[0, 0], &target[0], &group[0]
    grid.weight = &weight[0] if weight is not None else NULL
    grid.block_start, grid.first_row = &block_start[0], &first_row[0, 0]
    grid.rows, grid.scalars = &rows[0, 0], <sgd_scalars *>&scalars[0, 0]
    grid.ties = &ties[0, 0] if ties is not None else NULL
    grid.touched_start = &touched_start[0]
    if touched.shape[0]:
        grid.touched, grid.share, grid.pace = &touched[0], &share[0], &pace[0]
        grid.own_rows, grid.own_scalars = &own_rows[0, 0], <sgd_scalars *>&own_scalars[0, 0]
    else:
        grid.touched, grid.share, grid.pace, grid.own_rows, grid.own_scalars = NULL, NULL, NULL, NULL, NULL
    grid.loss, grid.limit = &losses[0], limit
    cdef void *scratch = malloc(strata_scratch(&grid))
    if scratch is NULL:
        raise MemoryError
    with nogil:
        strata_run(&grid, &config, strata.shape[0], &strata[0], &state[0], scratch)
    free(scratch)


cdef int fill_pointers(list codes, const int32_t **pointers, ptrdiff_t start) except -1:
    cdef const int32_t[::1] column
    cdef int f
    for f in range(len(codes)):
        column = codes[f]
        pointers[f] = &column[start]
    return 0


def count_blocks(
    list codes,                         # IN    n_fields int32 arrays (n,): level of each row
    const double[::1] weights,          # IN    (stop - start,): of the rows start..stop, or None
    const int32_t[:, ::1] users,        # IN    (n_users, 2): row within its group, group
    const int32_t[:, ::1] items,        # IN    (n_items, 2)
    int n_groups,
    ptrdiff_t start, ptrdiff_t stop,
    int64_t[::1] count,                 # INOUT (n_blocks,)
):
    """Add the rows ``start..stop`` to the count of their blocks."""
    cdef const int32_t *pointers[2]
    fill_pointers(codes[:2], pointers, start)
    cdef const double *w = &weights[0] if weights is not None else NULL
    with nogil:
        grid_count(stop - start, pointers, w, <const grid_place *>&users[0, 0], <const grid_place *>&items[0, 0],
                   n_groups, &count[0])


def deal_rows(
    list codes,                         # IN    n_fields int32 arrays (n,): level of each row
    const double[::1] values,           # IN    (stop - start,): of the rows start..stop
    const double[::1] weights,          # IN    (stop - start,) or None
    double weight_scale,
    const int32_t[:, ::1] users,        # IN    (n_users, 2): row within its group, group
    const int32_t[:, ::1] items,        # IN    (n_items, 2)
    const int64_t[::1] offset,          # IN    (n_fields + 1,): first stacked row of each field
    int n_groups,
    ptrdiff_t start, ptrdiff_t stop,
    int64_t[::1] next,                  # INOUT (n_blocks,): place of the next rating of each block
    int32_t[:, ::1] index,              # OUT   (n, n_fields)
    double[::1] values_out,             # OUT   (n,)
    double[::1] weights_out,            # OUT   (n,) or None
):
    """Write the rows ``start..stop`` to their blocks."""
    cdef int n_fields = len(codes)
    cdef const int32_t **pointers = <const int32_t **>malloc(n_fields * sizeof(int32_t *))
    if pointers is NULL:
        raise MemoryError
    cdef const double *w = &weights[0] if weights is not None else NULL
    cdef double *w_out = &weights_out[0] if weights_out is not None else NULL
    try:
        fill_pointers(codes, pointers, start)
        with nogil:
            grid_deal(stop - start, n_fields, pointers, &values[0], w, weight_scale, <const grid_place *>&users[0, 0],
                      <const grid_place *>&items[0, 0], &offset[0], n_groups, &next[0], &index[0, 0], &values_out[0],
                      w_out)
    finally:
        free(pointers)


def order_blocks(
    const int64_t[::1] blocks,          # IN    which blocks
    const int64_t[::1] block_start,     # IN    (n_blocks + 1,)
    uint64_t seed,
    int32_t[:, ::1] index,              # INOUT (n, n_fields)
    double[::1] values,                 # INOUT (n,)
    double[::1] weights,                # INOUT (n,) or None
):
    """Put blocks into canonical order; return how many of their ratings equal the one before."""
    cdef int n_fields = index.shape[1]
    cdef ptrdiff_t largest = 0, n_equal = 0, t, lo, n
    for t in range(blocks.shape[0]):
        largest = max(largest, block_start[blocks[t] + 1] - block_start[blocks[t]])
    cdef void *scratch = malloc(grid_order_scratch(largest, n_fields) + 1)
    if scratch is NULL:
        raise MemoryError
    with nogil:
        for t in range(blocks.shape[0]):
            lo = block_start[blocks[t]]
            n = block_start[blocks[t] + 1] - lo
            if n:
                n_equal += grid_order(n, n_fields, seed, &index[lo, 0], &values[lo],
                                      &weights[lo] if weights is not None else NULL, scratch)
    free(scratch)
    return n_equal


def merge_blocks(
    const int64_t[::1] blocks,          # IN    which blocks
    const int64_t[::1] block_start,     # IN    (n_blocks + 1,)
    int32_t[:, ::1] index,              # INOUT (n, n_fields)
    double[::1] values,                 # INOUT (n,)
    double[::1] weights,                # INOUT (n,)
    int64_t[::1] n_left,                # OUT   (n_blocks,): how many ratings of each block are left, at its front
):
    """Merge ratings that equal the one before."""
    cdef ptrdiff_t t, lo, n
    with nogil:
        for t in range(blocks.shape[0]):
            lo = block_start[blocks[t]]
            n = block_start[blocks[t] + 1] - lo
            n_left[blocks[t]] = grid_merge(n, index.shape[1], &index[lo, 0], &values[lo], &weights[lo]) if n else 0


def number_rows(
    ptrdiff_t lo, ptrdiff_t hi,         # the ratings of one block
    int32_t[:, ::1] index,              # INOUT (n, n_fields): stacked rows of further fields become numbers
    const double[::1] weights,          # IN    (n,) or None
    int32_t[::1] touched,               # OUT   (>= stacked rows,)
    double[::1] share,                  # OUT   (>= stacked rows,): summed weights
    int32_t[::1] number,                # scratch (stacked rows,), all -1
):
    """Number the rows of further fields within a block; return how many it touches."""
    cdef ptrdiff_t n_touched
    with nogil:
        n_touched = grid_number(hi - lo, index.shape[1], &index[lo, 0], &weights[lo] if weights is not None else NULL,
                                &touched[0], &share[0], &number[0])
    return n_touched


def spread_blocks(
    const int64_t[::1] blocks,          # IN    which blocks
    const int64_t[::1] block_start,     # IN    (n_blocks + 1,)
    const int64_t[:, ::1] n_rows,       # IN    (n_blocks, 3): user rows, item rows, touched rows of a block
    int32_t[:, ::1] index,              # INOUT (n, n_fields)
    double[::1] values,                 # INOUT (n,)
    double[::1] weights,                # INOUT (n,) or None
    uint8_t[::1] group,                 # OUT   (n // GROUP + n_blocks,)
):
    """Move ratings with a row in common apart, and mark which groups of ratings can be visited together."""
    cdef int n_fields = index.shape[1], f
    cdef ptrdiff_t largest = 1, t, lo, n
    cdef int64_t b
    for t in range(blocks.shape[0]):
        b = blocks[t]
        largest = max(largest, n_rows[b, 0] + n_rows[b, 1] + n_rows[b, 2])
    cdef int32_t *last = <int32_t *>malloc(largest * sizeof(int32_t))
    cdef int64_t *first = <int64_t *>malloc(n_fields * sizeof(int64_t))
    if last is NULL or first is NULL:
        free(last)
        free(first)
        raise MemoryError
    with nogil:
        for t in range(blocks.shape[0]):
            b = blocks[t]
            lo = block_start[b]
            n = block_start[b + 1] - lo
            if n == 0:
                continue
            first[0], first[1] = 0, n_rows[b, 0]
            for f in range(2, n_fields):
                first[f] = n_rows[b, 0] + n_rows[b, 1]
            grid_spread(n, n_fields, &index[lo, 0], &values[lo], &weights[lo] if weights is not None else NULL,
                        first, n_rows[b, 0] + n_rows[b, 1] + n_rows[b, 2], last, &group[lo // SGD_GROUP + b])
    free(last)
    free(first)


def add_row_weights(
    const int64_t[::1] blocks,          # IN    which blocks
    const int64_t[::1] block_start,     # IN    (n_blocks + 1,)
    const int64_t[:, ::1] first_row,    # IN    (n_blocks, 2)
    int field,                          # 0 or 1
    const int32_t[:, ::1] index,        # IN    (n, n_fields)
    const double[::1] weights,          # IN    (n,) or None
    double[::1] total,                  # INOUT (stacked rows,)
):
    """Add the weights of ratings to the total of their user (field 0) or item (field 1)."""
    cdef ptrdiff_t t, lo, n
    with nogil:
        for t in range(blocks.shape[0]):
            lo = block_start[blocks[t]]
            n = block_start[blocks[t] + 1] - lo
            if n:
                grid_add_weights(n, index.shape[1], field, &index[lo, 0], &weights[lo] if weights is not None else NULL,
                                 &total[first_row[blocks[t], field]])


def predict(
    const int32_t[:, ::1] index,        # IN    (n, n_fields), -1 for a level never seen
    list factors,                       # IN    n_fields float32 arrays (n_levels, rank), one rank for all
    list biases,                        # IN    n_fields float32 arrays (n_levels,)
    double intercept,
    double[::1] out,                    # OUT   (n,)
):
    """Fill ``out`` with the predicted ratings."""
    cdef int n_fields = len(factors), f
    cdef ptrdiff_t n = index.shape[0]
    cdef const float[:, ::1] rows
    cdef const float[::1] bias
    cdef sgd_tables tables
    cdef const float **pointers = <const float **>malloc(2 * n_fields * sizeof(float *))
    if pointers is NULL:
        raise MemoryError
    try:
        for f in range(n_fields):
            rows, bias = factors[f], biases[f]
            pointers[f] = &rows[0, 0] if rows.shape[1] else &bias[0]
            pointers[n_fields + f] = &bias[0]
        tables.rank, tables.intercept = factors[0].shape[1], intercept
        tables.rows, tables.bias = pointers, pointers + n_fields
        if n:
            with nogil:
                sgd_predict(n, n_fields, &tables, &index[0, 0], &out[0])
    finally:
        free(pointers)


def find_partners(
    const int64_t[::1] blocks,          # IN    which blocks
    const int64_t[::1] block_start,     # IN    (n_blocks + 1,): a block's ratings
    const int64_t[:, ::1] n_rows,       # IN    (n_blocks, >= 2): user rows and item rows of a block
    const int32_t[:, ::1] index,        # IN    (n_ratings, n_fields)
    const int64_t[::1] run_start,       # IN    (n_blocks + 1,): a block's room for runs
    int64_t[::1] n_runs,                # OUT   (n_blocks,): runs that it has
    int32_t[::1] user,                  # OUT   (n_room,): user of each run
    int32_t[::1] count,                 # OUT   (n_room,): items of each run
    int32_t[::1] item,                  # OUT   (n_ratings,): items, run after run, a block's from block_start on
):
    """Find the distinct pairs of blocks, as runs of the items of one user."""
    cdef ptrdiff_t n_users = 0, n_items = 0, t
    cdef int64_t b, lo, at
    for t in range(blocks.shape[0]):
        n_users, n_items = max(n_users, n_rows[blocks[t], 0]), max(n_items, n_rows[blocks[t], 1])
    cdef int32_t *scratch = <int32_t *>malloc((n_items + n_users + 1) * sizeof(int32_t))
    if scratch is NULL:
        raise MemoryError
    with nogil:
        for t in range(blocks.shape[0]):
            b = blocks[t]
            lo, at = block_start[b], run_start[b]
            n_runs[b] = 0
            if block_start[b + 1] > lo:
                n_runs[b] = partners_find(block_start[b + 1] - lo, index.shape[1], &index[lo, 0], n_rows[b, 0],
                                          n_rows[b, 1], &user[at], &count[at], &item[lo], scratch, scratch + n_items)
    free(scratch)


def sum_partners(
    const int64_t[::1] blocks,          # IN    which blocks, in order
    const int64_t[::1] block_start,     # IN    (n_blocks + 1,)
    const int64_t[:, ::1] first_row,    # IN    (n_blocks, 2): a block's first user row and first item row
    const int64_t[::1] run_start,       # IN    as find_partners
    const int64_t[::1] n_runs,          # IN    as find_partners has filled it, and the next three
    const int32_t[::1] user,
    const int32_t[::1] count,
    const int32_t[::1] item,
    int to_field,                       # 0: to users the sum over their items; 1: to items the sum over their users
    const float[:, ::1] given,          # IN    (rows of the other field, width), width a multiple of LANES
    float[:, ::1] out,                  # INOUT (rows of to_field, width)
):
    """Add to each row of one side the rows of its partners in these blocks."""
    cdef partners_block block
    cdef int width = given.shape[1]
    cdef ptrdiff_t n_users = out.shape[0] if to_field == 0 else given.shape[0], t
    cdef int64_t b, u, i
    with nogil:
        for t in range(blocks.shape[0]):
            b = blocks[t]
            if n_runs[b] == 0:
                continue
            u, i = first_row[b, 0], first_row[b, 1] - n_users
            block.n_runs = n_runs[b]
            block.user, block.count = &user[run_start[b]], &count[run_start[b]]
            block.item = &item[block_start[b]]
            if to_field == 0:
                partners_gather(&block, width, &given[i, 0], &out[u, 0])
            else:
                partners_scatter(&block, width, &given[u, 0], &out[i, 0])


def project(
    const float[:, ::1] left,           # IN    (n, k)
    const float[:, ::1] right,          # IN    (n, width), width a multiple of LANES
    float[:, ::1] out,                  # INOUT (k, width)
):
    """Add left^T right."""
    with nogil:
        partners_project(left.shape[0], left.shape[1], right.shape[1], &left[0, 0], &right[0, 0], &out[0, 0])


def expand(
    const float[:, ::1] left,           # IN    (n, k)
    const float[:, ::1] right,          # IN    (k, width), width a multiple of LANES
    float[:, ::1] rows,                 # INOUT (n, width)
):
    """Add left right."""
    with nogil:
        partners_expand(left.shape[0], left.shape[1], right.shape[1], &left[0, 0], &right[0, 0], &rows[0, 0])


def eigen(
    double[:, ::1] matrix,              # INOUT (k, k), symmetric; on return its diagonal has the eigenvalues
    double[:, ::1] vectors,             # OUT   (k, k): eigenvectors, as columns
):
    """Fill in eigenvalues and eigenvectors, in no order."""
    with nogil:
        partners_eigen(matrix.shape[0], &matrix[0, 0], &vectors[0, 0])
