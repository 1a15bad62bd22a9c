# Declarations of precision.h for other extension modules.

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t

from sklearn_mf._kernel.rows cimport row_table


cdef extern from "precision.h" nogil:
    int N_LEVEL_SUMS
    int SUM_OF_WEIGHTS
    int SUM_OF_SQUARES
    int SUM_OF_PARTNERS
    int PRECISION_PADDING
    int SGD_LANES
    double PRECISION_COUPLING
    double PRECISION_SMALLEST

    ctypedef enum sgd_loss:
        SGD_N_LOSSES

    ctypedef struct sgd_damping:
        float factors
        float bias

    ctypedef struct sgd_config:
        sgd_loss loss
        float parameter
        float offset
        int positive

    ctypedef struct sgd_scalars:
        float bias

    ctypedef struct precision_rule:
        float alpha
        float alpha_bias
        float fit_bias
        float curvature
        int has_curvatures
        sgd_damping[3] damping
        const float *mean_square

    ctypedef struct precision_gains:
        float factors
        float bias

    ctypedef struct precision_scratch:
        const float **rows
        float *squares
        int64_t *places
        float *sum

    ctypedef struct precision_block:
        ptrdiff_t n_ratings
        int n_fields
        int width
        int stride
        const int32_t *index
        const float *target
        const float *weight
        int64_t[2] first_row
        const int32_t *context_rows
        const float *rows
        const float *ties
        const sgd_scalars *scalars
        const double *n

    ctypedef struct precision_tables:
        int rank
        const row_table *rows
        const row_table *bias
        const row_table *sums
        float unit
        float noise
        double intercept
        float prior_weight

    double precision_left_out(const precision_block *block, const sgd_config *config, const precision_rule *rule,
                              double *squares, const precision_scratch *scratch)
    void precision_variances(ptrdiff_t n, int n_fields, const precision_tables *tables, const precision_rule *rule,
                             const float *row_square, int of_mean, const int32_t *index, double *variance,
                             double *score, const precision_scratch *scratch)
    void precision_select_simd(const char *name)


cdef fill_rule(precision_rule *to, rule, float[::1] mean_square)
cdef fill_config(sgd_config *to, rule)
