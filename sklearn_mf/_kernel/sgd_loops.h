/* The loops over ratings, in the vector operations of sgd_vector.h; included by sgd.c once for each instruction set.
 *
 * Ratings are visited in order, BATCH at a time where no two of a batch have a row in common: then all errors are known
 * before the first row changes, sums over the factors and the scalar work are shared, and the result is that of one
 * after another. A batch's errors are found before the rows of the batch before it are written, where these have no row
 * in common either, since most of the time of a rating is the wait from its factors to its error.
 */

/* Floats from one row to the next: a row with a center has it behind. */
#define STRIDE(has_centers, width) ((has_centers) ? 2 * (width) : (width))

#define FOR_VECTORS(j) for (int j = 0; j + LENGTH <= width; j += LENGTH)

/* Written out, since compilers unroll too late to keep arrays of vectors in registers. */
#define EACH_OF_BATCH(k, run, clear) \
    run(0);                          \
    if ((k) == BATCH) {              \
        run(1);                      \
        run(2);                      \
        run(3);                      \
    }                                \
    for (int t_ = 1; t_ < BATCH && (k) < BATCH; t_++) \
    clear

/* A batch's steps. Two fields: what p and q keep, and that times g = eta psi. More fields: eta and g. */
typedef struct {
    float g[BATCH], eta[BATCH], keep_p[BATCH], keep_q[BATCH], g_p[BATCH], g_q[BATCH];
    float *sum; /* s of each; with three fields or more */
} NAME(steps);

/* o = <tie_u, tie_i>, spread over a vector. */
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

/* Sums, spread over a vector, of p q - o and of p p + q q. */
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

/* Losses seen (times w), psi and kappa of `k` ratings: of the squared loss, or of any where `general` is set. */
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

/* Errors, steps and new biases of `k` ratings of two fields with no row in common. */
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
         * k eta = s / (d + s lambda). No division waits for another. */
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

/* s = sum_f V_f of the rating at `index`; sums, spread over a vector, of s s and of all V_f V_f. */
TARGET INLINE void NAME(sum_rows)(const sgd_block *block, int m, const int32_t *index, int has_centers, int width, float *s,
                                  vec *total, vec *own)
{
    vec ss = broadcast(0.0f), vv_0 = ss, vv_1 = ss;
    int j = 0;
    for (; j + 2 * LENGTH <= width; j += 2 * LENGTH) {
        vec s_0 = broadcast(0.0f), s_1 = s_0;
        for (int f = 0; f < m; f++) {
            const float *row = block->rows[f] + (size_t)index[f] * STRIDE(has_centers && f < 2, width) + j;
            const vec a = load(row), b = load(row + LENGTH);
            s_0 = add(s_0, a);
            s_1 = add(s_1, b);
            vv_0 = multiply_add(a, a, vv_0);
            vv_1 = multiply_add(b, b, vv_1);
        }
        ss = multiply_add(s_1, s_1, multiply_add(s_0, s_0, ss));
        store(s + j, s_0);
        store(s + j + LENGTH, s_1);
    }
    if (j + LENGTH <= width) {
        vec s_0 = broadcast(0.0f);
        for (int f = 0; f < m; f++) {
            const vec a = load(block->rows[f] + (size_t)index[f] * STRIDE(has_centers && f < 2, width) + j);
            s_0 = add(s_0, a);
            vv_0 = multiply_add(a, a, vv_0);
        }
        ss = multiply_add(s_0, s_0, ss);
        store(s + j, s_0);
    }
    *total = ss;
    *own = add(vv_0, vv_1);
}

/* What a batch's ratings do to their rows of one field:
 * V <- keep V + move s + (1 - keep - move) z,   b <- b + move_bias - pull_bias b */
typedef struct {
    float keep[BATCH], move[BATCH], pull_bias[BATCH], move_bias[BATCH];
} NAME(field_steps);

/* Biases and 1 / n of the rows of one field of `k` ratings, whose indices are m apart. Four are put together in registers:
 * a vector that is read soon after its parts were written waits for them to reach the cache. */
TARGET INLINE void NAME(pick_scalars)(int k, int m, const int32_t *index, const sgd_scalars *scalars, float *bias, float *per)
{
#if LENGTH >= 8
    if (k == BATCH) {
        const __m128 none = _mm_setzero_ps();
        const __m128 ab = _mm_loadh_pi(_mm_loadl_pi(none, (const __m64 *)(scalars + index[0])), (const __m64 *)(scalars + index[m]));
        const __m128 cd = _mm_loadh_pi(_mm_loadl_pi(none, (const __m64 *)(scalars + index[2 * m])), (const __m64 *)(scalars + index[3 * m]));
        _mm_storeu_ps(bias, _mm_shuffle_ps(ab, cd, 0x88));
        _mm_storeu_ps(per, _mm_shuffle_ps(ab, cd, 0xDD));
        return;
    }
#endif
    for (int t = 0; t < k; t++) {
        bias[t] = scalars[index[m * t]].bias;
        per[t] = scalars[index[m * t]].per_rating;
    }
}

