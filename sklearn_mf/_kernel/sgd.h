/* Stochastic gradient descent on one block of ratings, and prediction. Plain C: no Python, no threads, no allocation.
 *
 * Symbols, as in Koren, Bell and Volinsky (2009) and Rendle (2010):
 *   p, q   factor rows of the user and the item            b      bias of a row
 *   s      sum of the factor rows of one rating            e      error, target - prediction
 *   z      center to which a row shrinks                   o      part of a prediction that comes from its own pair
 *   w      weight of the rating                            n      summed weight of the ratings of a row
 *   delta  L2 strength of a row for any n: one for its factors, one (delta_b) for its bias
 *   eta    bounded step of one rating                      g      eta * psi
 *   psi    - d loss / d prediction; e for the squared loss kappa  bound on the curvature of the loss; 1 for the squared
 *
 * The share of one rating in the objective is
 *
 *   w (loss(target, x) + 1/2 sum_f (alpha + delta / n_f) |V_f - z_f|^2 + (alpha_bias + delta_b / n_f) (b_f - zb_f)^2),
 *   x = sum_f b_f + sum_{f<g} <V_f, V_g> - o,      loss = e^2 / 2 with e = target - x, or one of sgd_loss.h,
 *
 * With s = sum_f V_f, the gradient of the prediction with respect to V_f is s - V_f. A step follows the gradient of the
 * loss, and then goes to the minimum of step and penalty together (proximal gradient; Parikh and Boyd 2014). So even strong
 * penalties do not overshoot, and do not slow down other rows:
 *
 *   b_f <- kb (b_f + eta psi)           + (1 - kb) zb_f,   kb = 1 / (1 + eta (alpha_bias + delta_b / n_f))
 *   V_f <- k  (V_f + eta psi (s - V_f)) + (1 - k)  z_f,    k  = 1 / (1 + eta (alpha + delta / n_f)),
 *
 * With positive factors, V_f is then set to at least 0.
 *
 * Without implicit features, centers and o = <tie_u, tie_i> are zero. Centers of context fields are always zero.
 * _training/centers.py derives centers and o.
 *
 * A plain step eta = step * w overshoots for large weights and for many columns. For weight 1, the curvature of the loss is
 * at most
 *
 *   c = kappa (sum_f |s - V_f|^2 + (number of biases))   from the square of the prediction's gradient
 *     + (m - 1) |psi|                                    from the interactions, which are bilinear in the m rows
 *
 * Here m is the number of fields. The step is eta = step w / (1 + step w c) < 1 / c. So no step overshoots, for any step, w
 * and m. This is the first-order form of the implicit step (Toulis and Airoldi 2017; cf. Karampatziakis and Langford 2011).
 * It does not change fixed points.
 */
#ifndef SKLEARN_MF_SGD_H
#define SKLEARN_MF_SGD_H

#include <stddef.h>
#include <stdint.h>

#include "rows.h"

/* Rows are padded with zeros to a multiple of SGD_LANES floats. These zeros stay zero in the updates above. */
#define SGD_LANES 8

/* If ratings have no row in common, SGD_BATCH of them are visited at a time. grid_spread finds such ratings.
 *
 * If a column has few levels, there are no such ratings. So ratings may share context rows that take at most
 * SGD_LARGEST_SHARED_STEP of each step. psi, eta and s of a rating then come from the rows before its batch, or before the
 * previous batch. Up to 2 SGD_BATCH ratings are in progress at once. Together they move a row by at most one whole step. */
#define SGD_BATCH 4
#define SGD_LARGEST_SHARED_STEP (1.0f / (2 * SGD_BATCH))
enum {
    SGD_APART,     /* no row in common with each other or with the previous batch, except rows of small steps */
    SGD_AFTER,     /* no row in common with each other, except rows of small steps */
    SGD_ONE_BY_ONE /* some rows in common */
};

/* The losses, one per line. judge_NAME in sgd_loss.h is the C function of a loss. NAME is its name in Python. */
#define SGD_LOSSES(LOSS)                                                                                               \
    LOSS(squared_error)                                                                                                \
    LOSS(absolute_error)                                                                                               \
    LOSS(huber)                                                                                                        \
    LOSS(quantile)                                                                                                     \
    LOSS(poisson)

#define SGD_LOSS_NUMBER(name) sgd_##name,
typedef enum { SGD_LOSSES(SGD_LOSS_NUMBER) SGD_N_LOSSES } sgd_loss;
extern const char *const sgd_loss_names[SGD_N_LOSSES];

