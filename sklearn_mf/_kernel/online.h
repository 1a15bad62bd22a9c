/* Learning from ratings one after another: plain C, no Python, no threads.
 *
 * Recursive least squares with one number a row (precision.h has k, kb, n, c, h and s):
 *
 *   g    = w psi / (1 + w kappa h),   h = sum_f (k_f |s - V_f|^2 + kb_f)
 *   V_f <- V_f + g k_f (s - V_f),     b_f <- b_f + g kb_f,     n_f <- n_f + w,    c_f <- c_f + w c
 *
 * with psi and kappa of sgd.h, so for the squared loss g = w e / (1 + w h); c is that of precision.h. If a rating
 * replaces an old rating of the same pair, n and c are taken without the old one, and psi is the difference of both.
 * Sums stay.
 *
 * A user or an item that gains a partner has another center: z = |N|^(-1/2) sum_{j in N} s_j of _training/centers.py. The row
 * shrinks to its center by the share d / (d + c m), d = alpha n + delta. It moves by half of that share, because the
 * other half of the information is in the rating itself.
 *
 * With `forgetting`, a row loses this part of n and c before each of its ratings.
 */
#ifndef SKLEARN_MF_ONLINE_H
#define SKLEARN_MF_ONLINE_H

#include "precision.h"

typedef struct {
    int n_fields, rank;
    double intercept, unit; /* a rating is standardized as (y - intercept) / unit; of counts y is as it is */
    double forgetting;
    const row_table *rows, *bias, *sums; /* INOUT n_fields tables, on the scale of the ratings */
    const row_table *centers;            /* INOUT tables (n_levels, rank + 1) of the first two fields */
    const row_table *coefficients;       /* IN    of field f: tables (n_levels of the other, rank + 1) */
    int has_centers[2];
    double *square_sums; /* INOUT (n_fields,): sum of w |s - V_f|^2 of all ratings, on the standardized scale */
    double *totals;      /* INOUT (2,): sums over all ratings of w, and of w e^2 as SUM_OF_SQUARES has it */
} online_model;

/* Ratings in the order in which they are learned. */
typedef struct {
    ptrdiff_t n_ratings;
    const int32_t *index;        /* (n_ratings, n_fields) */
    const double *y, *y_old;     /* y_old: NaN where nothing is replaced; or NULL */
    const double *weight;        /* or NULL */
    const uint8_t *is_partner;   /* (n_ratings, 2): whether the user gains the item, and the item the user */
} online_ratings;

/* Where the rows of a level are; without centers the last two are NULL. */
typedef struct {
    float *row, *bias, *sums;
    float *center;
    const float *coefficient; /* what the centers of its partners are summed of */
} online_level;
enum { ONLINE_AHEAD = 4 }; /* ratings whose rows are looked up and fetched at a time: the next ones */

typedef struct {
    online_level *levels;   /* (ONLINE_AHEAD, n_fields) */
    float *others;          /* ((n_fields + 1) rank,) */
    float *mean_square;     /* (n_fields,) */
    precision_gains *gains; /* (n_fields,) */
    double *squares;        /* (n_fields,) */
} online_scratch;

/* Returns the sum of w loss, each taken before its rating is learned. The mean squares of `rule` follow the sums of the
 * model. */
double online_update(const online_ratings *ratings, const online_model *model, const sgd_config *config,
                     precision_rule *rule, const online_scratch *scratch);

#endif
