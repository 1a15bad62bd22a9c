/* The loops of als.c, written with the vector operations of sgd_vector.h. Included once for each instruction set. */

/* out[r] = gram x[r] for ALS_ROWS rows and `n_vectors` vectors of columns from c on. Each part of the matrix is read
 * once for all rows. */
TARGET INLINE void NAME(multiply_gram_part)(int rank, int c, int n_vectors, const float *gram, const float *x, float *out)
{
    vec sum[2 * ALS_ROWS];
    for (int r = 0; r < 2 * ALS_ROWS; r++)
        sum[r] = broadcast(0.0f);
    for (int j = 0; j < rank; j++)
        for (int v = 0; v < n_vectors; v++) {
            const vec given = load(gram + (size_t)j * rank + c + v * LENGTH);
            for (int r = 0; r < ALS_ROWS; r++)
                sum[2 * r + v] = multiply_add(broadcast(x[r * rank + j]), given, sum[2 * r + v]);
        }
    for (int r = 0; r < ALS_ROWS; r++)
        for (int v = 0; v < n_vectors; v++)
            store(out + r * rank + c + v * LENGTH, sum[2 * r + v]);
}

TARGET INLINE void NAME(multiply_gram)(int rank, const float *gram, const float *x, float *out)
{
    int c = 0;
    for (; c + 2 * LENGTH <= rank; c += 2 * LENGTH)
        NAME(multiply_gram_part)(rank, c, 2, gram, x, out);
    if (c < rank)
        NAME(multiply_gram_part)(rank, c, 1, gram, x, out);
}

