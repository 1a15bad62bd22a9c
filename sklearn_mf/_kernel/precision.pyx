"""Provide precision.c to Python: squared errors of ratings in training, and variances of predictions."""

from typing import NamedTuple

import numpy as np

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

from sklearn_mf._kernel.rows cimport RowTable, row_table

from sklearn_mf._kernel.sgd import check_index, check_starts, check_tables, largest_indices

# Columns of the sums that are kept for each level.
WEIGHTS, SQUARES, PARTNERS, N_SUMS = SUM_OF_WEIGHTS, SUM_OF_SQUARES, SUM_OF_PARTNERS, N_LEVEL_SUMS
COUPLING, SMALLEST = PRECISION_COUPLING, PRECISION_SMALLEST


def select_simd(str name):
    """Use this instruction set from now on. The processor must have it."""
    precision_select_simd(name.encode())


class PrecisionRule(NamedTuple):
    """Hold the loss, and the numbers that give the precision of a row from its ratings (see precision.h)."""

    alpha: float  # L2 strength of factors, per rating
    alpha_bias: float  # L2 strength of biases, per rating
    fit_bias: bool  # whether there are biases
    damping: tuple  # (factors, bias) of users, of items and of context levels: L2 strength of a row
    curvature: float  # average curvature of the loss of a rating
    has_curvatures: bool  # whether the sums of a level have its curvature instead of its squares
    mean_squares: tuple  # for each field, mean square of a component of s - V_f over all ratings
    loss: int  # one of LOSS_CODES
    loss_parameter: float  # epsilon or the quantile
    loss_offset: float  # number that the loss adds to a prediction
    positive: bool  # whether factors are kept at 0 or above


cdef fill_rule(precision_rule *to, rule, float[::1] mean_square):
    """Fill in the C struct of a PrecisionRule. ``mean_square`` gets its mean squares."""
    cdef int f
    if len(rule.damping) != 3 or mean_square.shape[0] != len(rule.mean_squares) or mean_square.shape[0] < 2:
        raise ValueError("A rule has three dampings, and a mean square for each field.")
    to.alpha, to.alpha_bias, to.fit_bias = rule.alpha, rule.alpha_bias, float(rule.fit_bias)
    to.curvature, to.has_curvatures = rule.curvature, rule.has_curvatures
    for f, (factors, bias) in enumerate(rule.damping):
        to.damping[f].factors, to.damping[f].bias = factors, bias
    for f, square in enumerate(rule.mean_squares):
        mean_square[f] = square
    to.mean_square = &mean_square[0]


cdef fill_config(sgd_config *to, rule):
    """Fill in the loss of a PrecisionRule."""
    if not 0 <= rule.loss < SGD_N_LOSSES:
        raise ValueError(f"There is no loss of number {rule.loss} in the kernel.")
    to.loss, to.parameter, to.offset = <sgd_loss><int>rule.loss, rule.loss_parameter, rule.loss_offset
    to.positive = rule.positive


cdef class Scratch:
    """Hold the scratch memory of a thread."""

    cdef precision_scratch parts
    cdef void *memory

    def __cinit__(self, Py_ssize_t n_fields, Py_ssize_t width):
        cdef size_t n_floats = 2 * n_fields + width + PRECISION_PADDING
        self.memory = malloc(n_fields * (sizeof(float *) + sizeof(int64_t)) + n_floats * sizeof(float))
        if self.memory is NULL:
            raise MemoryError
        self.parts.rows = <const float **>self.memory
        self.parts.places = <int64_t *>(self.parts.rows + n_fields)
        self.parts.squares = <float *>(self.parts.places + n_fields)
        self.parts.sum = self.parts.squares + 2 * n_fields

    def __dealloc__(self):
        free(self.memory)


