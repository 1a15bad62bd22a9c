#include "effects.h"

#include "inline.h"

INLINE void add_residuals(ptrdiff_t n, int n_fields, int field, const int32_t *index, const float *target,
                          const float *weight, const double *other_effects, double *sums)
{
    for (ptrdiff_t r = 0; r < n; r++) {
        const int32_t *of_rating = index + r * n_fields;
        const double e = (double)target[r] - other_effects[of_rating[1 - field]];
        sums[of_rating[field]] += weight ? (double)weight[r] * e : e;
    }
}

void effects_add_residuals(ptrdiff_t n, int n_fields, int field, const int32_t *index, const float *target,
                           const float *weight, const double *other_effects, double *sums)
{
    /* Usual cases get constants in the loop, which makes it faster. */
    if (n_fields == 2 && !weight && field == 0)
        add_residuals(n, 2, 0, index, target, NULL, other_effects, sums);
    else if (n_fields == 2 && !weight)
        add_residuals(n, 2, 1, index, target, NULL, other_effects, sums);
    else
        add_residuals(n, n_fields, field, index, target, weight, other_effects, sums);
}

double effects_left_out_squares(ptrdiff_t n, int n_fields, const int32_t *index, const float *target,
                                const float *weight, double intercept, const double *user_effects,
                                const double *item_effects, const double *user_shares, const double *item_shares,
                                double largest)
{
    double total = 0.0;
    for (ptrdiff_t r = 0; r < n; r++) {
        const int32_t u = index[r * n_fields], i = index[r * n_fields + 1];
        const double w = weight ? (double)weight[r] : 1.0, share = w * (user_shares[u] + item_shares[i]);
        const double e = (double)target[r] - intercept - user_effects[u] - item_effects[i];
        const double left_out = e / (1.0 - (share < largest ? share : largest));
        total += w * left_out * left_out;
    }
    return total;
}
