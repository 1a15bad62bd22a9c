/* Drives precision.c and online.c over exactly sized heap arrays, for tests/kernel/sanitize.sh. */
#include "online.h"
#include "sanitize.h"

#include <math.h>

enum { LEVELS = 27, MAX_FIELDS = 7, N_PARTS = 3 };

static const sgd_damping damping[N_PARTS] = {{1.0f, 0.5f}, {2.0f, 1.5f}, {3.0f, 2.5f}};

static float draw_part(void) { return (float)(draw() % 1000) / 1000.0f - 0.5f; }

static row_table draw_table(int n_columns, int in_chunks, float least)
{
    row_table table = take_table(LEVELS, n_columns, in_chunks);
    for (int row = 0; row < LEVELS; row++)
        for (int j = 0; j < n_columns; j++)
            row_at(&table, row)[j] = least + draw_part();
    return table;
}

static precision_rule make_rule(int m, sgd_loss kind, int fit_bias)
{
    float *mean_square = take(m * sizeof(float));
    for (int f = 0; f < m; f++)
        mean_square[f] = 0.1f * (float)(f + 1);
    return (precision_rule){0.04f, 0.01f, (float)fit_bias, 0.8f, kind == sgd_poisson, {damping[0], damping[1], damping[2]},
                            mean_square};
}

static precision_scratch take_scratch(int m, int width)
{
    return (precision_scratch){take(m * sizeof(float *)), take(m * sizeof(float)), take(m * sizeof(int64_t)),
                               take((width + PRECISION_PADDING) * sizeof(float))};
}

