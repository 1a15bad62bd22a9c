"""Provide sgd.c and strata.c to Python: epochs on a block grid, and predictions.

Python allocates all arrays. This module checks lengths and indices once, releases the GIL, and fills the arrays.
"""

from typing import NamedTuple

import numpy as np

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from sklearn_mf._kernel.rows cimport RowTable, row_table


cdef extern from "sgd.h" nogil:
    int SGD_LANES
    int SGD_BATCH
    int SGD_USER_BIAS
    int SGD_ITEM_BIAS

    ctypedef enum sgd_loss:
        SGD_N_LOSSES

    const char *const sgd_loss_names[]

    ctypedef struct sgd_damping:
        float factors
        float bias

    ctypedef struct sgd_config:
        float step
        float alpha
        float alpha_bias
        float fit_bias
        sgd_loss loss
        float parameter
        float offset
        int positive
        sgd_damping[3] damping

    ctypedef struct sgd_scalars:
        float bias
        float per_rating

    ctypedef struct sgd_tables:
        int rank
        double intercept
        const row_table *rows
        const row_table *bias

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
        const uint8_t *batch_kinds
        const int64_t *block_start
        const int64_t *first_row
        float *rows
        sgd_scalars *scalars
        const float *ties
        const int32_t *context_rows
        const int64_t *context_start
        const float *context_merge_weight
        const float *context_step_factor
        float *own_rows
        sgd_scalars *own_scalars
        double *loss
        double limit

    int64_t STRATA_STATE_SIZE(int64_t n_groups)
    size_t strata_scratch(const strata_grid *grid)
    void strata_run(const strata_grid *grid, const sgd_config *config, int64_t n_strata, const int64_t *strata,
                    int64_t *state, void *scratch)
    void strata_run_block(const strata_grid *grid, const sgd_config *config, int64_t block, void *scratch)


cdef extern from "bounds.h" nogil:
    void bounds_of_index(ptrdiff_t n, int n_fields, const int32_t *index, int32_t shift, uint32_t *largest)


cdef enum:
    CACHE_LINE_FLOATS = 16

LANES = SGD_LANES  # rows are padded to a multiple of this many floats
LOSS_CODES = {sgd_loss_names[code].decode(): code for code in range(SGD_N_LOSSES)}
BIAS_CENTER_COLUMNS = (SGD_USER_BIAS, SGD_ITEM_BIAS)  # column of the bias center in the ties of users, of items


def select_simd(name):
    """Use the instruction set ``name`` ("auto", "avx512", "avx2" or "baseline"); return the one in use, or None."""
    cdef const char *chosen = sgd_select_simd(name.encode())
    return None if chosen is NULL else chosen.decode()


class UpdateRule(NamedTuple):
    """Hold the numbers that say how a rating changes its rows: penalties, loss and constraints (see sgd.h)."""

    alpha: float  # L2 strength of factors, per rating
    alpha_bias: float  # L2 strength of biases, per rating
    fit_bias: bool  # whether biases move
    loss: int  # one of LOSS_CODES
    loss_parameter: float  # epsilon or the quantile
    loss_offset: float  # number that the loss adds to a prediction: the intercept if targets are not centered
    positive: bool  # whether factors are kept at 0 or above
    damping: tuple  # (factors, bias) of users, of items and of context levels: L2 strength of a row


cdef class SyncState:
    """Hold the numbers of claimed and finished blocks of a run. The threads of the run share it."""

    cdef int64_t[::1] numbers

    def __init__(self, int64_t size):
        self.numbers = np.zeros(size, dtype=np.int64)

    @property
    def n_claimed(self):
        """Number of blocks that threads have claimed."""
        return self.numbers[0]


