/* The loops of precision.c, written with the vector operations of sgd_vector.h. Included once for each instruction set. */

/* The floats from j on of a row of `width` floats, then zeros. For an unknown level, whose row is NULL, all are zeros. */
TARGET INLINE vec NAME(load_known)(const float *row, int j, int width)
{
    vec v = broadcast(0.0f);
    if (row)
        v = width - j >= LENGTH ? load(row + j) : load_part(row + j, width - j);
    return v;
}

/* squares[f] = |s - V_f|^2 of the rating with these rows, where NULL is an unknown level. Returns the interactions
 * sum_{f<g} <V_f, V_g>. `sum` is scratch of `width` floats plus a vector. */
TARGET INLINE float NAME(measure)(int m, const float *const *rows, int width, float *sum, float *squares)
{
    vec total[BATCH];
    float folded[BATCH], of_sum, of_rows = 0.0f;
    for (int t = 0; t < BATCH; t++)
        total[t] = broadcast(0.0f);
    for (int j = 0; j < width; j += LENGTH) {
        vec s = broadcast(0.0f);
        for (int f = 0; f < m; f++)
            s = add(s, NAME(load_known)(rows[f], j, width));
        total[0] = multiply_add(s, s, total[0]);
        store(sum + j, s);
    }
    NAME(sum_each)(total, folded);
    of_sum = folded[0];
    for (int f = 0; f < m; f++) {
        total[0] = total[1] = broadcast(0.0f);
        for (int j = 0; j < width; j += LENGTH) {
            const vec v = NAME(load_known)(rows[f], j, width), others = subtract(load(sum + j), v);
            total[0] = multiply_add(others, others, total[0]);
            total[1] = multiply_add(v, v, total[1]);
        }
        NAME(sum_each)(total, folded);
        squares[f] = folded[0];
        of_rows += folded[1];
    }
    return 0.5f * (of_sum - of_rows);
}

/* The same for `k` pairs. Here |s - V_f|^2 is the square of the other row. `dot` gets the interactions. */
TARGET INLINE void NAME(measure_pairs)(int k, const float *const *p, const float *const *q, int width, float *of_users,
                                       float *of_items, float *dot)
{
    vec qq[BATCH], pp[BATCH], pq[BATCH];
    for (int t = 0; t < BATCH; t++)
        qq[t] = pp[t] = pq[t] = broadcast(0.0f);
    for (int t = 0; t < k; t++)
        for (int j = 0; j < width; j += LENGTH) {
            const vec a = NAME(load_known)(p[t], j, width), b = NAME(load_known)(q[t], j, width);
            qq[t] = multiply_add(b, b, qq[t]);
            pp[t] = multiply_add(a, a, pp[t]);
            pq[t] = multiply_add(a, b, pq[t]);
        }
    NAME(sum_each)(qq, of_users);
    NAME(sum_each)(pp, of_items);
    NAME(sum_each)(pq, dot);
}

/* h / curvature of `k` pairs, from n and |s - V_f|^2 of both sides. The same as precision_of, but without a branch. */
TARGET INLINE void NAME(pairs_unknown)(int k, const precision_rule *rule, const float *n_u, const float *n_i,
                                       const float *of_users, const float *of_items, float *h)
{
    const precision_rule copied = *rule; /* a copy, so that the compiler knows that stores do not change it */
    const float c = copied.curvature, smallest = PRECISION_SMALLEST;
    const float per_u = copied.alpha + c * copied.mean_square[0], per_i = copied.alpha + c * copied.mean_square[1];
    const float per_bias = copied.alpha_bias + c;
#pragma omp simd
    for (int t = 0; t < k; t++) {
        const float u = copied.damping[0].factors + per_u * n_u[t], i = copied.damping[1].factors + per_i * n_i[t];
        const float b_u = copied.damping[0].bias + per_bias * n_u[t], b_i = copied.damping[1].bias + per_bias * n_i[t];
        h[t] = PRECISION_COUPLING * (of_users[t] / (u > smallest ? u : smallest) + of_items[t] / (i > smallest ? i : smallest)) +
               copied.fit_bias / (b_u > smallest ? b_u : smallest) + copied.fit_bias / (b_i > smallest ? b_i : smallest);
    }
}

