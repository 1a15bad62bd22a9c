/* Drives every function of sgd.h over exactly sized heap arrays, for tests/sanitize.sh. */
#include "sgd.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 200, MAX_FIELDS = 4, ROWS = 9 };

static unsigned state = 1;

static unsigned draw(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static float *floats(size_t n, float low, float high)
{
    float *array = malloc(n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        array[i] = low + (high - low) * (float)(draw() % 1000) / 1000.0f;
    return array;
}

static void run(int n_fields, int rank, int weighted, float fit_bias)
{
    const int width = rank ? (rank + SGD_LANES - 1) / SGD_LANES * SGD_LANES : SGD_LANES;
    int32_t *index = malloc(sizeof(int32_t) * N * n_fields);
    for (int i = 0; i < N * n_fields; i++)
        index[i] = (int32_t)(draw() % ROWS);
    float *target = floats(N, -2, 2), *weight = weighted ? floats(N, 0.1f, 5) : NULL, *sum = floats(width, 0, 0);
    float *rows[MAX_FIELDS], *bias[MAX_FIELDS], *damping[MAX_FIELDS];
    for (int f = 0; f < n_fields; f++) {
        rows[f] = floats((size_t)ROWS * width, -0.5f, 0.5f);
        bias[f] = floats(ROWS, -1, 1);
        damping[f] = floats(ROWS, 0, 2);
    }
    const sgd_config config = {0.1f, 0.04f, 0.01f, fit_bias};
    const sgd_block block = {N, n_fields, width, index, target, weight, rows, bias, (const float *const *)damping};
    double loss = 0;
    for (int epoch = 0; epoch < 3; epoch++)
        loss = sgd_update_block(&block, &config, sum);

    int32_t which[3] = {7, 0, 8};
    float *own_rows = floats(3 * (size_t)width, 0, 0), *own_bias = floats(3, 0, 0), *own_damping = floats(3, 0, 0);
    const float share[3] = {0.5f, 1.0f, 0.25f};
    sgd_copy_rows(3, width, which, rows[0], bias[0], damping[0], own_rows, own_bias, own_damping);
    sgd_subtract_rows(3, width, which, rows[0], bias[0], own_rows, own_bias);
    sgd_add_rows(3, width, which, share, own_rows, own_bias, rows[0], bias[0]);

    index[0] = -1;
    index[n_fields] = index[n_fields + 1] = -1;
    double *out = malloc(sizeof(double) * N);
    sgd_predict(N, n_fields, width, index, (const float *const *)rows, (const float *const *)bias, 3.0, sum, out);
    if (!isfinite(loss) || !isfinite(out[0])) {
        fprintf(stderr, "not finite: fields %d, rank %d\n", n_fields, rank);
        exit(1);
    }
    for (int f = 0; f < n_fields; f++) {
        free(rows[f]);
        free(bias[f]);
        free(damping[f]);
    }
    free(index);
    free(target);
    free(weight);
    free(sum);
    free(own_rows);
    free(own_bias);
    free(own_damping);
    free(out);
}

int main(void)
{
    const char *const simd[] = {"baseline", "auto"};
    for (int s = 0; s < 2; s++) {
        const char *name = sgd_select_simd(simd[s]);
        for (int n_fields = 2; n_fields <= MAX_FIELDS; n_fields++)
            for (int rank = 0; rank <= 40; rank += 4)
                for (int weighted = 0; weighted < 2; weighted++)
                    run(n_fields, rank, weighted, (float)(rank % 8 == 0));
        printf("%s: no findings\n", name);
    }
    return sgd_select_simd("mmx") != NULL;
}