TARGET INLINE void NAME(pick_floats)(int k, int m, const int32_t *index, const float *from, float *out)
{
#if LENGTH >= 8
    if (k == BATCH) {
        _mm_storeu_ps(out, _mm_setr_ps(from[index[0]], from[index[m]], from[index[2 * m]], from[index[3 * m]]));
        return;
    }
#endif
    for (int t = 0; t < k; t++)
        out[t] = from[index[m * t]];
}

/* Steps of the rows of field f of `k` ratings, whose steps are eta and g. */
TARGET INLINE void NAME(step_rows)(int k, const int32_t *index, const sgd_block *block, const sgd_config *config, int m, int f,
                                   int has_centers, const float *eta, const float *g, NAME(field_steps) *steps)
{
    const sgd_damping damping = config->damping[f < 2 ? f : 2];
    const float alpha = config->alpha, alpha_bias = config->alpha_bias, fit_bias = config->fit_bias;
    float pace[BATCH], z[BATCH], kept[BATCH], kept_bias[BATCH];
    if (f < 2)
        for (int t = 0; t < k; t++)
            pace[t] = 1.0f;
    else
        NAME(pick_floats)(k, m, index + f, block->context_step_factor, pace);
    for (int t = 0; t < k; t++)
        z[t] = has_centers && f < 2 ? block->ties[f][(size_t)index[m * t + f] * SGD_LANES + (f ? SGD_ITEM_BIAS : SGD_USER_BIAS)] : 0.0f;
#pragma omp simd
    for (int t = 0; t < k; t++) {
        const float own_eta = pace[t] * eta[t], own_g = pace[t] * g[t], per = steps->keep[t];
        kept[t] = kept_part(own_eta, alpha, damping.factors, per);
        kept_bias[t] = kept_part(own_eta, alpha_bias, damping.bias, per);
        const float pull_bias = fit_bias * (1.0f - kept_bias[t]);
        steps->move[t] = kept[t] * own_g;
        steps->keep[t] = kept[t] - kept[t] * own_g;
        steps->pull_bias[t] = pull_bias;
        steps->move_bias[t] = fit_bias * kept_bias[t] * own_g + pull_bias * z[t];
    }
}