/* w e^2 (1 + h) of a rating, from its prediction and h / curvature. For counts, w times the expected count, target - psi. */
INLINE double NAME(added)(const precision_block *block, const sgd_config *config, const precision_rule *rule, ptrdiff_t r,
                          float prediction, float h)
{
    const double w = block->weight ? block->weight[r] : 1.0, e = (double)block->target[r] - prediction;
    if (rule->has_curvatures)
        return w * (block->target[r] - judge(config, block->target[r], prediction).psi);
    return w * e * e * (1.0 + rule->curvature * h);
}

/* k and kb of row `at` without a rating of weight w. */
INLINE precision_gains NAME(gains_without)(const precision_block *block, const precision_rule *rule, int f, int64_t at, float w)
{
    const float n = (float)block->n[at] - w, left = n > 0.0f ? n : 0.0f;
    return precision_of(rule, f, left, rule->curvature * left);
}

/* `k` ratings of two fields. */
TARGET INLINE double NAME(left_out_pairs)(int k, ptrdiff_t r, const precision_block *block, const sgd_config *config,
                                          const precision_rule *rule, double *squares)
{
    const int stride = block->stride;
    const float *p[BATCH], *q[BATCH];
    float of_users[BATCH], of_items[BATCH], dot[BATCH], h[BATCH], n_u[BATCH], n_i[BATCH];
    int64_t users[BATCH], items[BATCH];
    vec own[BATCH];
    double total = 0.0;
    for (int t = 0; t < k; t++) {
        users[t] = block->first_row[0] + block->index[2 * (r + t)];
        items[t] = block->first_row[1] + block->index[2 * (r + t) + 1];
        p[t] = block->rows + users[t] * stride;
        q[t] = block->rows + items[t] * stride;
    }
    NAME(measure_pairs)(k, p, q, block->width, of_users, of_items, dot);
    if (block->ties) { /* the part that each pair adds to its own prediction */
        float ties[BATCH];
        for (int t = 0; t < BATCH; t++)
            own[t] = broadcast(0.0f);
        for (int t = 0; t < k; t++)
            for (int j = 0; j < SGD_LANES; j += LENGTH)
                own[t] = multiply_add(NAME(load_known)(block->ties + users[t] * SGD_LANES, j, SGD_LANES),
                                      NAME(load_known)(block->ties + items[t] * SGD_LANES, j, SGD_LANES), own[t]);
        NAME(sum_each)(own, ties);
        for (int t = 0; t < k; t++)
            dot[t] -= ties[t];
    }
    for (int t = 0; t < k; t++) {
        const float w = block->weight ? block->weight[r + t] : 1.0f;
        n_u[t] = larger((float)block->n[users[t]] - w, 0.0f);
        n_i[t] = larger((float)block->n[items[t]] - w, 0.0f);
        dot[t] += block->scalars[users[t]].bias + block->scalars[items[t]].bias;
    }
    NAME(pairs_unknown)(k, rule, n_u, n_i, of_users, of_items, h);
    for (int t = 0; t < k; t++) {
        const double added = NAME(added)(block, config, rule, r + t, dot[t], h[t]);
        total += added;
        squares[users[t]] += added;
        squares[items[t]] += added;
    }
    return total;
}