cdef class LeftOutErrors:
    """Sum the squared errors of ratings over the blocks of a grid, each as if the rating had been left out of its rows.

    The constructor checks lengths and indices. Only ``squares`` changes.

    Parameters
    ----------
    grid : BlockGrid
        The ratings.

    parameters : Parameters
        Rows, biases and ties.

    rule : PrecisionRule
        How the precision of rows is computed.
    """

    cdef readonly object squares  # float64 (n_rows,); for counts, the summed curvature
    cdef tuple arrays
    cdef precision_block block
    cdef precision_rule rule
    cdef sgd_config config
    cdef const int64_t[::1] block_start, context_start
    cdef const int64_t[:, ::1] first_row
    cdef const int32_t[::1] context_rows

    def __init__(self, grid, parameters, rule):
        cdef const int32_t[:, ::1] index = grid.index
        cdef const float[::1] target = grid.target
        cdef const float[::1] weight = grid.weight
        cdef const float[:, ::1] rows = parameters.table
        cdef const float[:, ::1] scalars = parameters.scalars
        cdef const float[:, ::1] ties = parameters.ties
        cdef const double[::1] n = grid.row_weights
        cdef float[::1] mean_square = np.empty(len(rule.mean_squares), dtype=np.float32)
        n_rows, n_ratings, n_blocks = len(parameters.table), len(grid.index), len(grid.block_start) - 1
        width = parameters.table.shape[1] // (1 if parameters.ties is None else 2)
        lengths = [
            (len(grid.target), n_ratings), (n_ratings if grid.weight is None else len(grid.weight), n_ratings),
            (parameters.scalars.shape, (n_rows, 2)), (len(grid.row_weights), n_rows), (mean_square.shape[0], index.shape[1]),
            (grid.first_row.shape, (n_blocks, 2)), (len(grid.context_start), n_blocks + 1),
            (width % SGD_LANES, 0),
        ]
        if parameters.ties is not None:
            lengths.append((parameters.ties.shape, (grid.n_pair_rows, SGD_LANES)))
        if any(found != wanted for found, wanted in lengths):
            raise ValueError("The arrays of grid, parameters and rule do not fit each other.")
        largest = largest_indices(grid.index, grid.block_start)
        last_row = [grid.n_users, grid.n_pair_rows] - largest[:, :2]
        if (grid.first_row < 0).any() or (grid.first_row > last_row).any() or grid.n_pair_rows > n_rows:
            raise IndexError("An index of a rating is beyond the rows of its block.")
        check_starts("context_start", grid.context_start, len(grid.context_rows))
        if (largest[:, 2:] > np.diff(grid.context_start)[:, None]).any():
            raise IndexError("An index of a rating is beyond the context rows of its block.")
        if len(grid.context_rows) and not 0 <= grid.context_rows.min() <= grid.context_rows.max() < n_rows:
            raise IndexError("context_rows is beyond the rows of the table.")
        fill_rule(&self.rule, rule, mean_square)
        fill_config(&self.config, rule)
        self.squares = np.zeros(n_rows)
        self.arrays = index, target, weight, rows, scalars, ties, n, mean_square
        self.block_start, self.context_start, self.first_row = grid.block_start, grid.context_start, grid.first_row
        self.context_rows = grid.context_rows
        self.block.n_fields, self.block.width, self.block.stride = index.shape[1], width, rows.shape[1]
        self.block.rows, self.block.n = &rows[0, 0], &n[0]
        self.block.scalars = <const sgd_scalars *>&scalars[0, 0]
        self.block.ties = &ties[0, 0] if ties is not None else NULL

    def add_block(self, int64_t b):
        """Add the ratings of a block to ``squares``; return the sum that was added to users.

        Blocks without a row in common may run at the same time.
        """
        cdef const int32_t[:, ::1] index = self.arrays[0]
        cdef const float[::1] target = self.arrays[1]
        cdef const float[::1] weight = self.arrays[2]
        cdef double[::1] squares = self.squares
        cdef precision_block block = self.block
        cdef double total
        if not 0 <= b < self.block_start.shape[0] - 1:
            raise IndexError(f"There is no block {b} among {self.block_start.shape[0] - 1}.")
        cdef int64_t lo = self.block_start[b]
        block.n_ratings = self.block_start[b + 1] - lo
        if block.n_ratings == 0:
            return 0.0
        block.index, block.target = &index[lo, 0], &target[lo]
        block.weight = &weight[lo] if weight is not None else NULL
        block.first_row[0], block.first_row[1] = self.first_row[b, 0], self.first_row[b, 1]
        block.context_rows = &self.context_rows[self.context_start[b]] if block.n_fields > 2 else NULL
        cdef Scratch scratch = Scratch(block.n_fields, block.width)
        with nogil:
            total = precision_left_out(&block, &self.config, &self.rule, &squares[0], &scratch.parts)
        return total


