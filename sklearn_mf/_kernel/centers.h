/* The steps of the regression of centers on partners, row by row, for _training/centers.py; part of the extension of
 * partners. Each visits a row once and does all that it needs there. Plain C, no Python, no threads, no allocation.
 *
 * A wide row has `width` floats of factors, then PARTNERS_LANES floats: the first is of the bias, the others are zero. A
 * view has so many floats from one row to the next.
 */
#ifndef SKLEARN_MF_CENTERS_H
#define SKLEARN_MF_CENTERS_H

#include <stddef.h>

typedef struct {
    float *x;
    ptrdiff_t stride;
} centers_view;

/* Rows of one side: p and z, with biases, and what is known of each row. */
typedef struct {
    centers_view row, center;           /* width floats */
    centers_view bias, bias_center;     /* one float */
    const float *norm;                  /* |N|^(-1/2) */
    const float *strength, *of_bias;    /* d, of factors and of the bias */
} centers_side;

/* out = |N|^(-1/2) d (p - z), wide rows. */
void centers_weigh(ptrdiff_t n, int width, const centers_side *side, float *out);

/* residual -= ridge x, and out += U^T residual: `directions` U is (n, k), ridge a wide row, out k wide rows. */
void centers_subtract_ridge(ptrdiff_t n, int width, int k, const float *directions, const float *ridge, const float *x,
                     float *residual, float *out);

/* direction = residual + U along + momentum direction. Adds, by column, direction times residual to `slope`, and its square
 * to `length`. */
void centers_precondition(ptrdiff_t n, int width, int k, const float *directions, const float *along, float momentum,
                          const float *residual, float *direction, float *slope, float *length);

/* near = |N|^(-1/2) near; adds d near near to `total`, by column. */
void centers_curve(ptrdiff_t n, int width, const centers_side *side, float *near, float *total);

/* z += step near, with the center of the bias. */
void centers_move(ptrdiff_t n, int width, const float *near, const float *step, const centers_side *side);

/* x += step direction; push of factors = <x, q>, push of the bias = x of the bias. Returns the sum of n |q|^2. */
double centers_move_coefficients(ptrdiff_t n, int width, const float *direction, const float *step, float *x,
                                 centers_view q, centers_view push, const double *weight);

#endif