/* Errors and steps of `k` ratings of any number of fields, no two of which have a row in common but shared ones. */
TARGET INLINE void NAME(begin_fields)(int k, ptrdiff_t r, const sgd_block *block, const sgd_config *config, int general,
                                      int m, int has_centers, int width, NAME(steps) *steps, double *loss)
{
    const float fit_bias = config->fit_bias, step = config->step;
    const int32_t *index = block->index + m * r;
    const float *target = block->target + r, *w = block->weight ? block->weight + r : ones;
    NAME(field_steps) *of_field = (NAME(field_steps) *)(steps->sum + BATCH * width);
    vec own[BATCH], total[BATCH];
    float own_norm[BATCH], sum_norm[BATCH], bias[BATCH], part[BATCH], seen[BATCH];
    float prediction[BATCH], psi[BATCH], kappa[BATCH], eta[BATCH], g[BATCH];
#define SUM_ROWS(t) \
    NAME(sum_rows)(block, m, index + m * (t), has_centers, width, steps->sum + (t) * width, total + (t), own + (t))
    EACH_OF_BATCH(k, SUM_ROWS, total[t_] = own[t_] = broadcast(0.0f));
    for (int t = 0; t < k; t++) {
        bias[t] = part[t] = 0.0f;
        for (int j = 0; has_centers && j < SGD_LANES; j++)
            part[t] += block->ties[0][(size_t)index[m * t] * SGD_LANES + j] *
                       block->ties[1][(size_t)index[m * t + 1] * SGD_LANES + j];
    }
    for (int f = 0; f < m; f++) {
        float b[BATCH];
        NAME(pick_scalars)(k, m, index + f, block->scalars[f], b, of_field[f].keep);
#pragma omp simd
        for (int t = 0; t < k; t++)
            bias[t] += b[t];
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
        NAME(step_rows)(k, index, block, config, m, f, has_centers, eta, g, of_field + f);
}

/* Changes rows of two fields with centers, or of any without. */
TARGET INLINE void NAME(finish_fields)(int k, ptrdiff_t r, const sgd_block *block, int positive, int m, int has_centers,
                                       int width, const NAME(steps) *steps)
{
    const int32_t *index = block->index + m * r;
    const NAME(field_steps) *of_field = (const NAME(field_steps) *)(steps->sum + BATCH * width);
    for (int t = 0; t < k; t++) {
        const float *s = steps->sum + t * width;
        for (int f = 0; f < m; f++) {
            float *v = block->rows[f] + (size_t)index[m * t + f] * STRIDE(has_centers && f < 2, width);
            float *bias = &block->scalars[f][index[m * t + f]].bias;
            *bias += of_field[f].move_bias[t] - of_field[f].pull_bias[t] * *bias;
            const vec keep = broadcast(of_field[f].keep[t]), move = broadcast(of_field[f].move[t]);
            if (has_centers && f < 2) {
                const float *z = v + width;
                const vec toward = broadcast(1.0f - (of_field[f].keep[t] + of_field[f].move[t]));
                FOR_VECTORS(j)
                store(v + j, NAME(kept)(positive, multiply_add(move, load(s + j),
                                               multiply_add(keep, load(v + j), multiply(toward, load(z + j))))));
                continue;
            }
            FOR_VECTORS(j)
            store(v + j, NAME(kept)(positive, multiply_add(move, load(s + j), multiply(keep, load(v + j)))));
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
    /* Copies, whose fields the compiler knows no store to change. */
    const sgd_block copied_block = *given, *block = &copied_block;
    const sgd_config copied_config = *given_config, *config = &copied_config;
    const pairs pair = {given->index, given->target, given->weight, given->rows[0], given->rows[1],
                        given->scalars[0], given->scalars[1], has_centers ? given->ties[0] : NULL,
                        has_centers ? given->ties[1] : NULL};
    const int stride = STRIDE(has_centers, width);
    const ptrdiff_t n = given->n_ratings;
    double loss[BATCH] = {0.0};
    NAME(steps) begun = {.sum = sum}, now = {.sum = sum + BATCH * (width + 4 * m)};
    ptrdiff_t r = 0, open = -1; /* first rating of the batch that is begun and not finished */
    for (; r + BATCH <= n; r += BATCH) {
        const int32_t *index = block->index + m * r;
        if (r + AHEAD + BATCH <= n)
            for (int a = AHEAD * m; a < (AHEAD + BATCH) * m; a += m) { /* context fields have few rows */
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

/* The usual shapes are made constants, so that the compiler unrolls. */
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
    SHAPE(m, 1, width)
    SHAPE(2, 0, 8)
    SHAPE(2, 0, 16)
    SHAPE(2, 0, 32)
    SHAPE(2, 0, 64)
    SHAPE(3, 0, 32)
    SHAPE(4, 0, 32)
    SHAPE(8, 0, 32)
    SHAPE(m, 0, 32)
    SHAPE(2, 0, width)
    SHAPE(m, 0, width)
#undef SHAPE
    return 0.0;
}

/* Predictions of `k` rows of X; every one by the same additions, wherever it stands. */
TARGET INLINE void NAME(predict_batch)(int k, int m, const sgd_tables *tables, const int32_t *index, double *out)
{
    const int rank = tables->rank;
    float bias[BATCH], interactions[BATCH];
    vec products[BATCH];
    for (int t = 0; t < BATCH; t++)
        products[t] = broadcast(0.0f);
    for (int t = 0; t < k; t++) {
        bias[t] = 0.0f;
        for (int f = 0; f < m; f++)
            bias[t] += index[m * t + f] < 0 ? 0.0f : *row_at(&tables->bias[f], index[m * t + f]);
        for (int j = 0; j < rank; j += LENGTH) {
            vec s = broadcast(0.0f);
            for (int f = 0; f < m; f++) {
                /* sum_{f<g} <V_f, V_g>, one g at a time: <sum_{f<g} V_f, V_g> */
                if (index[m * t + f] < 0)
                    continue;
                const float *row = row_at(&tables->rows[f], index[m * t + f]) + j;
                const vec v = j + LENGTH <= rank ? load(row) : load_part(row, rank - j);
                products[t] = multiply_add(s, v, products[t]);
                s = add(s, v);
            }
        }
    }
    NAME(sum_each)(products, interactions);
    for (int t = 0; t < k; t++)
        out[t] = tables->intercept + (double)bias[t] + (double)interactions[t];
}

TARGET INLINE void NAME(predict_rows)(ptrdiff_t n, int m, const sgd_tables *tables, const int32_t *index, double *out)
{
    ptrdiff_t r = 0;
    for (; r + BATCH <= n; r += BATCH, index += BATCH * m) {
        if (r + AHEAD + BATCH <= n)
            for (int a = AHEAD * m; a < (AHEAD + BATCH) * m; a += m)
                for (int side = 0; side < 2; side++)
                    if (index[a + side] >= 0)
                        prefetch_row(row_at(&tables->rows[side], index[a + side]), tables->rank);
        NAME(predict_batch)(BATCH, m, tables, index, out + r);
    }
    for (; r < n; r++, index += m)
        NAME(predict_batch)(1, m, tables, index, out + r);
}

TARGET static void NAME(predict)(ptrdiff_t n, int m, const sgd_tables *tables, const int32_t *index, double *out)
{
    if (m == 2)
        NAME(predict_rows)(n, 2, tables, index, out);
    else
        NAME(predict_rows)(n, m, tables, index, out);
}