def variances(
    const int32_t[:, ::1] index,        # IN    (n, n_fields), -1 for an unknown level
    model,                              # factors (n_levels, rank) and biases (n_levels,) by field, and the intercept
    list sums,                          # IN    n_fields tables (n_levels, N_SUMS)
    rule,                               # a PrecisionRule
    double unit,                        # scale of the ratings; squares of rows are divided by it
    double noise,                       # variance of a rating, on the standardized scale
    double prior_weight,                # number of ratings with this noise that are added to each level
    bint of_mean,                       # whether to leave out the noise of the rating itself
    double[::1] out,                    # OUT   (n,)
    double[::1] scores,                 # OUT   (n,): with two fields, the same as from predict
):
    """Fill ``out`` with the variances of the predictions of the rows of ``index``, on the standardized scale."""
    cdef int n_fields = len(sums), f
    cdef ptrdiff_t n = index.shape[0]
    cdef precision_tables tables
    cdef precision_rule c_rule
    cdef RowTable level_sums
    cdef float[::1] mean_square = np.empty(len(rule.mean_squares), dtype=np.float32)
    factors, biases = model.factors, model.biases
    if index.shape[1] != n_fields or len(factors) != n_fields or mean_square.shape[0] != n_fields:
        raise ValueError("index, model, sums and rule do not fit each other.")
    if out.shape[0] != n or scores.shape[0] != n:
        raise ValueError("index, out and scores do not fit each other.")
    check_tables(factors, biases)
    for rows, level_sums in zip(factors, sums):
        if level_sums.shape != (len(rows), N_LEVEL_SUMS):
            raise ValueError("factors and sums do not fit each other.")
    if n == 0:
        return
    check_index(index, factors)
    fill_rule(&c_rule, rule, mean_square)
    tables.rank = (<RowTable>factors[0]).table.n_columns
    # sum_f m_f rank = (n_fields - 1) sum_f |V_f|^2, on average
    rank_squares = np.array(rule.mean_squares, dtype=np.float64) * tables.rank
    cdef float[::1] row_square = np.maximum(rank_squares.sum() / (n_fields - 1) - rank_squares, 0.0).astype(np.float32)
    cdef Scratch scratch = Scratch(n_fields, tables.rank)
    cdef row_table *views = <row_table *>malloc(3 * n_fields * sizeof(row_table))
    if views is NULL:
        raise MemoryError
    try:
        for f in range(n_fields):
            views[f] = (<RowTable>factors[f]).table
            views[n_fields + f] = (<RowTable>biases[f]).table
            views[2 * n_fields + f] = (<RowTable>sums[f]).table
        tables.rows, tables.bias, tables.sums = views, views + n_fields, views + 2 * n_fields
        tables.unit, tables.noise, tables.prior_weight, tables.intercept = unit, noise, prior_weight, model.intercept
        with nogil:
            precision_variances(n, n_fields, &tables, &c_rule, &row_square[0], of_mean, &index[0, 0], &out[0],
                                &scores[0], &scratch.parts)
    finally:
        free(views)
