/* The steps of the regression that predicts centers from partners, row by row, for _training/centers.py. They belong to
 * the extension module `partners`. Each function visits a row once. Plain C: no Python, no threads, no allocation.
 *
 * A wide row has `width` floats of factors, then PARTNERS_LANES floats: the bias, then zeros. The `stride` of a view is
 * the number of floats from one row to the next.
 */
#ifndef SKLEARN_MF_CENTERS_H
#define SKLEARN_MF_CENTERS_H

#include <stddef.h>

typedef struct {
    float *x;
    ptrdiff_t stride;
} centers_view;

/* Rows of one side: rows p and centers z, with biases, and the numbers of each row. */
typedef struct {
    centers_view row, center;           /* `width` floats each */
    centers_view bias, bias_center;     /* one float each */
    const float *norm;                  /* |N|^(-1/2) */
    const float *strength, *of_bias;    /* d for factors, d for the bias */
} centers_side;

/* out = |N|^(-1/2) d (p - z), as wide rows. */
void centers_weigh(ptrdiff_t n, int width, const centers_side *side, float *out);

/* residual -= ridge x, then out += U^T residual. `directions` has U (n, k), `ridge` is a wide row, `out` has k wide
 * rows. */
void centers_subtract_ridge(ptrdiff_t n, int width, int k, const float *directions, const float *ridge, const float *x,
                     float *residual, float *out);

/* direction = residual + U along + momentum direction. For each column, adds direction times residual to `slope`, and the
 * squared direction to `length`. */
void centers_precondition(ptrdiff_t n, int width, int k, const float *directions, const float *along, float momentum,
                          const float *residual, float *direction, float *slope, float *length);

/* near = |N|^(-1/2) near. Adds d near^2 to `total`, for each column. */
void centers_curve(ptrdiff_t n, int width, const centers_side *side, float *near, float *total);

/* z += step near, also for the center of the bias. */
void centers_move(ptrdiff_t n, int width, const float *near, const float *step, const centers_side *side);

/* x += step direction. Sets the push of factors to <x, q>, and the push of the bias to the bias part of x. Returns the sum
 * of n |q|^2. */
double centers_move_coefficients(ptrdiff_t n, int width, const float *direction, const float *step, float *x,
                                 centers_view q, centers_view push, const double *weight);

#endif
