/* The loops of partners.c, written with the vector operations of sgd_vector.h. Included once for each instruction set. */

/* `part` columns of rows of `width` floats. If `part` is a constant, they fit into registers. */
TARGET INLINE void NAME(gather_part)(const partners_block *block, int width, int part, const float *from, float *to)
{
    const int32_t *item = block->item;
    for (ptrdiff_t r = 0; r < block->n_runs; r++) {
        float *out = to + (size_t)block->user[r] * width;
        vec sum[MOST / LENGTH];
        for (int v = 0; v < part / LENGTH; v++)
            sum[v] = load(out + v * LENGTH);
        const int32_t *end = item + block->count[r];
        for (; item < end; item++) {
            const float *row = from + (size_t)*item * width;
            for (int v = 0; v < part / LENGTH; v++)
                sum[v] = add(sum[v], load(row + v * LENGTH));
        }
        for (int v = 0; v < part / LENGTH; v++)
            store(out + v * LENGTH, sum[v]);
    }
}

TARGET INLINE void NAME(scatter_part)(const partners_block *block, int width, int part, const float *from, float *to)
{
    const int32_t *item = block->item;
    for (ptrdiff_t r = 0; r < block->n_runs; r++) {
        const float *row = from + (size_t)block->user[r] * width;
        vec given[MOST / LENGTH];
        for (int v = 0; v < part / LENGTH; v++)
            given[v] = load(row + v * LENGTH);
        const int32_t *end = item + block->count[r];
        for (; item < end; item++) {
            float *out = to + (size_t)*item * width;
            for (int v = 0; v < part / LENGTH; v++)
                store(out + v * LENGTH, add(load(out + v * LENGTH), given[v]));
        }
    }
}

/* Whole rows at once for usual widths, otherwise in parts. */
#define EACH_PART(run)                                              \
    switch (width) {                                                \
    case 8: run(block, 8, 8, from, to); return;                     \
    case 16: run(block, 16, 16, from, to); return;                  \
    case 24: run(block, 24, 24, from, to); return;                  \
    case 40: run(block, 40, 40, from, to); return;                  \
    case 72: run(block, 72, 72, from, to); return;                  \
    }                                                               \
    int j = 0;                                                      \
    for (; j + 64 <= width; j += 64)                                \
        run(block, width, 64, from + j, to + j);                    \
    for (; j + 8 <= width; j += 8)                                  \
        run(block, width, 8, from + j, to + j)

TARGET static void NAME(gather)(const partners_block *block, int width, const float *from, float *to)
{
    EACH_PART(NAME(gather_part));
}

TARGET static void NAME(scatter)(const partners_block *block, int width, const float *from, float *to)
{
    EACH_PART(NAME(scatter_part));
}

TARGET static void NAME(project)(ptrdiff_t n, int k, int width, const float *left, const float *right, float *out)
{
    for (ptrdiff_t r = 0; r < n; r++)
        for (int c = 0; c < k; c++) {
            const vec factor = broadcast(left[r * k + c]);
            for (int j = 0; j + LENGTH <= width; j += LENGTH)
                store(out + c * width + j, multiply_add(factor, load(right + r * width + j), load(out + c * width + j)));
        }
}

TARGET static void NAME(expand)(ptrdiff_t n, int k, int width, const float *left, const float *out, float *rows)
{
    for (ptrdiff_t r = 0; r < n; r++)
        for (int j = 0; j + LENGTH <= width; j += LENGTH) {
            vec sum = load(rows + r * width + j);
            for (int c = 0; c < k; c++)
                sum = multiply_add(broadcast(left[r * k + c]), load(out + c * width + j), sum);
            store(rows + r * width + j, sum);
        }
}
