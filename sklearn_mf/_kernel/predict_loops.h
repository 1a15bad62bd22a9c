/* Predictions of rows of X, written with the vector operations of sgd_vector.h. sgd.c includes this file once for each
 * instruction set. */

/* Predictions of `k` rows of X. The order of additions is the same for every row, wherever it stands. */
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
