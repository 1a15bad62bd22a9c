/* The loops over ratings, written with the vector operations of sgd_vector.h. sgd.c includes them once for each instruction
 * set.
 *
 * Ratings are visited in order. If no two ratings of a batch have a row in common, all BATCH of them are visited together:
 * all errors are computed before the first row changes, and ratings share the sums over factors and the scalar work. The
 * result is the same as for one rating after another. If two successive batches have no row in common either, the errors of
 * the second batch are computed before the rows of the first are written. This saves time, because most time is spent
 * waiting for errors.
 *
 * Context rows of small steps do not count as rows in common (sgd.h). Errors come from the values of these rows before the
 * batch, or before the previous batch. Then the steps of the ratings change them one after another.
 */

/* Number of floats from one row to the next. A center follows its row. */
#define STRIDE(has_centers, width) ((has_centers) ? 2 * (width) : (width))

#define FOR_VECTORS(j) for (int j = 0; j + LENGTH <= width; j += LENGTH)

/* Unrolled by hand, because compilers unroll too late to keep arrays of vectors in registers. */
#define EACH_OF_BATCH(k, run, clear) \
    run(0);                          \
    if ((k) == BATCH) {              \
        run(1);                      \
        run(2);                      \
        run(3);                      \
    }                                \
    for (int t_ = 1; t_ < BATCH && (k) < BATCH; t_++) \
    clear

/* The steps of a batch. With two fields: the part of themselves that p and q keep, and this part times g = eta psi. */
typedef struct {
    float keep_p[BATCH], keep_q[BATCH], g_p[BATCH], g_q[BATCH];
    float *sum; /* with three fields or more: s of each rating, then field_steps of each field */
} NAME(steps);

/* o = <tie_u, tie_i>, as a vector whose floats add up to it. */
TARGET INLINE vec NAME(multiply_ties)(const float *u, const float *i)
{
#if LENGTH > SGD_LANES
    return multiply(load_part(u, SGD_LANES), load_part(i, SGD_LANES));
#else
    vec product = multiply(load(u), load(i));
    for (int j = LENGTH; j < SGD_LANES; j += LENGTH)
        product = multiply_add(load(u + j), load(i + j), product);
    return product;
#endif
}

/* The sums <p, q> - o and |p|^2 + |q|^2, each as a vector whose floats add up to it. */
TARGET INLINE void NAME(multiply_rows)(const pairs *block, const int32_t *index, int has_centers, int width, vec *products,
                                       vec *squares)
{
    const int stride = STRIDE(has_centers, width);
    const float *p = block->p + (size_t)index[0] * stride, *q = block->q + (size_t)index[1] * stride;
    vec pq = broadcast(0.0f), pp = pq, qq = pq;
    if (has_centers)
        pq = subtract(pq, NAME(multiply_ties)(block->user_ties + (size_t)index[0] * SGD_LANES,
                                              block->item_ties + (size_t)index[1] * SGD_LANES));
    FOR_VECTORS(j)
    {
        const vec a = load(p + j), b = load(q + j);
        pq = multiply_add(a, b, pq);
        pp = multiply_add(a, a, pp);
        qq = multiply_add(b, b, qq);
    }
    *products = pq;
    *squares = add(pp, qq);
}

/* Weighted losses (`seen`), psi and kappa of `k` ratings: of the squared loss, or of any loss if `general`. */
TARGET INLINE void NAME(judge_each)(int k, int general, const sgd_config *config, const float *target, const float *w,
                                    const float *prediction, float *seen, float *psi, float *kappa)
{
    if (general) {
        for (int t = 0; t < k; t++) {
            const judged now = judge(config, target[t], prediction[t]);
            seen[t] = w[t] * now.loss;
            psi[t] = now.psi;
            kappa[t] = now.kappa;
        }
        return;
    }
#pragma omp simd
    for (int t = 0; t < k; t++) {
        psi[t] = target[t] - prediction[t];
        seen[t] = 0.5f * w[t] * psi[t] * psi[t];
        kappa[t] = 1.0f;
    }
}

