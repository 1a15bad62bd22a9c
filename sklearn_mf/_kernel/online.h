/* Learning from ratings one after another. Plain C: no Python, no threads.
 *
 * Recursive least squares, with one number for the precision of each row (precision.h has k, kb, n, c and s):
 *
 *   g    = w psi / (1 + w kappa h),   h = sum_f (k_f |s - V_f|^2 + kb_f)
 *   V_f <- V_f + g k_f (s - V_f),     b_f <- b_f + g kb_f,     n_f <- n_f + w,    c_f <- c_f + w c
 *
 * sgd.h has psi and kappa. For the squared loss, g = w e / (1 + w h). If a rating replaces an old rating of the same pair,
 * k and kb are computed without the old rating, psi is the difference of the two psi, and n and c stay as they are.
 *
 * If a user or an item gains a partner, its center changes: z = |N|^(-1/2) sum_{j in N} s_j (_training/centers.py). A row
 * shrinks to its center by the share d / (d + c m), with d = alpha n + delta. Here it moves by half of this share, because
 * the other half of the information is in the rating itself.
 *
 * With `forgetting`, a row loses this part of its sums of weights and squares before each of its ratings.
 */
#ifndef SKLEARN_MF_ONLINE_H
#define SKLEARN_MF_ONLINE_H

#include "precision.h"

typedef struct {
    int n_fields, rank;
    double intercept, unit; /* a rating is standardized as (y - intercept) / unit; counts are not standardized */
    double forgetting;
    const row_table *rows, *bias, *sums; /* INOUT n_fields tables, on the scale of the ratings */
    const row_table *centers;            /* INOUT tables (n_levels, rank + 1) of the first two fields */
    const row_table *coefficients;       /* IN    for field f: tables (n_levels of the other field, rank + 1) */
    int has_centers[2];
    double *square_sums; /* INOUT (n_fields,): sum of w |s - V_f|^2 of all ratings, on the standardized scale */
    double *totals;      /* INOUT (2,): sum of w over all ratings, and the sum as in SUM_OF_SQUARES */
} online_model;

/* Ratings in the order in which they are learned. */
typedef struct {
    ptrdiff_t n_ratings;
    const int32_t *index;        /* (n_ratings, n_fields) */
    const double *y, *y_old;     /* y_old is NaN if a rating replaces nothing; or NULL */
    const double *weight;        /* or NULL */
    const uint8_t *is_partner;   /* (n_ratings, 2): whether the user gains a partner, and whether the item does */
} online_ratings;

/* The rows of a level. Without centers, `center` and `coefficient` are NULL. */
typedef struct {
    float *row, *bias, *sums;
    float *center;
    const float *coefficient; /* the part of the level in the centers of its partners */
} online_level;
enum { ONLINE_AHEAD = 4 }; /* rows are looked up and fetched for so many ratings: this and the next ones */

typedef struct {
    online_level *levels;   /* (ONLINE_AHEAD, n_fields) */
    float *others;          /* ((n_fields + 1) rank,) */
    float *mean_square;     /* (n_fields,) */
    precision_gains *gains; /* (n_fields,) */
    double *squares;        /* (n_fields,) */
} online_scratch;

/* Returns the sum of w loss. Each loss is measured before its rating is learned. The mean squares of `rule` are computed
 * from the sums of the model. */
double online_update(const online_ratings *ratings, const online_model *model, const sgd_config *config,
                     precision_rule *rule, const online_scratch *scratch);

#endif