cdef class SGDKernel:
    """Update parameters with the ratings of a block grid, block by block.

    The constructor checks that the lengths of all arrays match, and that every index is in range. Nothing is copied:
    the arrays of ``parameters`` change in place.

    Parameters
    ----------
    grid : BlockGrid
        Its arrays by name; sklearn_mf/_training/grid.py has their shapes.

    parameters : Parameters
        ``table``, ``scalars`` and ``ties``; sklearn_mf/_training/parameters.py has their shapes.

    rule : UpdateRule
        Says how ratings change rows.
    """

    cdef readonly object losses  # float64 (n_blocks,): summed loss of each block, in the last run
    cdef object rule
    cdef tuple arrays  # keeps the memory of the pointers below
    cdef strata_grid grid
    cdef int64_t n_blocks

    def __init__(self, grid, parameters, rule):
        cdef const int32_t[:, ::1] index = grid.index
        cdef const float[::1] target = grid.target
        cdef const float[::1] weight = grid.weight
        cdef const uint8_t[::1] batch_kinds = grid.batch_kinds
        cdef const int64_t[::1] block_start = grid.block_start
        cdef const int64_t[:, ::1] first_row = grid.first_row
        cdef const int32_t[::1] context_rows = grid.context_rows
        cdef const int64_t[::1] context_start = grid.context_start
        cdef const float[::1] share = grid.context_merge_weight
        cdef const float[::1] pace = grid.context_step_factor
        cdef float[:, ::1] rows = parameters.table
        cdef float[:, ::1] scalars = parameters.scalars
        cdef const float[:, ::1] ties = parameters.ties
        if len(rule.damping) != 3:
            raise ValueError(f"There are {len(rule.damping)} dampings, but users, items and contexts need one each.")
        if not 0 <= rule.loss < SGD_N_LOSSES:
            raise ValueError(f"There is no loss of number {rule.loss} in the kernel.")
        _check_lengths(grid, parameters)
        _check_indices(grid, len(parameters.table))
        n_blocks = block_start.shape[0] - 1
        n_own = int(np.diff(grid.context_start[::grid.n_groups]).max()) if len(grid.context_rows) else 0
        width = parameters.table.shape[1] // (1 if parameters.ties is None else 2)
        cdef float[:, ::1] own_rows = aligned_rows(max(n_own, 1), width)
        cdef float[:, ::1] own_scalars = np.empty((max(n_own, 1), 2), dtype=np.float32)
        cdef double[::1] losses = np.zeros(n_blocks)
        self.rule, self.losses, self.n_blocks = rule, np.asarray(losses), n_blocks
        self.arrays = (
            index, target, weight, batch_kinds, block_start, first_row, context_rows, context_start, share, pace, rows, scalars,
            ties, own_rows, own_scalars,
        )
        self.grid.n_fields, self.grid.width, self.grid.n_groups = index.shape[1], width, grid.n_groups
        self.grid.index, self.grid.target, self.grid.batch_kinds = &index[0, 0], &target[0], &batch_kinds[0]
        self.grid.weight = &weight[0] if weight is not None else NULL
        self.grid.block_start, self.grid.first_row = &block_start[0], &first_row[0, 0]
        self.grid.rows, self.grid.scalars = &rows[0, 0], <sgd_scalars *>&scalars[0, 0]
        self.grid.ties = &ties[0, 0] if ties is not None else NULL
        self.grid.context_start = &context_start[0]
        self.grid.own_rows, self.grid.own_scalars = &own_rows[0, 0], <sgd_scalars *>&own_scalars[0, 0]
        if context_rows.shape[0]:  # NULL otherwise
            self.grid.context_rows, self.grid.context_merge_weight = &context_rows[0], &share[0]
            self.grid.context_step_factor = &pace[0]
        self.grid.loss = &losses[0]

    def new_sync_state(self):
        """Return the state that the threads of one ``run`` share."""
        return SyncState(STRATA_STATE_SIZE(self.grid.n_groups))

    def run(self, const int64_t[::1] strata, float step, double limit, SyncState sync_state):
        """Run the blocks of ``strata``, in order. Threads with the same ``sync_state`` share the blocks.

        If the loss of a block is above ``limit`` or NaN, the run ends early. ``losses`` gets the loss of each block.
        The grid must have all user groups.
        """
        cdef strata_grid grid = self.grid
        cdef int64_t t
        if self.n_blocks != grid.n_groups**2:
            raise ValueError("Only a grid of all user groups can run strata.")
        if sync_state is None or sync_state.numbers.shape[0] != STRATA_STATE_SIZE(grid.n_groups):
            raise ValueError("sync_state is not that of new_sync_state().")
        for t in range(strata.shape[0]):
            if not 0 <= strata[t] < grid.n_groups:
                raise IndexError(f"There is no stratum {strata[t]} among {grid.n_groups}.")
        if strata.shape[0] == 0:
            return
        cdef sgd_config config = self._config(step)
        grid.limit = limit
        cdef void *scratch = malloc(strata_scratch(&grid))
        if scratch is NULL:
            raise MemoryError
        with nogil:
            strata_run(&grid, &config, strata.shape[0], &strata[0], &sync_state.numbers[0], scratch)
        free(scratch)

    def run_block(self, int64_t block, float step):
        """Update the rows of one block with its ratings; return its summed loss.

        The grid must have two fields, because the blocks of a stratum share the rows of context fields.
        """
        cdef strata_grid grid = self.grid
        if grid.n_fields > 2:
            raise ValueError("Only a grid of two fields can run a single block.")
        if not 0 <= block < self.n_blocks:
            raise IndexError(f"There is no block {block} among {self.n_blocks}.")
        cdef sgd_config config = self._config(step)
        cdef void *scratch = malloc(strata_scratch(&grid))
        if scratch is NULL:
            raise MemoryError
        with nogil:
            strata_run_block(&grid, &config, block, scratch)
        free(scratch)
        return grid.loss[block]

    cdef sgd_config _config(self, float step):
        cdef sgd_config config
        cdef int f
        rule = self.rule
        config.step, config.alpha, config.alpha_bias = step, rule.alpha, rule.alpha_bias
        config.fit_bias, config.positive = float(rule.fit_bias), rule.positive
        config.loss, config.parameter, config.offset = <sgd_loss><int>rule.loss, rule.loss_parameter, rule.loss_offset
        for f, (factors, bias) in enumerate(rule.damping):
            config.damping[f].factors, config.damping[f].bias = factors, bias
        return config