/* Errors, steps and new biases of `k` ratings of two fields without a row in common. */
TARGET INLINE void NAME(begin_pairs)(int k, ptrdiff_t r, const pairs *block, const sgd_config *config, int general,
                                     int has_centers, int width, NAME(steps) *steps, double *loss)
{
    const float alpha = config->alpha, alpha_bias = config->alpha_bias, fit_bias = config->fit_bias;
    const sgd_damping user_damping = config->damping[0], item_damping = config->damping[1];
    const int32_t *index = block->index + 2 * r;
    const float *target = block->target + r, *w = block->weight ? block->weight + r : ones;
    sgd_scalars *users = block->users, *items = block->items;
    vec products[BATCH], squares[BATCH];
    float b_u[BATCH], b_i[BATCH], per_u[BATCH], per_i[BATCH], dot[BATCH], norm[BATCH], seen[BATCH];
    float z_u[BATCH], z_i[BATCH]; /* centers of the biases */
    float prediction[BATCH], psi[BATCH], kappa[BATCH];
#define MULTIPLY_ROWS(t)                                                                                            \
    NAME(multiply_rows)(block, index + 2 * (t), has_centers, width, products + (t), squares + (t))
    EACH_OF_BATCH(k, MULTIPLY_ROWS, products[t_] = squares[t_] = broadcast(0.0f));
    NAME(sum_each)(products, dot);
    NAME(sum_each)(squares, norm);
    for (int t = 0; t < k; t++) {
        const sgd_scalars *u = users + index[2 * t], *i = items + index[2 * t + 1];
        b_u[t] = u->bias;
        b_i[t] = i->bias;
        per_u[t] = u->per_rating;
        per_i[t] = i->per_rating;
        z_u[t] = has_centers ? block->user_ties[(size_t)index[2 * t] * SGD_LANES + SGD_USER_BIAS] : 0.0f;
        z_i[t] = has_centers ? block->item_ties[(size_t)index[2 * t + 1] * SGD_LANES + SGD_ITEM_BIAS] : 0.0f;
    }
#pragma omp simd
    for (int t = 0; t < k; t++)
        prediction[t] = b_u[t] + b_i[t] + dot[t];
    NAME(judge_each)(k, general, config, target, w, prediction, seen, psi, kappa);
#pragma omp simd
    for (int t = 0; t < k; t++) {
        const float curved = general ? kappa[t] * (norm[t] + 2.0f * fit_bias) : norm[t] + 2.0f * fit_bias;
        /* With s = step w, d = 1 + s c and lambda = alpha + delta / n: eta = s / d, k = d / (d + s lambda), and
         * k eta = s / (d + s lambda). In this form, no division waits for another one. */
        const float s = config->step * w[t], d = 1.0f + s * (curved + fabsf(psi[t])), g = s * psi[t];
        const float pull_u = s * (alpha_bias + user_damping.bias * per_u[t]), of_u = 1.0f / (d + pull_u);
        const float pull_i = s * (alpha_bias + item_damping.bias * per_i[t]), of_i = 1.0f / (d + pull_i);
        const float of_p = 1.0f / (d + s * (alpha + user_damping.factors * per_u[t]));
        const float of_q = 1.0f / (d + s * (alpha + item_damping.factors * per_i[t]));
        /* b <- kb (b + eta psi) + (1 - kb) zb */
        b_u[t] += fit_bias * of_u * (g - pull_u * (b_u[t] - z_u[t]));
        b_i[t] += fit_bias * of_i * (g - pull_i * (b_i[t] - z_i[t]));
        steps->keep_p[t] = d * of_p;
        steps->keep_q[t] = d * of_q;
        steps->g_p[t] = g * of_p;
        steps->g_q[t] = g * of_q;
    }
#pragma omp simd
    for (int t = 0; t < k; t++)
        loss[t] += (double)seen[t];
    for (int t = 0; t < k; t++) {
        users[index[2 * t]].bias = b_u[t];
        items[index[2 * t + 1]].bias = b_i[t];
    }
}

TARGET INLINE vec NAME(kept)(int positive, vec a)
{
    if (positive)
        a = positive_part(a);
    return a;
}