static void free_scratch(const precision_scratch *scratch)
{
    void *const all[] = {scratch->rows, scratch->squares, scratch->places, scratch->sum};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* Squares of a block whose users and items are in the middle of the table and whose context rows are its end. */
static void leave_out(int n, int m, int rank, int weighted, int centered, sgd_loss kind)
{
    enum { FIRST_USER = 2, FIRST_ITEM = FIRST_USER + LEVELS, ROWS = FIRST_ITEM + LEVELS + 5, CONTEXTS = 5 };
    const int width = rank ? (rank + SGD_LANES - 1) / SGD_LANES * SGD_LANES : SGD_LANES, stride = centered ? 2 * width : width;
    int32_t *index = take((size_t)n * m * sizeof(int32_t)), *context_rows = take(CONTEXTS * sizeof(int32_t));
    float *target = take(n * sizeof(float)), *weight = take(n * sizeof(float));
    float *rows = take((size_t)ROWS * stride * sizeof(float)), *ties = take((ROWS - CONTEXTS) * SGD_LANES * sizeof(float));
    sgd_scalars *scalars = take(ROWS * sizeof(sgd_scalars));
    double *sums = take(ROWS * sizeof(double)), *squares = take(ROWS * sizeof(double)), of_users = 0.0;
    for (int r = 0; r < n; r++) {
        target[r] = (float)(draw() % 5);
        weight[r] = (float)(draw() % 3);
        for (int f = 0; f < m; f++)
            index[r * m + f] = (int32_t)(draw() % (f < 2 ? LEVELS : CONTEXTS));
    }
    for (int c = 0; c < CONTEXTS; c++)
        context_rows[c] = ROWS - 1 - c;
    for (int row = 0; row < ROWS; row++) {
        sums[row] = draw() % 9;
        scalars[row].bias = draw_part();
        for (int j = 0; j < rank; j++)
            rows[row * stride + j] = draw_part();
    }
    for (int j = 0; j < (ROWS - CONTEXTS) * SGD_LANES; j++)
        ties[j] = draw_part();
    const precision_rule rule = make_rule(m, kind, n % 2);
    const sgd_config config = {.loss = kind, .parameter = 0.5f, .offset = 0.5f};
    const precision_scratch scratch = take_scratch(m, width);
    const precision_block block = {n, m, width, stride, index, target, weighted ? weight : NULL, {FIRST_USER, FIRST_ITEM},
                                   m > 2 ? context_rows : NULL, rows, centered ? ties : NULL, scalars, sums};
    const double total = precision_left_out(&block, &config, &rule, squares, &scratch);
    for (int u = FIRST_USER; u < FIRST_ITEM; u++)
        of_users += squares[u];
    if (!isfinite(total) || fabs(total - of_users) > 1e-9 * total || squares[0] != 0.0)
        fail("squares of users do not add up to the total");
    free_scratch(&scratch);
    void *const all[] = {index, context_rows, target, weight, rows, ties, scalars, sums, squares, (void *)rule.mean_square};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* Variances of pairs, some of levels never seen, and ratings learned one after another with all tables written to. */
static void predict_and_learn(int n, int m, int rank, int weighted, int centered, sgd_loss kind)
{
    row_table rows[MAX_FIELDS], bias[MAX_FIELDS], sums[MAX_FIELDS], centers[2], coefficients[2];
    for (int f = 0; f < m; f++) {
        const int in_chunks = (f + n) % 2;
        rows[f] = draw_table(rank, in_chunks, kind == sgd_huber ? 0.5f : 0.0f);
        bias[f] = draw_table(1, in_chunks, 0.0f);
        sums[f] = draw_table(N_LEVEL_SUMS, in_chunks, 3.0f);
        if (f < 2) {
            centers[f] = draw_table(rank + 1, in_chunks, 0.0f);
            coefficients[f] = draw_table(rank + 1, !in_chunks, 0.0f);
        }
    }
    int32_t *index = take((size_t)n * m * sizeof(int32_t)), *asked = take((size_t)n * m * sizeof(int32_t));
    for (int i = 0; i < n * m; i++) {
        index[i] = (int32_t)(draw() % LEVELS);
        asked[i] = draw() % 5 ? index[i] : -1;
    }
    float *row_square = take(m * sizeof(float));
    double *variance = take(n * sizeof(double)), *score = take(n * sizeof(double)), *expected = take(n * sizeof(double));
    precision_rule rule = make_rule(m, kind, n % 2);
    const precision_scratch scratch = take_scratch(m, rank);
    const precision_tables tables = {rank, rows, bias, sums, 2.0f, 0.5f, 3.0, 15.0f};
    const sgd_tables model = {rank, 3.0, rows, bias};
    for (int of_mean = 0; of_mean < 2; of_mean++)
        precision_variances(n, m, &tables, &rule, row_square, of_mean, asked, variance, score, &scratch);
    sgd_predict(n, m, &model, asked, expected);
    for (int r = 0; r < n; r++)
        if (!(variance[r] >= 0.0) || (m == 2 && score[r] != expected[r]))
            fail("a variance below 0, or another score than that of a prediction");

    double *y = take(n * sizeof(double)), *y_old = take(n * sizeof(double)), *weight = take(n * sizeof(double));
    uint8_t *is_partner = take(2 * n);
    for (int r = 0; r < n; r++) {
        y[r] = draw() % 5;
        y_old[r] = draw() % 3 ? NAN : draw() % 5;
        weight[r] = 0.5 + draw() % 3;
        is_partner[2 * r] = draw() % 2;
        is_partner[2 * r + 1] = draw() % 2;
    }
    double *square_sums = take(m * sizeof(double)), *totals = take(2 * sizeof(double));
    const online_scratch own = {take(ONLINE_AHEAD * m * sizeof(online_level)), take((m + 1) * rank * sizeof(float)),
                                take(m * sizeof(float)),
                                take(m * sizeof(precision_gains)), take(m * sizeof(double))};
    void *const before = (void *)rule.mean_square;
    const sgd_config config = {.loss = kind, .parameter = 0.5f, .offset = 0.5f, .positive = kind == sgd_huber};
    const online_ratings ratings = {n, index, y, weighted ? y_old : NULL, weighted ? weight : NULL, is_partner};
    const online_model learned = {m, rank, 3.0, 2.0, n % 3 ? 0.0 : 0.1, rows, bias, sums, centers, coefficients,
                                  {centered, centered && n % 2}, square_sums, totals};
    if (!isfinite(online_update(&ratings, &learned, &config, &rule, &own)))
        fail("a loss that is not finite");
    for (int f = 0; f < m; f++) {
        free_table(&rows[f], LEVELS);
        free_table(&bias[f], LEVELS);
        free_table(&sums[f], LEVELS);
        if (f < 2) {
            free_table(&centers[f], LEVELS);
            free_table(&coefficients[f], LEVELS);
        }
    }
    free_scratch(&scratch);
    void *const all[] = {index, asked, row_square, variance, score, expected, y, y_old, weight, is_partner, square_sums, totals,
                         own.levels, own.others, own.mean_square, own.gains, own.squares, before};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

int main(void)
{
    const char *const simd[] = {"baseline", "avx2", "avx512"};
    for (int s = 0; s < 3; s++) {
        if (!sgd_select_simd(simd[s]))
            continue;
        precision_select_simd(simd[s]);
        for (int m = 2; m <= MAX_FIELDS; m += m < 4 ? 1 : 3)
            for (int rank = 0; rank <= 40; rank += rank < 18 ? 1 : 11)
                for (int kind = 0; kind < 4; kind++) /* weighted or not, with centers or not */
                    for (int loss = 0; loss < SGD_N_LOSSES; loss++)
                        for (int n = 1; n < 100; n = 2 * n + 1) {
                            leave_out(n, m, rank, kind % 2, kind / 2, loss);
                            predict_and_learn(n, m, rank, kind % 2, kind / 2, loss);
                        }
        printf("precision, online, %s: no findings\n", simd[s]);
    }
    return 0;
}