TARGET INLINE float NAME(dot)(int rank, const float *a, const float *b)
{
    vec sum[BATCH];
    for (int k = 0; k < BATCH; k++)
        sum[k] = broadcast(0.0f);
    for (int v = 0; v < rank / LENGTH; v++)
        sum[v % BATCH] = multiply_add(load(a + v * LENGTH), load(b + v * LENGTH), sum[v % BATCH]);
    float part[BATCH];
    NAME(sum_each)(sum, part);
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/* For the pairs of one row x: out += sum_j c_j e_j q_j. With RESIDUAL, e_j is 1 - <x, q_j>. With PRODUCT and SQUARES it
 * is <x, q_j>. With SQUARES, `out` does not change. Returns sum_j c_j e_j^2. `at_once` columns of a row are kept in
 * registers. */
TARGET INLINE double NAME(add_pairs_part)(int rank, int at_once, int kind, ptrdiff_t n, const int32_t *index,
                                          const float *weight, const float *other, const float *x, float *out)
{
    static const float ones[BATCH] = {1.0f, 1.0f, 1.0f, 1.0f};
    const int n_kept = at_once / LENGTH, n_vectors = rank / LENGTH;
    vec kept_x[ALS_MOST / LENGTH], kept_out[ALS_MOST / LENGTH];
    const float *c = ones;
    int32_t last[BATCH];
    float of_last[BATCH];
    double loss = 0.0;
    for (int v = 0; v < n_kept; v++) {
        kept_x[v] = load(x + v * LENGTH);
        if (kind != SQUARES)
            kept_out[v] = load(out + v * LENGTH);
    }
    for (ptrdiff_t i = 0; i < n; i += BATCH) {
        const int32_t *at = index + i;
        const float *q[BATCH];
        vec sum[BATCH];
        float score[BATCH];
        if (weight)
            c = weight + i;
        if (i + BATCH > n) { /* fill up the batch with copies of the last pair, with weight 0 */
            for (int k = 0; k < BATCH; k++) {
                last[k] = index[i + k < n ? i + k : n - 1];
                of_last[k] = i + k >= n ? 0.0f : weight ? weight[i + k] : 1.0f;
            }
            at = last;
            c = of_last;
        }
        for (int k = 0; k < BATCH; k++) {
            q[k] = other + (size_t)at[k] * rank;
            sum[k] = broadcast(0.0f);
        }
        if (i + 3 * BATCH <= n)
            for (int k = 0; k < BATCH; k++)
                for (int l = 0; l < rank; l += 16)
                    PREFETCH(other + (size_t)at[k + 2 * BATCH] * rank + l);
        for (int v = 0; v < n_kept; v++)
            for (int k = 0; k < BATCH; k++)
                sum[k] = multiply_add(kept_x[v], load(q[k] + v * LENGTH), sum[k]);
        for (int v = n_kept; v < n_vectors; v++)
            for (int k = 0; k < BATCH; k++)
                sum[k] = multiply_add(load(x + v * LENGTH), load(q[k] + v * LENGTH), sum[k]);
        NAME(sum_each)(sum, score);
        for (int k = 0; k < BATCH; k++) {
            const float e = kind == RESIDUAL ? 1.0f - score[k] : score[k], pull = c[k] * e;
            loss += (double)(pull * e);
            sum[k] = broadcast(pull);
        }
        if (kind == SQUARES)
            continue;
        for (int k = 0; k < BATCH && at_once >= 64; k++)
            FORGET(q[k]);
        for (int v = 0; v < n_kept; v++)
            for (int k = 0; k < BATCH; k++)
                kept_out[v] = multiply_add(sum[k], load(q[k] + v * LENGTH), kept_out[v]);
        for (int v = n_kept; v < n_vectors; v++) {
            vec total = load(out + v * LENGTH);
            for (int k = 0; k < BATCH; k++)
                total = multiply_add(sum[k], load(q[k] + v * LENGTH), total);
            store(out + v * LENGTH, total);
        }
    }
    for (int v = 0; v < n_kept && kind != SQUARES; v++)
        store(out + v * LENGTH, kept_out[v]);
    return loss;
}

TARGET INLINE double NAME(add_pairs)(int rank, int kind, ptrdiff_t n, const int32_t *index, const float *weight,
                                     const float *other, const float *x, float *out)
{
    switch (rank) { /* whole rows in registers, for usual lengths */
    case 16: return NAME(add_pairs_part)(16, 16, kind, n, index, weight, other, x, out);
    case 32: return NAME(add_pairs_part)(32, 32, kind, n, index, weight, other, x, out);
    case 48: return NAME(add_pairs_part)(48, 48, kind, n, index, weight, other, x, out);
    case 64: return NAME(add_pairs_part)(64, 64, kind, n, index, weight, other, x, out);
    case 128: return NAME(add_pairs_part)(128, ALS_MOST, kind, n, index, weight, other, x, out);
    }
    if (rank > ALS_MOST)
        return NAME(add_pairs_part)(rank, ALS_MOST, kind, n, index, weight, other, x, out);
    return NAME(add_pairs_part)(rank, 64, kind, n, index, weight, other, x, out);
}

TARGET static double NAME(add_residual)(int rank, ptrdiff_t n, const int32_t *index, const float *weight,
                                        const float *other, const float *x, float *out)
{
    return NAME(add_pairs)(rank, RESIDUAL, n, index, weight, other, x, out);
}

TARGET static double NAME(add_product)(int rank, ptrdiff_t n, const int32_t *index, const float *weight,
                                       const float *other, const float *x, float *out)
{
    return NAME(add_pairs)(rank, PRODUCT, n, index, weight, other, x, out);
}

TARGET static double NAME(sum_squares)(int rank, ptrdiff_t n, const int32_t *index, const float *weight,
                                       const float *other, const float *x)
{
    return NAME(add_pairs)(rank, SQUARES, n, index, weight, other, x, NULL);
}

/* Solve up to ALS_ROWS rows from `first` on together. */
TARGET static void NAME(solve_rows)(const als_side *side, ptrdiff_t first, int n_rows, float *scratch, als_sums *sums)
{
    const int rank = side->rank, n_vectors = rank / LENGTH;
    const size_t all = (size_t)ALS_ROWS * rank;
    float *x = scratch, *residual = x + all, *direction = residual + all, *product = direction + all;
    float squared[ALS_ROWS] = {0.0f}, enough[ALS_ROWS];
    memset(scratch, 0, 4 * all * sizeof(float));
    memcpy(x, side->own + first * rank, (size_t)n_rows * rank * sizeof(float));
    NAME(multiply_gram)(rank, side->gram, x, product);
    for (int r = 0; r < n_rows; r++) { /* residual = sum_j c_j (1 - <x, q_j>) q_j - (gram + ridge) x */
        const int64_t lo = side->start[first + r], n = side->start[first + r + 1] - lo;
        const float ridge = side->ridge[first + r], *weight = side->weight ? side->weight + lo : NULL;
        float *own = x + r * rank, *rest = residual + r * rank, *held = product + r * rank;
        const vec ridges = broadcast(ridge);
        sums->objective += NAME(add_residual)(rank, n, side->index + lo, weight, side->other, own, rest);
        for (int v = 0; v < n_vectors; v++) {
            const vec pull = multiply_add(ridges, load(own + v * LENGTH), load(held + v * LENGTH));
            store(held + v * LENGTH, pull);
            store(rest + v * LENGTH, subtract(load(rest + v * LENGTH), pull));
        }
        sums->objective += NAME(dot)(rank, own, held);
        squared[r] = NAME(dot)(rank, rest, rest);
        enough[r] = side->tolerance * (squared[r] + NAME(dot)(rank, held, held));
    }
    memcpy(direction, residual, all * sizeof(float));
    for (int step = 0; step < side->n_steps; step++) {
        const int is_last = step == side->n_steps - 1; /* its residual is not needed, so the product is not needed */
        int is_done = 1;
        for (int r = 0; r < n_rows; r++)
            is_done &= !(squared[r] > enough[r]);
        if (is_done)
            break;
        NAME(multiply_gram)(rank, side->gram, direction, product);
        for (int r = 0; r < n_rows; r++) {
            if (!(squared[r] > enough[r]))
                continue;
            const int64_t lo = side->start[first + r], n = side->start[first + r + 1] - lo;
            const float *weight = side->weight ? side->weight + lo : NULL;
            const vec ridges = broadcast(side->ridge[first + r]);
            float *own = x + r * rank, *rest = residual + r * rank, *to = direction + r * rank, *held = product + r * rank;
            for (int v = 0; v < n_vectors; v++)
                store(held + v * LENGTH, multiply_add(ridges, load(to + v * LENGTH), load(held + v * LENGTH)));
            if (!is_last)
                NAME(add_product)(rank, n, side->index + lo, weight, side->other, to, held);
            float curvature = NAME(dot)(rank, to, held);
            if (is_last)
                curvature += (float)NAME(sum_squares)(rank, n, side->index + lo, weight, side->other, to);
            const float length = squared[r] / curvature;
            if (!(curvature > 0.0f && length < ALS_LONGEST)) { /* flat in single precision: no further progress */
                squared[r] = 0.0f;
                continue;
            }
            const vec forward = broadcast(length), backward = broadcast(-length);
            for (int v = 0; v < n_vectors; v++)
                store(own + v * LENGTH, multiply_add(forward, load(to + v * LENGTH), load(own + v * LENGTH)));
            sums->decrease += (double)length * squared[r];
            if (is_last)
                continue;
            for (int v = 0; v < n_vectors; v++)
                store(rest + v * LENGTH, multiply_add(backward, load(held + v * LENGTH), load(rest + v * LENGTH)));
            const float before = squared[r];
            squared[r] = NAME(dot)(rank, rest, rest);
            const vec share = broadcast(squared[r] / before);
            for (int v = 0; v < n_vectors; v++)
                store(to + v * LENGTH, multiply_add(share, load(to + v * LENGTH), load(rest + v * LENGTH)));
        }
    }
    for (int r = 0; r < n_rows; r++)
        sums->penalty += (double)side->ridge[first + r] * NAME(dot)(rank, x + r * rank, x + r * rank);
    memcpy(side->own + first * rank, x, (size_t)n_rows * rank * sizeof(float));
}

TARGET static void NAME(solve)(const als_side *side, ptrdiff_t first, ptrdiff_t last, float *scratch, als_sums *sums)
{
    for (; first < last; first += ALS_ROWS)
        NAME(solve_rows)(side, first, last - first < ALS_ROWS ? (int)(last - first) : ALS_ROWS, scratch, sums);
}

/* sum = rows^T rows, the lower triangle only, 8 x ALS_LANES numbers at a time. */
TARGET static void NAME(gram)(ptrdiff_t n, int rank, const float *rows, float *sum)
{
    for (int j = 0; j < rank; j += 8)
        for (int c = 0; c <= j; c += ALS_LANES) {
            vec part[8][ALS_LANES / LENGTH];
            for (int k = 0; k < 8; k++)
                for (int v = 0; v < ALS_LANES / LENGTH; v++)
                    part[k][v] = broadcast(0.0f);
            for (ptrdiff_t i = 0; i < n; i++) {
                const float *row = rows + i * rank;
                for (int v = 0; v < ALS_LANES / LENGTH; v++) {
                    const vec given = load(row + c + v * LENGTH);
                    for (int k = 0; k < 8; k++)
                        part[k][v] = multiply_add(broadcast(row[j + k]), given, part[k][v]);
                }
            }
            for (int k = 0; k < 8; k++)
                for (int v = 0; v < ALS_LANES / LENGTH; v++)
                    store(sum + (size_t)(j + k) * rank + c + v * LENGTH, part[k][v]);
        }
}