/* One rating of any number of fields. */
TARGET INLINE double NAME(left_out_one)(ptrdiff_t r, const precision_block *block, const sgd_config *config,
                                        const precision_rule *rule, double *squares, const precision_scratch *scratch)
{
    const int m = block->n_fields;
    int64_t *at = scratch->places;
    float prediction = 0.0f, h = 0.0f;
    const float w = block->weight ? block->weight[r] : 1.0f;
    for (int f = 0; f < m; f++) {
        const int32_t i = block->index[r * m + f];
        at[f] = f < 2 ? block->first_row[f] + i : block->context_rows[i];
        scratch->rows[f] = block->rows + at[f] * block->stride;
        prediction += block->scalars[at[f]].bias;
    }
    prediction += NAME(measure)(m, scratch->rows, block->width, scratch->sum, scratch->squares);
    for (int j = 0; block->ties && j < SGD_LANES; j++)
        prediction -= block->ties[at[0] * SGD_LANES + j] * block->ties[at[1] * SGD_LANES + j];
    for (int f = 0; f < m; f++) {
        const precision_gains k = NAME(gains_without)(block, rule, f, at[f], w);
        h += PRECISION_COUPLING * k.factors * scratch->squares[f] + k.bias;
    }
    const double added = NAME(added)(block, config, rule, r, prediction, h);
    for (int f = 0; f < m; f++)
        if (f < 2 || rule->has_curvatures)
            squares[at[f]] += added;
    return added;
}

TARGET static double NAME(left_out)(const precision_block *block, const sgd_config *config, const precision_rule *rule,
                                    double *squares, const precision_scratch *scratch)
{
    const ptrdiff_t n = block->n_ratings;
    const int32_t *index = block->index;
    const size_t row = block->stride;
    double total = 0.0;
    ptrdiff_t r = 0;
    if (block->n_fields > 2) {
        for (; r < n; r++)
            total += NAME(left_out_one)(r, block, config, rule, squares, scratch);
        return total;
    }
    for (; r + BATCH <= n; r += BATCH) {
        if (r + AHEAD + BATCH <= n)
            for (ptrdiff_t a = r + AHEAD; a < r + AHEAD + BATCH; a++) {
                prefetch_row(block->rows + (block->first_row[0] + index[2 * a]) * row, block->width);
                prefetch_row(block->rows + (block->first_row[1] + index[2 * a + 1]) * row, block->width);
            }
        total += NAME(left_out_pairs)(BATCH, r, block, config, rule, squares);
    }
    for (; r < n; r++)
        total += NAME(left_out_pairs)(1, r, block, config, rule, squares);
    return total;
}

/* s_u^2 s_i^2 / s^2 (h + 1), or without the 1, from s_u^2, s_i^2 and h / curvature. */
INLINE double NAME(variance_of)(const precision_rule *rule, double per_noise, float of_user, float of_item, float h, int of_mean)
{
    return per_noise * of_user * of_item * (of_mean ? rule->curvature * h : 1.0f + rule->curvature * h);
}

/* s_f^2: the mean square of the errors of a level, with `prior_weight` ratings of average noise added. */
INLINE float NAME(level_noise)(const precision_tables *tables, float squares, float n)
{
    return (squares + tables->prior_weight * tables->noise) / (n + tables->prior_weight);
}

INLINE precision_gains NAME(gains_of)(const precision_rule *rule, int f, const float *sums)
{
    return precision_of(rule, f, sums[SUM_OF_WEIGHTS], rule->curvature * sums[SUM_OF_WEIGHTS]);
}

static const float NAME(never_seen)[N_LEVEL_SUMS] = {0.0f};