/* p <- k (p + eta psi q) + (1 - k) z, and the same for q with the old p */
TARGET INLINE void NAME(finish_pairs)(int k, const int32_t *index, const pairs *block, int positive, int has_centers,
                                      int width, const NAME(steps) *steps)
{
    for (int t = 0; t < k; t++) {
        const int stride = STRIDE(has_centers, width);
        float *p = block->p + (size_t)index[2 * t] * stride, *q = block->q + (size_t)index[2 * t + 1] * stride;
        const vec g_p = broadcast(steps->g_p[t]), g_q = broadcast(steps->g_q[t]);
        const vec keep_p = broadcast(steps->keep_p[t]), keep_q = broadcast(steps->keep_q[t]);
        if (has_centers) {
            const float *z_p = p + width, *z_q = q + width;
            const vec pull_p = broadcast(1.0f - steps->keep_p[t]), pull_q = broadcast(1.0f - steps->keep_q[t]);
            FOR_VECTORS(j)
            {
                const vec a = load(p + j), b = load(q + j);
                store(p + j, NAME(kept)(positive, multiply_add(g_p, b, multiply_add(keep_p, a, multiply(pull_p, load(z_p + j))))));
                store(q + j, NAME(kept)(positive, multiply_add(g_q, a, multiply_add(keep_q, b, multiply(pull_q, load(z_q + j))))));
            }
            continue;
        }
        FOR_VECTORS(j)
        {
            const vec a = load(p + j), b = load(q + j);
            store(p + j, NAME(kept)(positive, multiply_add(g_p, b, multiply(keep_p, a))));
            store(q + j, NAME(kept)(positive, multiply_add(g_q, a, multiply(keep_q, b))));
        }
    }
}

/* The same as EACH_OF_BATCH, for names with a number, such as a_0. */
#define OF_BATCH(k, run) \
    run(0)               \
    if ((k) == BATCH) {  \
        run(1)           \
        run(2)           \
        run(3)           \
    }

/* s = sum_f V_f of `k` ratings, and the sums |s|^2 and sum_f |V_f|^2, each as a vector whose floats add up to it. One field
 * after another is added for all ratings, so that their sums do not wait for each other. */
