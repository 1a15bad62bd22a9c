/* Additive effects of users and items, t ~ b_u + b_i: sums over the ratings of one block. Plain C: no Python, no threads.
 *
 * Arrays of rows begin at the first row of the block's groups. `weight` is NULL if all weights are 1.
 */
#ifndef SKLEARN_MF_EFFECTS_H
#define SKLEARN_MF_EFFECTS_H

#include <stddef.h>
#include <stdint.h>

/* sums[own row] += w (t - effect of the other row). Own rows are those of `field`. */
void effects_add_residuals(ptrdiff_t n, int n_fields, int field, const int32_t *index, const float *target,
                           const float *weight, const double *other_effects, double *sums);

/* Returns sum w (e / (1 - h))^2, with e = t - b_u - b_i - intercept and h = w (share_u + share_i), at most `largest`.
 * e / (1 - h) is approximately the error of a rating if it had been left out. */
double effects_left_out_squares(ptrdiff_t n, int n_fields, const int32_t *index, const float *target,
                                const float *weight, double intercept, const double *user_effects,
                                const double *item_effects, const double *user_shares, const double *item_shares,
                                double largest);

#endif
