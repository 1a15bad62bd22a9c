"""The typed boundary between Python and ``sgd.c``: Python validates and allocates, these functions fill.

Every function releases the GIL and touches nothing but the arrays it is given.
"""

import os

import numpy as np

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc


cdef extern from "sgd.h" nogil:
    int SGD_LANES

    ctypedef struct sgd_config:
        float step
        float alpha
        float alpha_bias
        float fit_bias

    ctypedef struct sgd_block:
        ptrdiff_t n_ratings
        int n_fields
        int width
        const int32_t *index
        const float *target
        const float *weight
        float *const *rows
        float *const *bias
        const float *const *damping

    double sgd_update_block(const sgd_block *block, const sgd_config *config, float *sum)
    void sgd_copy_rows(ptrdiff_t n, int width, const int32_t *which, const float *rows, const float *bias,
                       const float *damping, float *own_rows, float *own_bias, float *own_damping)
    void sgd_subtract_rows(ptrdiff_t n, int width, const int32_t *which, const float *rows, const float *bias,
                           float *own_rows, float *own_bias)
    void sgd_add_rows(ptrdiff_t n, int width, const int32_t *which, const float *share, const float *own_rows,
                      const float *own_bias, float *rows, float *bias)
    void sgd_predict(ptrdiff_t n, int n_fields, int rank, const int32_t *index, const float *const *rows,
                     const float *const *bias, double intercept, float *sum, double *out)
    const char *sgd_select_simd(const char *name)


LANES = SGD_LANES  # rows are padded to a multiple of this many floats


def select_simd(name):
    """Use the instruction set ``name`` ("auto", "avx2" or "baseline") from now on; return the name in use."""
    cdef const char *chosen = sgd_select_simd(name.encode())
    if chosen is NULL:
        raise ValueError(
            f"SKLEARN_MF_SIMD={name!r} is not available on this processor and build; use 'auto', 'avx2' or 'baseline'."
        )
    return chosen.decode()


SIMD = select_simd(os.environ.get("SKLEARN_MF_SIMD") or "auto")


def update_blocks(
    const int32_t[:, ::1] index,        # IN    (n_ratings, n_fields)
    const float[::1] target,            # IN    (n_ratings,)
    const float[::1] weight,            # IN    (n_ratings,) or None
    const int64_t[::1] block_start,     # IN    (n_blocks + 1,): a block's ratings
    const int64_t[:, ::1] first_row,    # IN    (n_blocks, 2): a block's first user row and first item row
    float[:, ::1] rows,                 # INOUT (n_rows, width), width >= LANES: all fields, stacked
    float[::1] bias,                    # INOUT (n_rows,)
    const float[::1] damping,           # IN    (n_rows,)
    const int32_t[::1] touched,         # IN    (n_touched,): rows of further fields that each block works on
    const int64_t[::1] touched_start,   # IN    (n_blocks + 1,): a block's part of `touched`
    float[:, ::1] own_rows,             # OUT   (n_own, width): changes of the touched rows, from own_start on
    float[::1] own_bias,                # OUT   (n_own,)
    float[::1] own_damping,             # OUT   (n_own,): scratch
    int64_t own_start,                  # place in `touched` that own_rows begins with
    int64_t first, int64_t stop, int64_t stride,  # the blocks to run
    float step, float alpha, float alpha_bias, float fit_bias,
    double[::1] loss,                   # OUT   (n_blocks,)
):
    """Run the updates of the blocks ``first, first + stride, ...`` below ``stop``, one after another."""
    cdef sgd_config config
    config.step, config.alpha, config.alpha_bias, config.fit_bias = step, alpha, alpha_bias, fit_bias
    cdef sgd_block block
    cdef int n_fields = index.shape[1], width = rows.shape[1], f
    cdef int64_t b, lo, own, n_own
    cdef float[::1] sum = np.empty(width, dtype=np.float32)
    cdef float **tables = <float **>malloc(3 * n_fields * sizeof(float *))
    if tables is NULL:
        raise MemoryError
    cdef float *row_data = &rows[0, 0]
    cdef float *own_data = &own_rows[0, 0] if own_rows.shape[0] else NULL
    try:
        with nogil:
            block.n_fields, block.width = n_fields, width
            block.rows, block.bias = tables, tables + n_fields
            block.damping = <const float *const *>(tables + 2 * n_fields)
            for b in range(first, stop):
                if (b - first) % stride:
                    continue
                lo = block_start[b]
                block.n_ratings = block_start[b + 1] - lo
                if block.n_ratings == 0:
                    loss[b] = 0.0
                    continue
                block.index, block.target = &index[lo, 0], &target[lo]
                block.weight = &weight[lo] if weight is not None else NULL
                for f in range(2):
                    tables[f] = row_data + first_row[b, f] * width
                    tables[n_fields + f] = &bias[first_row[b, f]]
                    tables[2 * n_fields + f] = <float *>&damping[first_row[b, f]]
                n_own = touched_start[b + 1] - touched_start[b]
                if n_own:
                    own = touched_start[b] - own_start
                    for f in range(2, n_fields):
                        tables[f] = own_data + own * width
                        tables[n_fields + f] = &own_bias[own]
                        tables[2 * n_fields + f] = &own_damping[own]
                    sgd_copy_rows(n_own, width, &touched[touched_start[b]], row_data, &bias[0], &damping[0],
                                  own_data + own * width, &own_bias[own], &own_damping[own])
                loss[b] = sgd_update_block(&block, &config, &sum[0])
                if n_own:
                    sgd_subtract_rows(n_own, width, &touched[touched_start[b]], row_data, &bias[0],
                                      own_data + own * width, &own_bias[own])
    finally:
        free(tables)