TARGET INLINE void NAME(sum_rows)(int k, const sgd_block *block, int m, const int32_t *index, int has_centers, int width,
                                  float *s, vec *total, vec *own)
{
    const vec zero = broadcast(0.0f);
    vec total_0 = zero, total_1 = zero, total_2 = zero, total_3 = zero;
    vec own_0 = zero, own_1 = zero, own_2 = zero, own_3 = zero;
    int j = 0;
    for (; j + 2 * LENGTH <= width; j += 2 * LENGTH) {
        vec a_0 = zero, a_1 = zero, a_2 = zero, a_3 = zero, b_0 = zero, b_1 = zero, b_2 = zero, b_3 = zero;
        for (int f = 0; f < m; f++) {
            const float *rows = block->rows[f] + j;
#define ADD_ROW(t)                                                                                              \
    {                                                                                                           \
        const float *row = rows + (size_t)index[m * (t) + f] * STRIDE(has_centers && f < 2, width);             \
        const vec a = load(row), b = load(row + LENGTH);                                                        \
        a_##t = add(a_##t, a);                                                                                  \
        b_##t = add(b_##t, b);                                                                                  \
        own_##t = multiply_add(b, b, multiply_add(a, a, own_##t));                                              \
    }
            OF_BATCH(k, ADD_ROW)
        }
#define KEEP_SUM(t)                                                                                             \
    {                                                                                                           \
        total_##t = multiply_add(b_##t, b_##t, multiply_add(a_##t, a_##t, total_##t));                          \
        store(s + (t) * width + j, a_##t);                                                                      \
        store(s + (t) * width + j + LENGTH, b_##t);                                                             \
    }
        OF_BATCH(k, KEEP_SUM)
    }
    if (j + LENGTH <= width) {
        vec a_0 = zero, a_1 = zero, a_2 = zero, a_3 = zero;
        for (int f = 0; f < m; f++) {
            const float *rows = block->rows[f] + j;
#define ADD_LAST(t)                                                                                             \
    {                                                                                                           \
        const vec a = load(rows + (size_t)index[m * (t) + f] * STRIDE(has_centers && f < 2, width));            \
        a_##t = add(a_##t, a);                                                                                  \
        own_##t = multiply_add(a, a, own_##t);                                                                  \
    }
            OF_BATCH(k, ADD_LAST)
        }
#define KEEP_LAST(t)                                                                                            \
    {                                                                                                           \
        total_##t = multiply_add(a_##t, a_##t, total_##t);                                                      \
        store(s + (t) * width + j, a_##t);                                                                      \
    }
        OF_BATCH(k, KEEP_LAST)
    }
#define HAND_OVER(t) total[t] = total_##t, own[t] = own_##t;
    HAND_OVER(0) HAND_OVER(1) HAND_OVER(2) HAND_OVER(3)
}

/* Picks one number from each of `k` rows of `size` floats. The indices of the rows are m apart. Four numbers are put
 * together in registers, because reading a vector soon after its parts were written would wait for the cache. */
TARGET INLINE void NAME(pick)(int k, int m, const int32_t *index, const float *from, int size, float *out)
{
#define PICKED(t) from[(ptrdiff_t)index[m * (t)] * size]
#if LENGTH >= 8
    if (k == BATCH) {
        _mm_storeu_ps(out, _mm_setr_ps(PICKED(0), PICKED(1), PICKED(2), PICKED(3)));
        return;
    }
#endif
    for (int t = 0; t < k; t++)
        out[t] = PICKED(t);
}

/* The changes that `k` ratings with the steps eta and g make to their rows of field f. */
TARGET INLINE void NAME(step_rows)(int k, int f, const int32_t *index, const sgd_block *block, const sgd_config *config, int m,
                                   const float *eta, const float *g, field_steps *steps)
{
    const float alpha = config->alpha, alpha_bias = config->alpha_bias, fit_bias = config->fit_bias;
    const sgd_damping damping = config->damping[f < 2 ? f : 2];
    float pace[BATCH], per[BATCH];
    NAME(pick)(k, m, index + f, &block->scalars[f]->per_rating, SCALARS, per);
    if (f < 2)
        for (int t = 0; t < k; t++)
            pace[t] = 1.0f;
    else
        NAME(pick)(k, m, index + f, block->context_step_factor, 1, pace);
#pragma omp simd
    for (int t = 0; t < k; t++) {
        const float eta_f = pace[t] * eta[t], g_f = pace[t] * g[t];
        const float kept = kept_part(eta_f, alpha, damping.factors, per[t]);
        const float kept_bias = kept_part(eta_f, alpha_bias, damping.bias, per[t]);
        steps->move[t] = kept * g_f;
        steps->keep[t] = kept - kept * g_f;
        steps->move_bias[t] = fit_bias * kept_bias * g_f;
        steps->pull_bias[t] = fit_bias * (1.0f - kept_bias);
    }
}

/* Errors and steps of `k` ratings of any number of fields, from the current rows. */
TARGET INLINE void NAME(begin_fields)(int k, ptrdiff_t r, const sgd_block *block, const sgd_config *config, int general,
                                      int m, int has_centers, int width, NAME(steps) *steps, double *loss)
{
    const float fit_bias = config->fit_bias, step = config->step;
    const int32_t *index = block->index + m * r;
    const float *target = block->target + r, *w = block->weight ? block->weight + r : ones;
    vec own[BATCH], total[BATCH];
    float own_norm[BATCH], sum_norm[BATCH], bias[BATCH], part[BATCH], seen[BATCH];
    float prediction[BATCH], psi[BATCH], kappa[BATCH], eta[BATCH], g[BATCH];
    NAME(sum_rows)(k, block, m, index, has_centers, width, steps->sum, total, own);
    for (int t = 0; t < k; t++) {
        bias[t] = part[t] = 0.0f;
        for (int j = 0; has_centers && j < SGD_LANES; j++)
            part[t] += block->ties[0][(size_t)index[m * t] * SGD_LANES + j] *
                       block->ties[1][(size_t)index[m * t + 1] * SGD_LANES + j];
    }
    for (int f = 0; f < m; f++) {
        float of_field[BATCH];
        NAME(pick)(k, m, index + f, &block->scalars[f]->bias, SCALARS, of_field);
#pragma omp simd
        for (int t = 0; t < k; t++)
            bias[t] += of_field[t];
    }
    NAME(sum_each)(own, own_norm);
    NAME(sum_each)(total, sum_norm);
#pragma omp simd
    for (int t = 0; t < k; t++) /* sum_{f<g} <V_f, V_g> = (|s|^2 - sum_f |V_f|^2) / 2 */
        prediction[t] = bias[t] + 0.5f * (sum_norm[t] - own_norm[t]) - part[t];
    NAME(judge_each)(k, general, config, target, w, prediction, seen, psi, kappa);
#pragma omp simd
    for (int t = 0; t < k; t++) {
        /* sum_f |s - V_f|^2 = (m - 2) |s|^2 + sum_f |V_f|^2 */
        const float curved = kappa[t] * ((m - 2) * sum_norm[t] + own_norm[t] + m * fit_bias);
        eta[t] = bounded_step(step * w[t], curved + (m - 1) * fabsf(psi[t]));
        g[t] = eta[t] * psi[t];
    }
#pragma omp simd
    for (int t = 0; t < k; t++)
        loss[t] += (double)seen[t];
    for (int f = 0; f < m; f++)
        NAME(step_rows)(k, f, index, block, config, m, eta, g, (field_steps *)(steps->sum + BATCH * width) + f);
}

/* Changes the rows of a batch one after another, because some rows may be the same. */
TARGET INLINE void NAME(finish_fields)(int k, ptrdiff_t r, const sgd_block *block, int positive, int m, int has_centers,
                                       int width, const NAME(steps) *steps)
{
    const int32_t *index = block->index + m * r;
    for (int t = 0; t < k; t++) {
        const float *s = steps->sum + t * width;
        for (int f = 0; f < m; f++) {
            const int centered = has_centers && f < 2;
            const field_steps *now = (const field_steps *)(steps->sum + BATCH * width) + f;
            const size_t row = index[m * t + f];
            float *v = block->rows[f] + row * STRIDE(centered, width), *bias = &block->scalars[f][row].bias;
            const float z_bias = centered ? block->ties[f][row * SGD_LANES + (f ? SGD_ITEM_BIAS : SGD_USER_BIAS)] : 0.0f;
            *bias += now->move_bias[t] - now->pull_bias[t] * (*bias - z_bias);
            const float *z = v + width;
            const vec keep = broadcast(now->keep[t]), move = broadcast(now->move[t]);
            const vec toward = broadcast(1.0f - (now->keep[t] + now->move[t]));
            FOR_VECTORS(j)
            {
                const vec kept = centered ? multiply_add(keep, load(v + j), multiply(toward, load(z + j)))
                                          : multiply(keep, load(v + j));
                store(v + j, NAME(kept)(positive, multiply_add(move, load(s + j), kept)));
            }
        }
    }
}

TARGET INLINE void NAME(begin)(int k, ptrdiff_t r, const sgd_block *block, const pairs *pair, const sgd_config *config,
                               int general, int m, int has_centers, int width, NAME(steps) *steps, double *loss)
{
    if (m == 2)
        NAME(begin_pairs)(k, r, pair, config, general, has_centers, width, steps, loss);
    else
        NAME(begin_fields)(k, r, block, config, general, m, has_centers, width, steps, loss);
}

TARGET INLINE void NAME(finish)(int k, ptrdiff_t r, const sgd_block *block, const pairs *pair, const sgd_config *config,
                                int general, int m, int has_centers, int width, const NAME(steps) *steps)
{
    const int positive = general && config->positive;
    if (m == 2)
        NAME(finish_pairs)(k, pair->index + 2 * r, pair, positive, has_centers, width, steps);
    else
        NAME(finish_fields)(k, r, block, positive, m, has_centers, width, steps);
}

TARGET INLINE double NAME(update)(const sgd_block *given, const sgd_config *given_config, int general, int m,
                                  int has_centers, int width, float *sum)
{
    /* Copies, so that the compiler knows that stores do not change their fields. */
    const sgd_block copied_block = *given, *block = &copied_block;
    const sgd_config copied_config = *given_config, *config = &copied_config;
    const pairs pair = {given->index, given->target, given->weight, given->rows[0], given->rows[1],
                        given->scalars[0], given->scalars[1], has_centers ? given->ties[0] : NULL,
                        has_centers ? given->ties[1] : NULL};
    const int stride = STRIDE(has_centers, width);
    const ptrdiff_t n = given->n_ratings;
    double loss[BATCH] = {0.0};
    NAME(steps) begun = {.sum = sum}, now = {.sum = sum + SGD_SUM_FLOATS(m, width) / 2};
    ptrdiff_t r = 0, open = -1; /* first rating of the batch that is begun but not finished; -1 if there is none */
    for (; r + BATCH <= n; r += BATCH) {
        const int32_t *index = block->index + m * r;
        if (r + AHEAD + BATCH <= n)
            for (int a = AHEAD * m; a < (AHEAD + BATCH) * m; a += m) { /* not context rows, because they are few */
                prefetch_row(pair.p + (size_t)index[a] * stride, stride);
                prefetch_row(pair.q + (size_t)index[a + 1] * stride, stride);
            }
        const uint8_t kind = block->batch_kinds[r / BATCH];
        if (kind != SGD_APART) {
            if (open >= 0)
                NAME(finish)(BATCH, open, block, &pair, config, general, m, has_centers, width, &begun);
            open = -1;
            if (kind == SGD_ONE_BY_ONE) {
                for (int t = 0; t < BATCH; t++) {
                    NAME(begin)(1, r + t, block, &pair, config, general, m, has_centers, width, &now, loss);
                    NAME(finish)(1, r + t, block, &pair, config, general, m, has_centers, width, &now);
                }
                continue;
            }
        }
        NAME(begin)(BATCH, r, block, &pair, config, general, m, has_centers, width, &now, loss);
        if (open >= 0)
            NAME(finish)(BATCH, open, block, &pair, config, general, m, has_centers, width, &begun);
        float *free_sum = begun.sum;
        begun = now;
        now.sum = free_sum;
        open = r;
    }
    if (open >= 0)
        NAME(finish)(BATCH, open, block, &pair, config, general, m, has_centers, width, &begun);
    for (; r < n; r++) {
        NAME(begin)(1, r, block, &pair, config, general, m, has_centers, width, &now, loss);
        NAME(finish)(1, r, block, &pair, config, general, m, has_centers, width, &now);
    }
    return (loss[0] + loss[1]) + (loss[2] + loss[3]);
}

/* Usual shapes become constants, so that the compiler unrolls loops. */
TARGET static double NAME(update_block)(const sgd_block *block, const sgd_config *config, float *sum)
{
    const int width = block->width / LENGTH * LENGTH, m = block->n_fields;
    const int has_centers = block->ties != NULL;
    if (config->loss != sgd_squared_error || config->positive)
        return m == 2 ? NAME(update)(block, config, 1, 2, has_centers, width, sum)
                      : NAME(update)(block, config, 1, m, has_centers, width, sum);
#define SHAPE(fields, centers, floats)                              \
    if (m == (fields) && has_centers == (centers) && width == (floats)) \
        return NAME(update)(block, config, 0, fields, centers, floats, sum);
    SHAPE(2, 1, 8)
    SHAPE(2, 1, 16)
    SHAPE(2, 1, 32)
    SHAPE(2, 1, 64)
    SHAPE(2, 1, width)
    SHAPE(3, 1, 32)
    SHAPE(4, 1, 32)
    SHAPE(m, 1, width)
    SHAPE(2, 0, 8)
    SHAPE(2, 0, 16)
    SHAPE(2, 0, 32)
    SHAPE(2, 0, 64)
    SHAPE(3, 0, 32)
    SHAPE(4, 0, 32)
    SHAPE(8, 0, 32)
    SHAPE(m, 0, 32)
#if LENGTH < 16 /* update_block_avx512_or_avx2 uses these loops for these widths */
    SHAPE(3, 0, 16)
    SHAPE(4, 0, 16)
    SHAPE(m, 0, 16)
    SHAPE(3, 0, 64)
    SHAPE(4, 0, 64)
    SHAPE(m, 0, 64)
#endif
    SHAPE(2, 0, width)
    SHAPE(m, 0, width)
#undef SHAPE
    return 0.0;
}
