/* The precision of the rows of a model. Plain C: no Python, no threads, no allocation.
 *
 * The precision of a row grows with its ratings, as in recursive least squares with one number for each row:
 *
 *   k_f  = 1 / (alpha n_f + delta_f + c_f m_f)        kb_f = 1 / (alpha_bias n_f + delta_b + c_f)
 *
 *   n    summed weight of the ratings of the row
 *   c    summed curvature of their expected losses: n for the squared loss; for counts, the sum of w times the expected
 *        count
 *   m_f  mean square, over all ratings, of a component of s - V_f, the gradient of a prediction with respect to V_f
 *   s    sum of the factor rows of one rating
 *   e    error, target - prediction, on the standardized scale
 *   h    variance of the expected rating, relative to the noise of a rating:
 *
 *   h    = curvature sum_f (u k_f |s - V_f|^2 + kb_f),  u = PRECISION_COUPLING, curvature = 1 for the squared loss
 *
 * If a rating is left out of its rows, n_f becomes n_f - w, and h is larger. Without this rating, the error of its
 * prediction would have been e (1 + h). The noise of a rating is e^2 (1 + h) on average (Cook and Weisberg 1982, section
 * 2.2).
 */
#ifndef SKLEARN_MF_PRECISION_H
#define SKLEARN_MF_PRECISION_H

#include "sgd.h"

/* Sums over the ratings of each level. */
enum {
    SUM_OF_WEIGHTS,  /* n */
    SUM_OF_SQUARES,  /* sum of w times the noise of each rating, e^2 (1 + h); for counts, c instead */
    SUM_OF_PARTNERS, /* number of items of a user, or of users of an item */
    N_LEVEL_SUMS
};

/* Rows of both sides are estimated from each other. This makes the first part of h larger by this factor. */
#define PRECISION_COUPLING 1.15f

typedef struct {
    float alpha, alpha_bias;  /* L2 strengths, per rating */
    float fit_bias;           /* 1 or 0 */
    float curvature;          /* average curvature of the loss of a rating of weight 1 */
    int has_curvatures;       /* whether c is kept, as for counts */
    sgd_damping damping[3];   /* of users, of items, of levels of context fields */
    const float *mean_square; /* (n_fields,): m */
} precision_rule;

typedef struct {
    float factors, bias; /* k, kb */
} precision_gains;

#define PRECISION_SMALLEST 1e-12f /* lower limit of precisions, for rows without penalties and ratings */

/* k and kb of a row of field f with summed weight n and summed curvature c. */
static inline precision_gains precision_of(const precision_rule *rule, int f, float n, float c)
{
    const sgd_damping damping = rule->damping[f < 2 ? f : 2];
    const float smallest = PRECISION_SMALLEST;
    const float factors = rule->alpha * n + damping.factors + c * rule->mean_square[f];
    const float bias = rule->alpha_bias * n + damping.bias + c;
    return (precision_gains){1.0f / (factors > smallest ? factors : smallest),
                             rule->fit_bias / (bias > smallest ? bias : smallest)};
}

/* c of a row with these sums, without a rating of weight w. */
static inline float curvature_of(const precision_rule *rule, const float *sums, float w)
{
    const float c = rule->has_curvatures ? sums[SUM_OF_SQUARES] : rule->curvature * sums[SUM_OF_WEIGHTS];
    const float left = c - rule->curvature * w;
    return left > 0.0f ? left : 0.0f;
}

/* Scratch of a thread; m is the number of fields. */
typedef struct {
    const float **rows; /* (m,) */
    float *squares;     /* (m,) */
    int64_t *places;    /* (m,) */
    float *sum;         /* (width + PRECISION_PADDING,) */
} precision_scratch;
enum { PRECISION_PADDING = 16 };

/* A block of ratings of a grid (see strata.h). */
typedef struct {
    ptrdiff_t n_ratings;
    int n_fields, width, stride; /* stride: floats from one row to the next */
    const int32_t *index;
    const float *target, *weight; /* weight may be NULL */
    int64_t first_row[2];         /* first row of its users, and of its items */
    const int32_t *context_rows;  /* stacked row of each context row of the block */
    const float *rows;            /* of all fields */
    const float *ties;            /* or NULL */
    const sgd_scalars *scalars;
    const double *n; /* summed weights of all rows */
} precision_block;

/* Adds w e^2 (1 + h) of each rating, as if left out, to the squares of its rows. For counts, adds w times the expected
 * count. Returns the sum that was added to users. `config` has the loss. */
double precision_left_out(const precision_block *block, const sgd_config *config, const precision_rule *rule,
                          double *squares, const precision_scratch *scratch);

/* A fitted model, and the sums of its rows. */
typedef struct {
    int rank;
    const row_table *rows; /* n_fields tables of (n_levels_f, rank), on the scale of the ratings */
    const row_table *bias; /* n_fields tables of (n_levels_f,) */
    const row_table *sums; /* n_fields tables of (n_levels_f, N_LEVEL_SUMS) */
    float unit;            /* the scale of the ratings; squares of rows are divided by it */
    float noise;           /* variance of a rating around its expected value, on the standardized scale */
    double intercept;
    float prior_weight;    /* number of ratings with this noise that are added to each level */
} precision_tables;

/* variance[i] = s_u^2 s_i^2 / s^2 (h + 1), or without the 1 if `of_mean`, on the standardized scale. Index -1 is an unknown
 * level. `row_square` (n_fields,) has the mean of |V_f|^2 over all ratings. With two fields, score[i] equals the result of
 * sgd_predict, bit for bit. With more fields it is not changed. */
void precision_variances(ptrdiff_t n, int n_fields, const precision_tables *tables, const precision_rule *rule,
                         const float *row_square, int of_mean, const int32_t *index, double *variance,
                         double *score, const precision_scratch *scratch);

/* Chooses the instruction set, by a name that sgd_select_simd returned. */
void precision_select_simd(const char *name);

#endif