def add_changes(
    const int32_t[::1] touched,         # IN    (n_touched,)
    const float[::1] share,             # IN    (n_touched,): part of its change that counts
    const float[:, ::1] own_rows,       # IN    (>= stop - start, width)
    const float[::1] own_bias,          # IN    (>= stop - start,)
    int64_t start, int64_t stop,        # the part of `touched` that the own arrays hold
    float[:, ::1] rows,                 # INOUT (n_rows, width)
    float[::1] bias,                    # INOUT (n_rows,)
):
    """Add the changes that the blocks of a stratum made to their copies of shared rows, in block order."""
    cdef int width = rows.shape[1]
    if start == stop:
        return
    with nogil:
        sgd_add_rows(stop - start, width, &touched[start], &share[start], &own_rows[0, 0],
                     &own_bias[0], &rows[0, 0], &bias[0])


def predict(
    const int32_t[:, ::1] index,        # IN    (n, n_fields), -1 for a level never seen
    list factors,                       # IN    n_fields float32 arrays (n_levels, rank), one rank for all
    list biases,                        # IN    n_fields float32 arrays (n_levels,)
    double intercept,
    double[::1] out,                    # OUT   (n,)
):
    """Fill ``out`` with the predicted ratings."""
    cdef int n_fields = len(factors), rank = factors[0].shape[1], f
    cdef ptrdiff_t n = index.shape[0]
    cdef const float[:, ::1] rows
    cdef const float[::1] bias
    cdef float[::1] sum = np.empty(rank + 1, dtype=np.float32)
    cdef const float **tables = <const float **>malloc(2 * n_fields * sizeof(float *))
    if tables is NULL:
        raise MemoryError
    try:
        for f in range(n_fields):
            rows, bias = factors[f], biases[f]
            tables[f] = &rows[0, 0] if rank else &sum[0]
            tables[n_fields + f] = &bias[0]
        if n:
            with nogil:
                sgd_predict(n, n_fields, rank, &index[0, 0], tables, tables + n_fields, intercept, &sum[0], &out[0])
    finally:
        free(tables)
