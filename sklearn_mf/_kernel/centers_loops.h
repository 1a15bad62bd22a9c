/* The loops of centers.h, written with the vector operations of sgd_vector.h. partners.c includes them once for each
 * instruction set. */

#define FOR_WIDE(j) for (int j = 0; j + LENGTH <= width + PARTNERS_LANES; j += LENGTH)
#define FOR_FACTORS(j) for (int j = 0; j + LENGTH <= width; j += LENGTH)

TARGET static void NAME(weigh)(ptrdiff_t n, int width, const centers_side *side, float *out)
{
    for (ptrdiff_t r = 0; r < n; r++, out += width + PARTNERS_LANES) {
        const float *p = side->row.x + r * side->row.stride, *z = side->center.x + r * side->center.stride;
        const vec factor = broadcast(side->norm[r] * side->strength[r]);
        FOR_FACTORS(j)
            store(out + j, multiply(factor, subtract(load(p + j), load(z + j))));
        for (int j = 1; j < PARTNERS_LANES; j++)
            out[width + j] = 0.0f;
        out[width] = side->norm[r] * side->of_bias[r] *
                     (side->bias.x[r * side->bias.stride] - side->bias_center.x[r * side->bias_center.stride]);
    }
}

/* `m` rows at once, so that `out` is loaded and stored once for all of them. */
TARGET INLINE void NAME(subtract_ridge_of)(int m, int width, int k, const float *directions, const float *ridge, const float *x,
                                           float *residual, float *out)
{
    const int wide = width + PARTNERS_LANES;
    FOR_WIDE(j)
    {
        vec own[BATCH];
        for (int r = 0; r < m; r++) {
            own[r] = subtract(load(residual + r * wide + j), multiply(load(ridge + j), load(x + r * wide + j)));
            store(residual + r * wide + j, own[r]);
        }
        for (int c = 0; c < k; c++) {
            vec sum = load(out + c * wide + j);
            for (int r = 0; r < m; r++)
                sum = multiply_add(broadcast(directions[r * k + c]), own[r], sum);
            store(out + c * wide + j, sum);
        }
    }
}

TARGET static void NAME(subtract_ridge)(ptrdiff_t n, int width, int k, const float *directions, const float *ridge,
                                        const float *x, float *residual, float *out)
{
    const size_t wide = width + PARTNERS_LANES;
    ptrdiff_t r = 0;
    for (; r + BATCH <= n; r += BATCH)
        NAME(subtract_ridge_of)(BATCH, width, k, directions + r * k, ridge, x + r * wide, residual + r * wide, out);
    for (; r < n; r++)
        NAME(subtract_ridge_of)(1, width, k, directions + r * k, ridge, x + r * wide, residual + r * wide, out);
}

/* `m` rows at once, because their sums do not have to wait for each other. */
TARGET INLINE void NAME(precondition_of)(int m, int width, int k, const float *directions, const float *along, float momentum,
                                         const float *residual, float *direction, float *slope, float *length)
{
    const int wide = width + PARTNERS_LANES;
    const vec kept = broadcast(momentum);
    FOR_WIDE(j)
    {
        vec own[BATCH], sum[BATCH], products = load(slope + j), squares = load(length + j);
        for (int r = 0; r < m; r++) {
            own[r] = load(residual + r * wide + j);
            sum[r] = multiply_add(kept, load(direction + r * wide + j), own[r]);
        }
        for (int c = 0; c < k; c++) {
            const vec given = load(along + c * wide + j);
            for (int r = 0; r < m; r++)
                sum[r] = multiply_add(broadcast(directions[r * k + c]), given, sum[r]);
        }
        for (int r = 0; r < m; r++) {
            store(direction + r * wide + j, sum[r]);
            products = multiply_add(sum[r], own[r], products);
            squares = multiply_add(sum[r], sum[r], squares);
        }
        store(slope + j, products);
        store(length + j, squares);
    }
}

TARGET static void NAME(precondition)(ptrdiff_t n, int width, int k, const float *directions, const float *along,
                                      float momentum, const float *residual, float *direction, float *slope, float *length)
{
    const size_t wide = width + PARTNERS_LANES;
    ptrdiff_t r = 0;
    for (; r + BATCH <= n; r += BATCH)
        NAME(precondition_of)(BATCH, width, k, directions + r * k, along, momentum, residual + r * wide,
                              direction + r * wide, slope, length);
    for (; r < n; r++)
        NAME(precondition_of)(1, width, k, directions + r * k, along, momentum, residual + r * wide, direction + r * wide,
                              slope, length);
}

TARGET static void NAME(curve)(ptrdiff_t n, int width, const centers_side *side, float *near, float *total)
{
    for (ptrdiff_t r = 0; r < n; r++, near += width + PARTNERS_LANES) {
        const vec norm = broadcast(side->norm[r]), strength = broadcast(side->strength[r]);
        FOR_FACTORS(j)
        {
            const vec own = multiply(norm, load(near + j));
            store(near + j, own);
            store(total + j, multiply_add(multiply(own, strength), own, load(total + j)));
        }
        near[width] *= side->norm[r];
        total[width] += near[width] * (near[width] * side->of_bias[r]);
    }
}

TARGET static void NAME(move)(ptrdiff_t n, int width, const float *near, const float *step, const centers_side *side)
{
    for (ptrdiff_t r = 0; r < n; r++, near += width + PARTNERS_LANES) {
        float *z = side->center.x + r * side->center.stride;
        FOR_FACTORS(j)
            store(z + j, multiply_add(load(step + j), load(near + j), load(z + j)));
        side->bias_center.x[r * side->bias_center.stride] += step[width] * near[width];
    }
}

TARGET static double NAME(move_coefficients)(ptrdiff_t n, int width, const float *direction, const float *step, float *x,
                                             centers_view q, centers_view push, const double *weight)
{
    const int wide = width + PARTNERS_LANES;
    double total = 0.0;
    for (ptrdiff_t r = 0; r < n; r++, direction += wide, x += wide) {
        const float *row = q.x + r * q.stride;
        vec products[BATCH];
        float sums[BATCH];
        for (int t = 0; t < BATCH; t++)
            products[t] = broadcast(0.0f);
        FOR_WIDE(j)
        {
            const vec moved = multiply_add(load(step + j), load(direction + j), load(x + j));
            store(x + j, moved);
            if (j < width) {
                const vec other = load(row + j);
                products[0] = multiply_add(moved, other, products[0]);
                products[1] = multiply_add(other, other, products[1]);
            }
        }
        NAME(sum_each)(products, sums);
        push.x[r * push.stride] = sums[0];
        push.x[r * push.stride + 1] = x[width];
        total += weight[r] * (double)sums[1];
    }
    return total;
}
