"""Provide online.c to Python: learn ratings one after another."""

import numpy as np

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free, malloc

from sklearn_mf._kernel.precision cimport (
    N_LEVEL_SUMS, fill_config, fill_rule, precision_gains, precision_rule, sgd_config,
)
from sklearn_mf._kernel.rows cimport RowTable, row_table

from sklearn_mf._kernel.sgd import check_index, check_tables


cdef extern from "online.h" nogil:
    ctypedef struct online_model:
        int n_fields
        int rank
        double intercept
        double unit
        double forgetting
        const row_table *rows
        const row_table *bias
        const row_table *sums
        const row_table *centers
        const row_table *coefficients
        int[2] has_centers
        double *square_sums
        double *totals

    ctypedef struct online_ratings:
        ptrdiff_t n_ratings
        const int32_t *index
        const double *y
        const double *y_old
        const double *weight
        const uint8_t *is_partner

    ctypedef struct online_level:
        pass

    int ONLINE_AHEAD

    ctypedef struct online_scratch:
        online_level *levels
        float *others
        float *mean_square
        precision_gains *gains
        double *squares

    double online_update(const online_ratings *ratings, const online_model *model, const sgd_config *config,
                         precision_rule *rule, const online_scratch *scratch)


def update(
    tables,                             # INOUT an OnlineTables, which nobody else reads yet
    rule,                               # a PrecisionRule
    double intercept,
    double unit,                        # a rating is standardized as (y - intercept) / unit
    double forgetting,
    const int32_t[:, ::1] index,        # IN    (n, n_fields)
    const double[::1] y,                # IN    (n,)
    const double[::1] y_old,            # IN    (n,), NaN if a rating replaces nothing; or None
    const double[::1] weight,           # IN    (n,) or None
    const uint8_t[:, ::1] is_partner,   # IN    (n, 2): whether the user, and whether the item gains a partner
    double[::1] square_sums,            # INOUT (n_fields,): sum of w |s - V_f|^2 over all ratings
    double[::1] totals,                 # INOUT (2,): sum of w over all ratings, and sum of w times noise
):
    """Learn the ratings in their order; return the sum of losses. Each is measured before its rating is learned."""
    cdef int n_fields = index.shape[1], f
    cdef ptrdiff_t n = index.shape[0]
    cdef online_model model
    cdef online_ratings ratings
    cdef sgd_config config
    cdef precision_rule c_rule
    cdef float[::1] mean_square = np.empty(n_fields, dtype=np.float32)
    cdef double total
    _check(tables, index, is_partner, square_sums, totals)
    if y.shape[0] != n or n == 0 or (y_old is not None and y_old.shape[0] != n):
        raise ValueError("index, y and y_old do not fit each other.")
    if weight is not None and weight.shape[0] != n:
        raise ValueError("index and weight do not fit each other.")
    fill_rule(&c_rule, rule, mean_square)
    fill_config(&config, rule)
    cdef online_scratch scratch
    cdef float[::1] others = np.empty((n_fields + 1) * max(tables.rank, 1), dtype=np.float32)
    cdef float[::1] gains = np.empty(2 * n_fields, dtype=np.float32)
    cdef double[::1] squares = np.empty(n_fields)
    scratch.others, scratch.mean_square, scratch.squares = &others[0], &mean_square[0], &squares[0]
    scratch.gains = <precision_gains *>&gains[0]
    cdef row_table *views = <row_table *>malloc((3 * n_fields + 4) * sizeof(row_table))
    scratch.levels = <online_level *>malloc(ONLINE_AHEAD * n_fields * sizeof(online_level))
    try:
        if views is NULL or scratch.levels is NULL:
            raise MemoryError
        for f in range(n_fields):
            views[f] = (<RowTable>tables.factors[f]).table
            views[n_fields + f] = (<RowTable>tables.biases[f]).table
            views[2 * n_fields + f] = (<RowTable>tables.sums[f]).table
        for f in range(2):
            model.has_centers[f] = tables.centers[f] is not None and tables.coefficients[f] is not None
            if model.has_centers[f]:
                views[3 * n_fields + f] = (<RowTable>tables.centers[f]).table
                views[3 * n_fields + 2 + f] = (<RowTable>tables.coefficients[f]).table
        model.n_fields, model.rank, model.intercept, model.unit = n_fields, tables.rank, intercept, unit
        model.forgetting = forgetting
        model.rows, model.bias, model.sums = views, views + n_fields, views + 2 * n_fields
        model.centers, model.coefficients = views + 3 * n_fields, views + 3 * n_fields + 2
        model.square_sums, model.totals = &square_sums[0], &totals[0]
        ratings.n_ratings, ratings.index, ratings.y = n, &index[0, 0], &y[0]
        ratings.y_old = &y_old[0] if y_old is not None else NULL
        ratings.weight = &weight[0] if weight is not None else NULL
        ratings.is_partner = &is_partner[0, 0]
        with nogil:
            total = online_update(&ratings, &model, &config, &c_rule, &scratch)
    finally:
        free(views)
        free(scratch.levels)
    return total


def _check(tables, index, is_partner, square_sums, totals):
    """Raise an error unless the tables have the right shapes and a row for each index."""
    n, n_fields = index.shape[0], index.shape[1]
    if n_fields < 2 or len(tables.factors) != n_fields or len(tables.sums) != n_fields:
        raise ValueError("There are not as many tables as columns of index.")
    check_tables(tables.factors, tables.biases)
    for table in (*tables.sums, *tables.centers, *tables.coefficients):
        if table is not None and not isinstance(table, RowTable):
            raise TypeError("Sums, centers and coefficients are each a RowTable.")
    if tables.rank != tables.factors[0].shape[1]:
        raise ValueError("rank is not that of the factors.")
    check_index(index, tables.factors)
    if np.asarray(index).min(initial=0) < 0:
        raise IndexError("An index is below 0.")
    for rows, sums in zip(tables.factors, tables.sums):
        if sums.shape != (len(rows), N_LEVEL_SUMS):
            raise ValueError("factors and sums do not fit each other.")
    for f in range(2):
        if tables.centers[f] is not None and tables.coefficients[f] is not None:
            shapes = (len(tables.factors[f]), tables.rank + 1), (len(tables.factors[1 - f]), tables.rank + 1)
            if (tables.centers[f].shape, tables.coefficients[f].shape) != shapes:
                raise ValueError("centers and coefficients do not fit the factors.")
    if is_partner.shape[0] != n or is_partner.shape[1] != 2:
        raise ValueError("is_partner does not have two numbers for each rating.")
    if square_sums.shape[0] != n_fields or totals.shape[0] != 2:
        raise ValueError("square_sums needs a number for each field, and totals needs two numbers.")