/* Variances and scores of `k` pairs. Scores are added up in the same order as in predict_loops.h. */
TARGET INLINE void NAME(pair_variances)(int k, const precision_tables *tables, const precision_rule *rule,
                                        const float *row_square, int of_mean, const int32_t *index, double *variance,
                                        double *score)
{
    const float *p[BATCH], *q[BATCH];
    float of_users[BATCH], of_items[BATCH], dot[BATCH], h[BATCH];
    float n_u[BATCH], n_i[BATCH], squares_u[BATCH], squares_i[BATCH], bias[BATCH];
    const float per_unit = 1.0f / tables->unit;
    const double per_noise = tables->noise > 0.0f ? 1.0 / tables->noise : 0.0;
    for (int t = 0; t < k; t++) {
        const int32_t u = index[2 * t], i = index[2 * t + 1];
        const float *user = u < 0 ? NAME(never_seen) : row_at(&tables->sums[0], u);
        const float *item = i < 0 ? NAME(never_seen) : row_at(&tables->sums[1], i);
        p[t] = u < 0 ? NULL : row_at(&tables->rows[0], u);
        q[t] = i < 0 ? NULL : row_at(&tables->rows[1], i);
        bias[t] = (u < 0 ? 0.0f : *row_at(&tables->bias[0], u)) + (i < 0 ? 0.0f : *row_at(&tables->bias[1], i));
        n_u[t] = user[SUM_OF_WEIGHTS];
        n_i[t] = item[SUM_OF_WEIGHTS];
        squares_u[t] = user[SUM_OF_SQUARES];
        squares_i[t] = item[SUM_OF_SQUARES];
    }
    NAME(measure_pairs)(k, p, q, tables->rank, of_users, of_items, dot);
    for (int t = 0; t < k; t++) {
        score[t] = tables->intercept + (double)bias[t] + (double)dot[t];
        of_users[t] = q[t] ? of_users[t] * per_unit : row_square[1];
        of_items[t] = p[t] ? of_items[t] * per_unit : row_square[0];
    }
    NAME(pairs_unknown)(k, rule, n_u, n_i, of_users, of_items, h);
#pragma omp simd
    for (int t = 0; t < k; t++) {
        squares_u[t] = NAME(level_noise)(tables, squares_u[t], n_u[t]);
        squares_i[t] = NAME(level_noise)(tables, squares_i[t], n_i[t]);
    }
    for (int t = 0; t < k; t++)
        variance[t] = NAME(variance_of)(rule, per_noise, squares_u[t], squares_i[t], h[t], of_mean);
}

/* One row of any number of fields. */
TARGET INLINE double NAME(row_variance)(int m, const precision_tables *tables, const precision_rule *rule,
                                        const float *row_square, int of_mean, const int32_t *index,
                                        const precision_scratch *scratch)
{
    float h = 0.0f, of_unknown = 0.0f, noise[2] = {0.0f};
    const double per_noise = tables->noise > 0.0f ? 1.0 / tables->noise : 0.0;
    for (int f = 0; f < m; f++) {
        scratch->rows[f] = index[f] < 0 ? NULL : row_at(&tables->rows[f], index[f]);
        of_unknown += index[f] < 0 ? row_square[f] : 0.0f;
    }
    NAME(measure)(m, scratch->rows, tables->rank, scratch->sum, scratch->squares);
    for (int f = 0; f < m; f++) {
        const float *own = index[f] < 0 ? NAME(never_seen) : row_at(&tables->sums[f], index[f]);
        const precision_gains k = NAME(gains_of)(rule, f, own);
        const float others = scratch->squares[f] / tables->unit + of_unknown - (index[f] < 0 ? row_square[f] : 0.0f);
        h += PRECISION_COUPLING * k.factors * others + k.bias;
        if (f < 2)
            noise[f] = NAME(level_noise)(tables, own[SUM_OF_SQUARES], own[SUM_OF_WEIGHTS]);
    }
    return NAME(variance_of)(rule, per_noise, noise[0], noise[1], h, of_mean);
}

TARGET static void NAME(variances)(ptrdiff_t n, int m, const precision_tables *tables, const precision_rule *rule,
                                   const float *row_square, int of_mean, const int32_t *index, double *variance,
                                   double *score, const precision_scratch *scratch)
{
    ptrdiff_t r = 0;
    if (m > 2) {
        for (; r < n; r++)
            variance[r] = NAME(row_variance)(m, tables, rule, row_square, of_mean, index + r * m, scratch);
        return;
    }
    for (; r + BATCH <= n; r += BATCH) {
        if (r + AHEAD + BATCH <= n)
            for (ptrdiff_t a = 2 * (r + AHEAD); a < 2 * (r + AHEAD + BATCH); a++)
                if (index[a] >= 0) {
                    prefetch_row(row_at(&tables->rows[a % 2], index[a]), tables->rank);
                    PREFETCH(row_at(&tables->sums[a % 2], index[a]));
                }
        NAME(pair_variances)(BATCH, tables, rule, row_square, of_mean, index + 2 * r, variance + r, score + r);
    }
    for (; r < n; r++)
        NAME(pair_variances)(1, tables, rule, row_square, of_mean, index + 2 * r, variance + r, score + r);
}
