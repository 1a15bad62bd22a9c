/* How well the rows of a model are known: plain C, no Python, no threads, no allocation.
 *
 * A row's precision grows with its ratings, as in recursive least squares, with one number a row:
 *
 *   k_f  = 1 / (alpha n_f + delta_f + c_f m_f)        kb_f = 1 / (alpha_bias n_f + delta_b + c_f)
 *
 *   n    summed weight of the ratings of the row       c    summed curvature of their expected losses: n for the squared
 *                                                           loss, of counts the sum of w times the expected count
 *   m_f  mean square, over all ratings, of a component of s - V_f, the gradient of a prediction with respect to V_f
 *   s    sum of the factor rows of one rating          e    error, target - prediction, on the standardized scale
 *   h    what is not known of a prediction, relative to the noise of a rating:
 *
 *   h    = sum_f (u k_f |s - V_f|^2 + kb_f),            u = PRECISION_COUPLING
 *
 * A rating that is left out of its rows has n_f - w, and so a larger h. With all of them left out one at a time the
 * prediction would have been off by e (1 + h), and the noise of a rating is e^2 (1 + h) on average (Cook and Weisberg
 * 1982, section 2.2).
 */
#ifndef SKLEARN_MF_PRECISION_H
#define SKLEARN_MF_PRECISION_H

#include "sgd.h"

/* What is kept of the ratings of each level. */
enum {
    SUM_OF_WEIGHTS,  /* n */
    SUM_OF_SQUARES,  /* of w e^2, each as if left out; of counts c instead */
    SUM_OF_PARTNERS, /* how many: items of a user, users of an item */
    N_LEVEL_SUMS
};

/* Rows of both sides are estimated from each other. With those of one side known, h would be lower by so much. */
#define PRECISION_COUPLING 1.15f

typedef struct {
    float alpha, alpha_bias;  /* L2 strengths, per rating */
    float fit_bias;           /* 1 or 0 */
    float curvature;          /* of the loss of a rating of weight 1, on average */
    int has_curvatures;       /* whether c is kept, as it is of counts */
    sgd_damping damping[3];   /* of users, of items, of levels of context fields */
    const float *mean_square; /* (n_fields,): m */
} precision_rule;

typedef struct {
    float factors, bias; /* k, kb */
} precision_gains;

#define PRECISION_SMALLEST 1e-12f /* without penalties and ratings nothing is known */

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

/* c of a row whose sums are these, without a rating of weight w. */
static inline float curvature_of(const precision_rule *rule, const float *sums, float w)
{
    const float c = rule->has_curvatures ? sums[SUM_OF_SQUARES] : rule->curvature * sums[SUM_OF_WEIGHTS];
    const float left = c - rule->curvature * w;
    return left > 0.0f ? left : 0.0f;
}

/* What a thread works with; m is the number of fields. */
typedef struct {
    const float **rows; /* (m,) */
    float *squares;     /* (m,) */
    int64_t *places;    /* (m,) */
    float *sum;         /* (width + PRECISION_PADDING,) */
} precision_scratch;
enum { PRECISION_PADDING = 16 };

/* A block of ratings of a grid, as strata.h has it. */
typedef struct {
    ptrdiff_t n_ratings;
    int n_fields, width, stride; /* stride: floats from one row to the next */
    const int32_t *index;
    const float *target, *weight; /* weight may be NULL */
    int64_t first_row[2];         /* of its users and of its items */
    const int32_t *context_rows;  /* of context fields: what its indices number */
    const float *rows;            /* of all fields */
    const float *ties;            /* or NULL */
    const sgd_scalars *scalars;
    const double *n; /* summed weights of all rows */
} precision_block;

/* Adds w e^2 (1 + h) of each rating, left out of its rows, to the squares of its rows; of counts w times the
 * expected count. Returns what it added to users. The loss is that of `config`. */
double precision_left_out(const precision_block *block, const sgd_config *config, const precision_rule *rule,
                          double *squares, const precision_scratch *scratch);

/* A fitted model and what is known of its rows. */
typedef struct {
    int rank;
    const row_table *rows; /* n_fields tables of (n_levels_f, rank), on the scale of the ratings */
    const row_table *bias; /* n_fields tables of (n_levels_f,) */
    const row_table *sums; /* n_fields tables of (n_levels_f, N_LEVEL_SUMS) */
    float unit;            /* what squares of rows are divided by: the scale of the ratings */
    float noise;           /* of a rating, on the standardized scale: a variance */
    double intercept;
    float prior_weight;    /* how many ratings of that noise each level is taken to have had */
} precision_tables;

/* variance[i] = s_u^2 s_i^2 / s^2 (h + 1), or h alone with `of_mean`, on the standardized scale; index -1 is a level never
 * seen. `row_square` (n_fields,) has the mean of |V_f|^2 over all ratings. With two fields, score[i] is what sgd_predict gives,
 * bit for bit; with more it is left alone. */
void precision_variances(ptrdiff_t n, int n_fields, const precision_tables *tables, const precision_rule *rule,
                         const float *row_square, int of_mean, const int32_t *index, double *variance,
                         double *score, const precision_scratch *scratch);

/* Picks the instruction set, by a name that sgd_select_simd returned. */
void precision_select_simd(const char *name);

#endif