/* L2 strengths of a row of one field. */
typedef struct {
    float factors, bias;
} sgd_damping;

typedef struct {
    float step;       /* learning rate of this epoch, >= 0 */
    float alpha;      /* L2 strength of factors, per rating */
    float alpha_bias; /* L2 strength of biases, per rating */
    float fit_bias;   /* 1 to learn biases, 0 to leave them alone */
    sgd_loss loss;
    float parameter; /* of the loss: epsilon of Huber, or the quantile */
    float offset;    /* added to a prediction by the loss: the intercept if targets are not centered (Poisson) */
    int positive;    /* 1 to keep factors at 0 or above */
    sgd_damping damping[3]; /* of users, of items, of levels of context fields */
} sgd_config;

/* Numbers of a row in addition to its factors. */
typedef struct {
    float bias;
    float per_rating; /* 1 / n */
} sgd_scalars;

/* The ties of a user or an item, SGD_LANES floats. The first four give o. For users they are pull of the factors, pull of
 * the bias, push of the factors, push of the bias; for items, push comes first. The last two are the center of the bias of a
 * user, and the center of the bias of an item. Each is zero on the other side, so that it adds nothing to o. */
enum { SGD_USER_BIAS = SGD_LANES - 2, SGD_ITEM_BIAS = SGD_LANES - 1 };

typedef struct {
    ptrdiff_t n_ratings;
    int n_fields;                /* columns of X, at least 2 */
    int width;                   /* floats per factor row: rank rounded up to SGD_LANES, at least SGD_LANES */
    const int32_t *index;        /* IN    (n_ratings, n_fields): row of each field within its table */
    const float *target;         /* IN    (n_ratings,): standardized ratings */
    const float *weight;         /* IN    (n_ratings,), or NULL if every weight is 1 */
    const uint8_t *batch_kinds;        /* IN    (n_ratings / SGD_BATCH,), how each batch can be visited */
    float *const *rows;          /* INOUT n_fields tables of (n_rows_f, width); with ties, the first two have 2 width:
                                  *       the center of a row is IN. It follows the row, so both are fetched together */
    const float *const *ties;    /* IN    tables of (n_rows_f, SGD_LANES) of the first two fields; NULL: no centers */
    sgd_scalars *const *scalars; /* INOUT n_fields tables of (n_rows_f,) */
    const float *context_step_factor;   /* IN    (context rows,): part of each step that such a row takes, at most 1 */
} sgd_block;

/* Visits the ratings of a block in the given order. Returns the sum of w loss. Each loss is measured when its rating is
 * visited. `sum` is scratch of SGD_SUM_FLOATS floats, for three fields or more. */
#define SGD_SUM_FLOATS(n_fields, width) (2 * SGD_BATCH * ((width) + 4 * (n_fields)))
double sgd_update_block(const sgd_block *block, const sgd_config *config, float *sum);

/* The blocks of a stratum share the rows of context columns, so each block works on its own copies. After the block, the
 * copies are turned into changes. When all blocks of the stratum are done, the changes are added to the shared rows.
 * `stride` is the number of floats from one shared row to the next. */
void sgd_copy_rows(ptrdiff_t n, int width, int stride, const int32_t *which, const float *rows,
                   const sgd_scalars *scalars, float *own_rows, sgd_scalars *own_scalars);
/* own <- own - shared */
void sgd_subtract_rows(ptrdiff_t n, int width, int stride, const int32_t *which, const float *rows,
                       const sgd_scalars *scalars, float *own_rows, sgd_scalars *own_scalars);
/* shared <- shared + share * own */
void sgd_add_rows(ptrdiff_t n, int width, int stride, const int32_t *which, const float *share, const float *own_rows,
                  const sgd_scalars *own_scalars, float *rows, sgd_scalars *scalars);

/* A fitted model. */
typedef struct {
    int rank;
    double intercept;
    const row_table *rows; /* n_fields tables of (n_levels_f, rank) */
    const row_table *bias; /* n_fields tables of (n_levels_f,) */
} sgd_tables;

/* out[i] = intercept + sum_f bias_f + sum_{f<g} <V_f, V_g>, over the fields with an index of at least 0. */
void sgd_predict(ptrdiff_t n, int n_fields, const sgd_tables *tables, const int32_t *index, double *out);

/* Chooses the instruction set for updates and predictions: "avx512", "avx2", "baseline", or "auto" for the best one of this
 * processor. Returns the name in use, or NULL if the wanted one is unknown or not available. */
const char *sgd_select_simd(const char *name);

#endif
