/* Stochastic gradient descent on one block of ratings, and prediction: plain C, no Python, no threads, no allocation.
 *
 * Letters, after Koren, Bell and Volinsky (2009) and Rendle (2010):
 *   p, q   factor rows of the user and the item            b      a row's bias
 *   s      sum of the factor rows of one rating            e      error, target - prediction
 *   z      center of a row, what it shrinks to             o      what a rating's own pair adds to its prediction
 *   w      weight of the rating                            n      summed weight of a row's ratings
 *   delta  L2 strength of a row, whatever its n: one of its factors, one of its bias
 *   eta    the step of one rating, bounded                 g      eta * psi
 *   psi    - d loss / d prediction; e for the squared loss kappa  bound on the curvature of the loss; 1 for the squared
 *
 * One rating's share of the objective is
 *
 *   w (loss(target, x) + 1/2 sum_f (alpha + delta / n_f) |V_f - z_f|^2 + (alpha_bias + delta_b / n_f) (b_f - zb_f)^2),
 *   x = sum_f b_f + sum_{f<g} <V_f, V_g> - o,      loss = e^2 / 2 with e = target - x, or one of sgd_loss.h,
 *
 * and with s = sum_f V_f the gradient of the prediction with respect to V_f is s - V_f. A step goes down the gradient of the
 * loss, and then to the minimum of step and penalty together (proximal gradient; Parikh and Boyd 2014), so that penalties of
 * any strength neither overshoot nor slow the other rows down:
 *
 *   b_f <- kb (b_f + eta psi)           + (1 - kb) zb_f,   kb = 1 / (1 + eta (alpha_bias + delta_b / n_f))
 *   V_f <- k  (V_f + eta psi (s - V_f)) + (1 - k)  z_f,    k  = 1 / (1 + eta (alpha + delta / n_f)),
 *
 * and V_f at least 0 where factors are positive.
 *
 * Centers and o = <tie_u, tie_i> are zero without implicit features, and centers of context fields always; _training/centers.py
 * derives them.
 *
 * A plain step eta = step * w overshoots for large weights and for many columns. Per unit of weight, the curvature of
 * the loss is at most
 *
 *   c = kappa (sum_f |s - V_f|^2 + (number of biases))   from the square of the prediction's gradient
 *     + (m - 1) |psi|                                    from the interactions, which are bilinear in the m rows
 *
 * and eta = step w / (1 + step w c) < 1 / c, so no step overshoots, whatever step, w and m are. It is the first-order
 * form of the implicit step (Toulis and Airoldi 2017; cf. Karampatziakis and Langford 2011). It does not change fixed
 * points.
 */
#ifndef SKLEARN_MF_SGD_H
#define SKLEARN_MF_SGD_H

#include <stddef.h>
#include <stdint.h>

#include "rows.h"

/* Rows are padded with zeros to a multiple of SGD_LANES floats; zeros stay zero under the updates above. */
#define SGD_LANES 8

/* Ratings that have no row in common are visited SGD_BATCH at a time; grid_spread finds which.
 *
 * If a column has few levels, there would be no such ratings. So ratings may share context rows that take at most this
 * part of each step. psi, eta and s of a rating then come from the rows before its batch, or before the previous batch.
 * Up to 2 SGD_BATCH ratings are in progress at once. Together they move a row by at most one whole step. */
#define SGD_BATCH 4
#define SGD_LARGEST_SHARED_STEP (1.0f / (2 * SGD_BATCH))
enum {
    SGD_APART,     /* no row in common with each other, nor with the batch before, but those of small steps */
    SGD_AFTER,     /* none with each other, but those */
    SGD_ONE_BY_ONE /* some */
};

/* The losses, a line for each: judge_NAME of sgd_loss.h is its C function, and NAME is what Python calls it. */
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
    float parameter; /* of the loss: epsilon of Huber's, the quantile */
    float offset;    /* what the loss adds to a prediction: the intercept, where targets are not centered (Poisson's) */
    int positive;    /* 1 to keep factors at 0 or above */
    sgd_damping damping[3]; /* of users, of items, of levels of context fields */
} sgd_config;

/* What a row has beside its factors. */
typedef struct {
    float bias;
    float per_rating; /* 1 / n */
} sgd_scalars;

/* What a user or an item has beside the center of its factors: SGD_LANES floats. The first of them make up o: pull of the
 * factors and of the bias, push of both, for items push first. The last two are the centers of the biases, of users and of
 * items, each zero on the other side, so that they add nothing to o. */
enum { SGD_USER_BIAS = SGD_LANES - 2, SGD_ITEM_BIAS = SGD_LANES - 1 };

typedef struct {
    ptrdiff_t n_ratings;
    int n_fields;                /* columns of X, at least 2 */
    int width;                   /* floats per factor row: rank rounded up to SGD_LANES, at least SGD_LANES */
    const int32_t *index;        /* IN    (n_ratings, n_fields): row of each field within its table */
    const float *target;         /* IN    (n_ratings,): standardized ratings */
    const float *weight;         /* IN    (n_ratings,), or NULL when every weight is 1 */
    const uint8_t *batch_kinds;        /* IN    (n_ratings / SGD_BATCH,), how each batch can be visited */
    float *const *rows;          /* INOUT n_fields tables of (n_rows_f, width); with ties, the first two (n_rows_f, 2 width):
                                  *       a row's center is IN, and stands after the row, to be fetched with it */
    const float *const *ties;    /* IN    tables of (n_rows_f, SGD_LANES) of the first two fields; NULL: no centers */
    sgd_scalars *const *scalars; /* INOUT n_fields tables of (n_rows_f,) */
    const float *context_step_factor;   /* IN    (context rows,): part of each step that such a row takes, at most 1 */
} sgd_block;

/* Visits the ratings of a block in the order given. Returns the sum of w loss, each taken when its rating is visited.
 * `sum` is scratch of SGD_SUM_FLOATS, used with three fields or more. */
#define SGD_SUM_FLOATS(n_fields, width) (2 * SGD_BATCH * ((width) + 4 * (n_fields)))
double sgd_update_block(const sgd_block *block, const sgd_config *config, float *sum);

/* Rows of context columns are shared by the blocks of a stratum, so each block works on its own copies. After the
 * block, the copies are turned into changes. When all blocks of the stratum are done, the changes are added to the
 * shared rows, which are `stride` floats apart. */
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

/* out[i] = intercept + sum_f bias_f + sum_{f<g} <V_f, V_g> over the fields whose index is not negative. */
void sgd_predict(ptrdiff_t n, int n_fields, const sgd_tables *tables, const int32_t *index, double *out);

/* Picks the instruction set for updates and predictions: "avx512", "avx2", "baseline", or "auto" for the best that this
 * processor has. Returns the name in use, or NULL when the one asked for is unknown or not available. */
const char *sgd_select_simd(const char *name);

#endif