def _check_lengths(grid, parameters):
    """Raise a ValueError for the first array whose shape does not match the others."""
    n, n_context_rows, n_blocks = len(grid.index), len(grid.context_rows), len(grid.own_groups) * grid.n_groups
    width = parameters.table.shape[1] // (1 if parameters.ties is None else 2)
    expected = {
        "target": (grid.target, (n,)),
        "batch_kinds": (grid.batch_kinds, (n // SGD_BATCH + n_blocks,)),
        "block_start": (grid.block_start, (n_blocks + 1,)),
        "first_row": (grid.first_row, (n_blocks, 2)),
        "context_start": (grid.context_start, (n_blocks + 1,)),
        "context_merge_weight": (grid.context_merge_weight, (n_context_rows,)),
        "context_step_factor": (grid.context_step_factor, (n_context_rows,)),
        "table": (parameters.table, (len(grid.row_weights), width * (1 if parameters.ties is None else 2))),
        "scalars": (parameters.scalars, (len(grid.row_weights), 2)),
    }
    if grid.weight is not None:
        expected["weight"] = grid.weight, (n,)
    if parameters.ties is not None:
        expected["ties"] = parameters.ties, (grid.n_pair_rows, SGD_LANES)
    for name, (array, shape) in expected.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, not {shape}.")
    if (n == 0 and n_blocks == grid.n_groups**2) or grid.index.shape[1] < 2 or grid.n_groups < 1:
        raise ValueError(f"index has shape {grid.index.shape}: it needs a rating, two fields and a group.")
    if width < SGD_LANES or width % SGD_LANES:
        raise ValueError(f"Rows of {width} floats are not padded to a multiple of {SGD_LANES}.")
    check_starts("block_start", grid.block_start, n)
    check_starts("context_start", grid.context_start, n_context_rows)


def aligned_rows(n, width):
    """Return float32 rows that touch as few cache lines as possible. They are not filled."""
    floats = np.empty(n * width + CACHE_LINE_FLOATS, dtype=np.float32)
    first = -floats.ctypes.data // 4 % CACHE_LINE_FLOATS
    return floats[first : first + n * width].reshape(n, width)


def check_starts(name, const int64_t[::1] start, int64_t end):
    """Raise a ValueError unless the numbers rise from 0 to ``end``."""
    cdef bint is_rising = start.shape[0] >= 1 and start[0] == 0 and start[start.shape[0] - 1] == end
    cdef ptrdiff_t b
    for b in range(start.shape[0] - 1):
        is_rising &= start[b] <= start[b + 1]
    if not is_rising:
        raise ValueError(f"{name} does not rise from 0 to {end}.")


def _check_indices(grid, int64_t n_rows):
    """Raise an IndexError unless the rows of every rating belong to the groups of its block."""
    cdef int64_t P = grid.n_groups, A = len(grid.own_groups), first_group = grid.own_groups.start
    cdef int64_t n_users = grid.n_users, n_pair_rows = grid.n_pair_rows, b, item_group, user_end, item_end
    cdef const int64_t[:, ::1] first_row = grid.first_row
    cdef int64_t[::1] first_item = np.full(P + 1, n_pair_rows, dtype=np.int64)  # of each item group
    cdef const int64_t[::1] context_start = grid.context_start
    cdef int64_t[:, ::1] largest = largest_indices(grid.index, grid.block_start)
    cdef bint is_divided = n_users <= n_pair_rows <= n_rows, is_within = True
    is_divided &= P * A == 0 or first_row[0, 0] == 0
    cdef int f
    for b in range(0, P * A, max(A, 1)):  # the block of the first user group in each stratum
        first_item[(first_group + b // A) % P] = first_row[b, 1]
    is_divided &= P * A == 0 or first_item[0] == n_users
    for b in range(P * A):
        item_group = (first_group + b % A + b // A) % P
        user_end = first_row[b % A + 1, 0] if b % A + 1 < A else n_users
        item_end = first_item[item_group + 1]
        is_divided &= first_row[b, 0] == first_row[b % A, 0] <= user_end
        is_divided &= first_row[b, 1] == first_item[item_group] <= item_end
        is_within &= largest[b, 0] <= user_end - first_row[b, 0] and largest[b, 1] <= item_end - first_row[b, 1]
        for f in range(2, largest.shape[1]):
            is_within &= largest[b, f] <= context_start[b + 1] - context_start[b]
    if not is_divided:
        raise IndexError("first_row does not divide the rows of users and of items into groups.")
    if not is_within:
        raise IndexError("An index of a rating is beyond the rows of its block.")
    if len(grid.context_rows) and not 0 <= grid.context_rows.min() <= grid.context_rows.max() < n_rows:
        raise IndexError("context_rows is beyond the rows of the table.")


def largest_indices(const int32_t[:, ::1] index, const int64_t[::1] block_start):
    """Find 1 + the largest index by block and field, int64 (n_blocks, n_fields). A negative index gives more than 2**31."""
    cdef int n_fields = index.shape[1], f
    cdef ptrdiff_t b
    cdef uint32_t[::1] of_block = np.empty(max(n_fields, 1), dtype=np.uint32)
    check_starts("block_start", block_start, index.shape[0])
    cdef int64_t[:, ::1] largest = np.zeros((block_start.shape[0] - 1, n_fields), dtype=np.int64)
    with nogil:
        for b in range(largest.shape[0]):
            if block_start[b + 1] > block_start[b]:
                bounds_of_index(block_start[b + 1] - block_start[b], n_fields, &index[block_start[b], 0], 0,
                                &of_block[0])
                for f in range(n_fields):
                    largest[b, f] = <int64_t>of_block[f] + 1
    return np.asarray(largest)


def predict(
    const int32_t[:, ::1] index,        # IN    (n, n_fields), -1 for an unknown level
    list factors,                       # IN    n_fields tables (n_levels, rank), all of the same rank
    list biases,                        # IN    n_fields tables (n_levels,)
    double intercept,
    double[::1] out,                    # OUT   (n,)
):
    """Fill ``out`` with the scores of the rows of ``index``."""
    cdef int n_fields = len(factors), f
    cdef ptrdiff_t n = index.shape[0]
    cdef sgd_tables tables
    if index.shape[1] != n_fields or out.shape[0] != n:
        raise ValueError("index, factors, biases and out do not fit each other.")
    if n == 0:
        return
    cdef row_table *views = <row_table *>malloc(2 * n_fields * sizeof(row_table))
    if views is NULL:
        raise MemoryError
    try:
        check_tables(factors, biases)
        check_index(index, factors)
        for f in range(n_fields):
            views[f], views[n_fields + f] = (<RowTable>factors[f]).table, (<RowTable>biases[f]).table
        tables.rank = views[0].n_columns
        tables.intercept, tables.rows, tables.bias = intercept, views, views + n_fields
        with nogil:
            sgd_predict(n, n_fields, &tables, &index[0, 0], &out[0])
    finally:
        free(views)


def check_tables(list factors, list biases):
    """Raise a ValueError unless each table of factors has a table of biases, and all have the same rank."""
    cdef RowTable rows, bias
    if len(biases) != len(factors):
        raise ValueError("The numbers of tables of factors and of biases differ.")
    for rows, bias in zip(factors, biases):
        if len(rows.shape) != 2 or rows.shape[1] != (<RowTable>factors[0]).shape[1] or bias.shape != rows.shape[:1]:
            raise ValueError("factors and biases do not fit each other.")


def check_index(const int32_t[:, ::1] index, list tables):
    """Raise an IndexError unless each index is -1 or below the number of rows of the table of its field."""
    cdef int n_fields = index.shape[1], f
    cdef uint32_t *largest = <uint32_t *>malloc((n_fields + 1) * sizeof(uint32_t))
    if largest is NULL:
        raise MemoryError
    try:
        with nogil:
            bounds_of_index(index.shape[0], n_fields, &index[0, 0], 1, largest)  # of index + 1, so that -1 is allowed
        for f in range(n_fields):
            if largest[f] > len(tables[f]):
                raise IndexError(f"An index of field {f} is beyond its {len(tables[f])} levels.")
    finally:
        free(largest)
