/* Drives the C files over exactly sized heap arrays and with threads, for tests/kernel/sanitize.sh. */
#include "als.h"
#include "coarse.h"
#include "effects.h"
#include "grid.h"
#include "hashing.h"
#include "centers.h"
#include "partners.h"
#include "select.h"
#include "sanitize.h"
#include "strata.h"

#include <math.h>
#include <pthread.h>

enum { N = 700, MAX_FIELDS = 10, GROUPS = 3, IN_GROUP = 9, ROWS = GROUPS * IN_GROUP, BLOCKS = GROUPS * GROUPS };

typedef struct {
    const strata_grid *grid;
    const sgd_config *config;
    int64_t *state;
} work;

static void *run_share(void *given)
{
    const work *w = given;
    static const int64_t strata[GROUPS] = {2, 0, 1};
    void *scratch = take(strata_scratch(w->grid));
    strata_run(w->grid, w->config, GROUPS, strata, w->state, scratch);
    free(scratch);
    return NULL;
}

/* Deals random ratings to a grid, runs three epochs on it with `n_threads` and predicts; returns the loss. The third ends
 * early where `ends` is set. */
static double run(int m, int rank, int weighted, int centered, int ends, sgd_loss kind, int n_threads)
{
    const int width = rank ? (rank + SGD_LANES - 1) / SGD_LANES * SGD_LANES : SGD_LANES;
    state = 1;
    int32_t *codes[MAX_FIELDS];
    grid_place *places[2];
    int64_t offset[MAX_FIELDS + 1] = {0};
    for (int f = 0; f < m; f++) {
        offset[f + 1] = offset[f] + ROWS;
        codes[f] = take(N * sizeof(int32_t));
        for (int r = 0; r < N; r++)
            codes[f][r] = (int32_t)(draw() % ROWS);
    }
    for (int f = 0; f < 2; f++) {
        places[f] = take(ROWS * sizeof(grid_place));
        for (int l = 0; l < ROWS; l++)
            places[f][l] = (grid_place){l / GROUPS, l % GROUPS};
    }
    double *values = take(N * sizeof(double)), *weights = take(N * sizeof(double));
    for (int r = 0; r < N; r++) {
        values[r] = draw() % 3 - 1.0;
        weights[r] = draw() % 4;
    }

    int64_t start[BLOCKS + 1] = {0}, next[BLOCKS] = {0}, first_row[2 * BLOCKS];
    grid_count(N, (const int32_t *const *)codes, weighted ? weights : NULL, places[0], places[1], GROUPS, GROUPS, next);
    for (int b = 0; b < BLOCKS; b++) {
        start[b + 1] = start[b] + next[b];
        next[b] = start[b];
        first_row[2 * b] = b % GROUPS * IN_GROUP;
        first_row[2 * b + 1] = ROWS + (b % GROUPS + b / GROUPS) % GROUPS * IN_GROUP;
    }
    const int64_t n = start[BLOCKS];
    int32_t *index = take(n * m * sizeof(int32_t));
    double *y = take(n * sizeof(double)), *w = take(n * sizeof(double));
    if (grid_scatter(N, m, (const int32_t *const *)codes, values, weighted ? weights : NULL, 0.5, places[0], places[1],
                     offset, GROUPS, GROUPS, n, next, index, y, weighted ? w : NULL) != -1)
        fail("a row has no place in its block");
    float *target = take(n * sizeof(float)), *weight = take(n * sizeof(float));
    uint8_t *batch_kinds = take(n / SGD_BATCH + BLOCKS);
    int32_t *context_rows = take(BLOCKS * m * ROWS * sizeof(int32_t)), *number = take(m * ROWS * sizeof(int32_t));
    double *share = take(BLOCKS * m * ROWS * sizeof(double)), *total = take(m * ROWS * sizeof(double));
    float *part = take(BLOCKS * m * ROWS * sizeof(float)), *pace = take(BLOCKS * m * ROWS * sizeof(float));
    for (int t = 0; t < BLOCKS * m * ROWS; t++) { /* half of the context rows may be shared by a batch */
        part[t] = 1.0f / GROUPS;
        pace[t] = t % 2 ? 1.0f : 0.1f;
    }
    int64_t context_start[BLOCKS + 1] = {0};
    memset(number, -1, m * ROWS * sizeof(int32_t));
    for (int b = 0; b < BLOCKS; b++) {
        const int64_t lo = start[b], size = start[b + 1] - lo;
        int32_t *rows = index + lo * m;
        double *block_weights = weighted ? w + lo : NULL;
        void *scratch = take(grid_order_scratch(size, m));
        grid_order(size, m, 7, (grid_bands){b % 2, 3, b % 3 ? 5 : 0}, rows, y + lo, block_weights, scratch);
        free(scratch);
        if (block_weights) { /* what is merged is put back as it was, apart */
            int32_t *merged = take(size * m * sizeof(int32_t));
            double *merged_y = take(size * sizeof(double)), *merged_w = take(size * sizeof(double));
            memcpy(merged, rows, size * m * sizeof(int32_t));
            memcpy(merged_y, y + lo, size * sizeof(double));
            memcpy(merged_w, block_weights, size * sizeof(double));
            const ptrdiff_t left = grid_merge(size, m, merged, merged_y, merged_w);
            double before = 0.0, after = 0.0;
            for (ptrdiff_t r = 0; r < size; r++)
                before += block_weights[r];
            for (ptrdiff_t r = 0; r < left; r++)
                after += merged_w[r];
            if (before != after)
                fail("merging loses weight");
            free(merged);
            free(merged_y);
            free(merged_w);
        }
        context_start[b + 1] = context_start[b] + grid_number(size, m, rows, block_weights, context_rows + context_start[b],
                                                             share + context_start[b], number);
        const int64_t n_last = 2 * IN_GROUP + context_start[b + 1] - context_start[b];
        int64_t first[MAX_FIELDS] = {0, IN_GROUP};
        for (int f = 2; f < m; f++)
            first[f] = 2 * IN_GROUP;
        int32_t *last = take(n_last * sizeof(int32_t));
        grid_spread(size, m, rows, y + lo, block_weights, pace + context_start[b], first, n_last, last,
                    batch_kinds + lo / SGD_BATCH + b);
        free(last);
        grid_add_weights(size, m, 0, rows, block_weights, total + first_row[2 * b]);
    }
    for (int64_t r = 0; r < n; r++) {
        target[r] = (float)y[r];
        weight[r] = (float)w[r];
    }

    const int stride = centered ? 2 * width : width;
    float *ties = take(2 * ROWS * SGD_LANES * sizeof(float));
    float *rows = take((size_t)m * ROWS * stride * sizeof(float)), *own_rows = take((size_t)GROUPS * m * ROWS * width * 4);
    sgd_scalars *scalars = take(m * ROWS * sizeof(sgd_scalars)), *own_scalars = take(GROUPS * m * ROWS * sizeof *scalars);
    for (int row = 0; row < m * ROWS; row++)
        for (int j = 0; j < rank; j++)
            rows[row * stride + j] = (float)(draw() % 1000) / 1000.0f - 0.5f;
    for (int row = 0; centered && row < 2 * ROWS; row++) {
        for (int j = 0; j < rank; j++)
            rows[row * stride + width + j] = 0.1f;
        for (int j = 0; j < SGD_LANES; j++)
            ties[row * SGD_LANES + j] = 0.01f;
    }
    double loss[BLOCKS];
    const sgd_config config = {0.1f, 0.04f, 0.01f, (float)(rank % 8 == 0), kind, 0.5f, 0.5f, kind == sgd_huber,
                               {{4.0f, 2.0f}, {4.0f, 8.0f}, {20.0f, 20.0f}}};
    strata_grid grid = {m, width, GROUPS, index, target, weighted ? weight : NULL, batch_kinds, start, first_row, rows, scalars,
                        centered ? ties : NULL, context_rows, context_start, part, pace, own_rows, own_scalars, loss, INFINITY};
    for (int epoch = 0; epoch < 3; epoch++) {
        int64_t *shared = take(STRATA_STATE_SIZE(GROUPS) * sizeof(int64_t));
        grid.limit = ends && epoch == 2 ? -INFINITY : INFINITY;
        work w_ = {&grid, &config, shared};
        pthread_t threads[8];
        for (int t = 1; t < n_threads; t++)
            if (pthread_create(threads + t, NULL, run_share, &w_))
                abort();
        run_share(&w_);
        for (int t = 1; t < n_threads; t++)
            pthread_join(threads[t], NULL);
        free(shared);
    }

    row_table tables[MAX_FIELDS], biases[MAX_FIELDS];
    int32_t *asked = take(N * m * sizeof(int32_t));
    for (int f = 0; f < m; f++) {
        tables[f] = take_table(ROWS, rank, f % 2);
        biases[f] = take_table(ROWS, 1, f % 2);
        for (int r = 0; r < N; r++)
            asked[r * m + f] = draw() % 5 ? codes[f][r] : -1;
    }
    const sgd_tables model = {rank, 3.0, tables, biases};
    double *out = take(N * sizeof(double)), sum = 0.0;
    sgd_predict(N, m, &model, asked, out);
    sgd_predict(3, m, &model, asked, out);
    for (int b = 0; b < BLOCKS; b++)
        sum += loss[b];
    if (ends)
        sum = 0.0; /* which blocks were begun before the end is a matter of time */
    if (!isfinite(sum) || out[N - 1] != 3.0)
        fail("not finite, or not the intercept");
    for (int f = 0; f < m; f++) {
        free(codes[f]);
        free_table(&tables[f], ROWS);
        free_table(&biases[f], ROWS);
    }
    void *const all[] = {places[0], places[1], values, weights, index, y, w, target, weight, batch_kinds, context_rows, number, share,
                         total, part, pace, rows, ties, own_rows, scalars, own_scalars, asked, out};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    return sum;
}

/* Sums for additive effects on arrays of the exact size, against sums in another order. */
static void sum_effects(int n, int n_fields, int weighted)
{
    enum { USERS = 11, ITEMS = 13 };
    int32_t *index = take((size_t)n * n_fields * sizeof(int32_t));
    float *target = take(n * sizeof(float)), *weight = weighted ? take(n * sizeof(float)) : NULL;
    double *users = take(USERS * sizeof(double)), *items = take(ITEMS * sizeof(double)), total[2] = {0.0, 0.0};
    for (int r = 0; r < n; r++) {
        index[n_fields * r] = (int32_t)(draw() % USERS);
        index[n_fields * r + 1] = (int32_t)(draw() % ITEMS);
        target[r] = (float)(draw() % 5);
        if (weighted)
            weight[r] = (float)(draw() % 3);
        total[0] += weighted ? weight[r] * target[r] : target[r];
    }
    effects_add_residuals(n, n_fields, 0, index, target, weight, items, users);
    for (int u = 0; u < USERS; u++)
        total[1] += users[u];
    if (total[0] != total[1])
        fail("another sum of residuals");
    memset(users, 0, USERS * sizeof(double));
    effects_add_residuals(n, n_fields, 1, index, target, weight, users, items);
    if (!(effects_left_out_squares(n, n_fields, index, target, weight, 2.0, users, items, users, items, 0.9) >= 0.0))
        fail("squares below zero");
    void *all[] = {index, target, weight, users, items};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* The steps of the regression of centers, on arrays of the exact size: all rows are at their centers, and stay there. */
static void move_centers(int width, int n)
{
    enum { K = 5 };
    const int wide = width + PARTNERS_LANES;
    float *rows = take((size_t)n * width * sizeof(float)), *centers = take((size_t)n * width * sizeof(float));
    float *scalars = take(2 * n * sizeof(float)), *ties = take((size_t)n * PARTNERS_LANES * sizeof(float));
    float *known = take(3 * n * sizeof(float)), *near = take((size_t)n * wide * sizeof(float));
    float *directions = take(n * K * sizeof(float)), *along = take((size_t)K * wide * sizeof(float));
    float *x = take((size_t)n * wide * sizeof(float)), *direction = take((size_t)n * wide * sizeof(float));
    float *step = take(wide * sizeof(float)), *sums = take(2 * wide * sizeof(float));
    double *weight = take(n * sizeof(double));
    for (int i = 0; i < n * width; i++)
        rows[i] = centers[i] = (float)(i % 7);
    for (int i = 0; i < 3 * n; i++)
        known[i] = 1.0f;
    for (int j = 0; j < wide; j++)
        step[j] = 0.5f;
    const centers_side side = {{rows, width}, {centers, width}, {scalars, 2}, {ties, PARTNERS_LANES}, known, known + n,
                               known + 2 * n};
    centers_weigh(n, width, &side, near);
    centers_curve(n, width, &side, near, sums);
    centers_move(n, width, near, step, &side);
    centers_subtract_ridge(n, width, K, directions, step, x, near, along);
    centers_precondition(n, width, K, directions, along, 0.5f, near, direction, sums, sums + wide);
    const centers_view q = {rows, width}, push = {ties + 2, PARTNERS_LANES};
    if (centers_move_coefficients(n, width, direction, step, x, q, push, weight) != 0.0)
        fail("rows without weight have a weight");
    for (int i = 0; i < n * width; i++)
        if (centers[i] != (float)(i % 7))
            fail("a center has moved");
    void *const all[] = {rows, centers, scalars, ties, known, near, directions, along, x, direction, step, sums, weight};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* Sums over partners on arrays of the exact size, against sums rating by rating; and the products of thin matrices. */
static void sum_partners(int width, int n)
{
    enum { USERS = 11, ITEMS = 13, FIELDS = 3, K = 5 };
    int32_t *index = take(n * FIELDS * sizeof(int32_t)), *item = take(n * sizeof(int32_t));
    int32_t *user = take(USERS * sizeof(int32_t)), *count = take(USERS * sizeof(int32_t));
    int32_t *last_user = take(ITEMS * sizeof(int32_t)), *next = take((USERS + 1) * sizeof(int32_t));
    char seen[USERS][ITEMS] = {{0}};
    for (int r = 0; r < n; r++) {
        index[FIELDS * r] = (int32_t)(draw() % USERS);
        index[FIELDS * r + 1] = (int32_t)(draw() % ITEMS);
        seen[index[FIELDS * r]][index[FIELDS * r + 1]] = 1;
    }
    const partners_block block = {
        partners_find(n, FIELDS, index, USERS, ITEMS, user, count, item, last_user, next), user, count, item};
    float *users = take((size_t)USERS * width * sizeof(float)), *items = take((size_t)ITEMS * width * sizeof(float));
    float *left = take(ITEMS * K * sizeof(float)), *product = take((size_t)K * width * sizeof(float));
    for (int i = 0; i < ITEMS * width; i++)
        items[i] = (float)(i % 7);
    partners_gather(&block, width, items, users);
    for (int u = 0; u < USERS; u++)
        for (int j = 0; j < width; j++) {
            float sum = 0.0f;
            for (int i = 0; i < ITEMS; i++)
                sum += seen[u][i] * items[i * width + j];
            if (users[u * width + j] != sum)
                fail("another sum over items");
        }
    memset(items, 0, (size_t)ITEMS * width * sizeof(float));
    partners_scatter(&block, width, users, items);
    for (int i = 0; i < ITEMS; i++) {
        float sum = 0.0f;
        for (int u = 0; u < USERS; u++)
            sum += seen[u][i] * users[u * width + width - 1];
        if (items[i * width + width - 1] != sum)
            fail("another sum over users");
        left[i * K] = 1.0f;
    }
    partners_project(ITEMS, K, width, left, items, product);
    partners_expand(ITEMS, K, width, left, product, items);
    double *matrix = take(K * K * sizeof(double)), *vectors = take(K * K * sizeof(double)), trace = -K * (K + 1) / 2;
    for (int i = 0; i < K * K; i++)
        matrix[i] = i % (K + 1) ? 0.1 : i / K + 1;
    partners_eigen(K, matrix, vectors);
    for (int i = 0; i < K; i++)
        trace += matrix[i * K + i];
    if (fabs(trace) > 1e-12)
        fail("eigenvalues do not add up to the trace");
    void *const all[] = {index, item, user, count, last_user, next, users, items, left, product, matrix, vectors};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void hash(void)
{
    enum { IDS = 20000, LONGEST = 40 };
    int64_t *values = take(2 * IDS * sizeof(int64_t)), *offsets = take((IDS + 1) * sizeof(int64_t));
    int32_t *codes = take(IDS * sizeof(int32_t));
    char *text = take(IDS * LONGEST);
    char seen[2][5000] = {{0}}; /* integers; lengths and letters of strings */
    int n_seen[2] = {0};
    for (int i = 0; i < IDS; i++) {
        const int value = (int)(draw() % 5000), length = (int)(draw() % LONGEST), letter = length ? (int)(draw() % 3) : 0;
        values[2 * i + 1] = value * 1234567891234567;
        offsets[i + 1] = offsets[i] + length;
        memset(text + offsets[i], 'a' + letter, length);
        n_seen[0] += !seen[0][value];
        n_seen[1] += !seen[1][3 * length + letter];
        seen[0][value] = seen[1][3 * length + letter] = 1;
    }
    char *exact = take(offsets[IDS]); /* nothing may be read beyond the last string */
    memcpy(exact, text, offsets[IDS]);
    for (int strings = 0; strings < 2; strings++) {
        hashing_table table;
        const int failed = strings ? hashing_strings(IDS, exact, offsets, codes, &table)
                                   : hashing_integers(IDS, (const char *)(values + 1), 16, codes, &table);
        if (failed || table.n != n_seen[strings])
            fail("wrong number of levels");
        for (int i = 0; i < IDS; i++) {
            const int64_t first = table.first[codes[i]], length = offsets[i + 1] - offsets[i];
            if (strings ? offsets[first + 1] - offsets[first] != length ||
                              memcmp(exact + offsets[first], exact + offsets[i], length) != 0
                        : values[2 * first + 1] != values[2 * i + 1])
                fail("another id");
        }
        hashing_free(&table);
    }
    free(values);
    free(offsets);
    free(codes);
    free(text);
    free(exact);
}

static int higher_first(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* What a selection works with, for rows that leave nothing out. */
static select_state take_selection(int n_rows, int k, int room, float margin)
{
    float *margins = take(sizeof *margins * n_rows), *limit = take(sizeof *limit * n_rows);
    float *best = take(sizeof *best * n_rows * k);
    int32_t *full = take(sizeof *full * n_rows);
    for (int i = 0; i < n_rows * k; i++)
        best[i] = -INFINITY;
    for (int r = 0; r < n_rows; r++) {
        margins[r] = margin;
        limit[r] = -INFINITY;
        full[r] = 2 * k;
    }
    return (select_state){k, room, margins, take(1), take(sizeof(int64_t) * n_rows), take(sizeof(int64_t) * n_rows), limit,
                          take(sizeof(int32_t) * n_rows), full, best, take(sizeof(select_entry) * n_rows * room)};
}

static void free_selection(const select_state *state)
{
    const void *const all[] = {state->margin, state->exclude, state->exclude_next, state->exclude_stop, state->limit,
                               state->count, state->full, state->best, state->buffer};
    for (size_t a = 0; a < sizeof all / sizeof *all; a++)
        free((void *)all[a]);
}

/* Tiles of scores with ties; what is kept is compared with a sort. */
static void choose(int n_rows, int n_columns, int tile, int k, int room)
{
    float *scores = take(sizeof *scores * n_rows * n_columns), *sorted = take(sizeof *sorted * n_columns);
    int32_t *columns = take(sizeof *columns * n_rows * room), *best = take(sizeof *best * n_rows * k);
    int64_t *start = take(sizeof *start * (n_rows + 1));
    double *values = take(sizeof *values * n_rows * room), *best_values = take(sizeof *best_values * n_rows * k);
    select_exact *scratch = take(sizeof *scratch * room);
    const select_state state = take_selection(n_rows, k, room, 0.5f);
    for (int s = 0; s < n_rows * n_columns; s++)
        scores[s] = (float)(draw() % 50);
    for (int first = 0; first < n_columns; first += tile) {
        const int width = first + tile < n_columns ? tile : n_columns - first;
        float *part = take(sizeof *part * n_rows * width);
        for (int r = 0; r < n_rows; r++)
            memcpy(part + r * width, scores + r * n_columns + first, sizeof *part * width);
        select_tile(&state, n_rows, width, first, part);
        free(part);
    }
    select_finish(&state, n_rows);
    for (int r = 0; r < n_rows; r++) {
        const int n = state.count[r] == SELECT_TOO_MANY ? 0 : state.count[r];
        start[r + 1] = start[r] + n;
        for (int e = 0; e < n; e++) {
            columns[start[r] + e] = state.buffer[r * room + e].column;
            values[start[r] + e] = state.buffer[r * room + e].upper;
        }
    }
    select_best(n_rows, k, start, columns, values, scratch, best, best_values);
    for (int r = 0; r < n_rows; r++) {
        if (state.count[r] == SELECT_TOO_MANY)
            continue;
        memcpy(sorted, scores + r * n_columns, sizeof *sorted * n_columns);
        qsort(sorted, n_columns, sizeof *sorted, higher_first);
        for (int e = 0; e < k && e < n_columns; e++)
            if (best_values[r * k + e] != sorted[e] || scores[r * n_columns + best[r * k + e]] != sorted[e])
                fail("not the best scores");
    }
    void *const all[] = {scores, sorted, columns, best, start, values, best_values, scratch};
    for (size_t a = 0; a < sizeof all / sizeof *all; a++)
        free(all[a]);
    free_selection(&state);
}

static void *take_aligned(size_t size)
{
    void *memory = aligned_alloc(64, size);
    if (!memory)
        abort();
    memset(memory, 0, size);
    return memory;
}

/* Bounds from rounded factors: the k best scores are among what is kept. */
static void bound(int n_rows, int n_items, int rank, int k)
{
    const int fours = (rank + 3) / 4, n_panels = (n_items + COARSE_PANEL - 1) / COARSE_PANEL;
    const int n_places = n_panels * COARSE_PANEL, padded = (n_rows + COARSE_ROWS - 1) / COARSE_ROWS * COARSE_ROWS;
    float *p = take(sizeof *p * n_rows * rank), *q = take(sizeof *q * n_items * rank), *b = take(sizeof *b * n_items);
    float *scores = take(sizeof *scores * n_items), *sorted = take(sizeof *sorted * n_items);
    const coarse_items items = {fours, n_panels, take_aligned((size_t)n_places * fours * 4),
                                take_aligned(sizeof(float) * n_places), take_aligned(sizeof(float) * n_places),
                                take(sizeof(float) * n_panels), take(sizeof(float) * n_panels)};
    const coarse_rows rows = {take((size_t)padded * fours * 4), take(sizeof(float) * padded), take(sizeof(float) * padded),
                              take(sizeof(float) * padded), take(sizeof(int32_t) * padded), take(sizeof(int32_t) * padded)};
    const select_state state = take_selection(n_rows, k, 2 * k + n_items, 1e-3f);
    for (int i = 0; i < n_rows * rank; i++)
        p[i] = (float)(draw() % 1000) / 500.0f - 1.0f;
    for (int i = 0; i < n_items * rank; i++)
        q[i] = (float)(draw() % 1000) / 500.0f - 1.0f;
    for (int i = 0; i < n_items; i++)
        b[i] = (float)(draw() % 3);
    coarse_round_items(n_items, rank, q, b, &items);
    coarse_round_rows(n_rows, rank, p, &rows);
    coarse_select(&state, n_rows, &rows, &items);
    select_finish(&state, n_rows);
    for (int r = 0; r < n_rows; r++) {
        int n = 0;
        for (int i = 0; i < n_items; i++) {
            scores[i] = b[i];
            for (int j = 0; j < rank; j++)
                scores[i] += p[r * rank + j] * q[i * rank + j];
        }
        memcpy(sorted, scores, sizeof *sorted * n_items);
        qsort(sorted, n_items, sizeof *sorted, higher_first);
        const float last = sorted[(k < n_items ? k : n_items) - 1];
        for (int e = 0; e < state.count[r]; e++)
            n += scores[state.buffer[r * state.room + e].column] >= last;
        for (int i = 0; i < n_items; i++)
            n -= scores[i] >= last;
        if (n != 0)
            fail("one of the best scores is not kept");
    }
    void *const all[] = {p, q, b, scores, sorted, items.factors, items.unit, items.constant, items.length, items.error,
                         rows.factors, rows.unit, rows.length, rows.error, rows.base, rows.start};
    for (size_t a = 0; a < sizeof all / sizeof *all; a++)
        free(all[a]);
    free_selection(&state);
}

/* Rows of one side from those of the other: with rows of all lengths, and the last alone beside empty places. */
static void solve_side(int rank, int n_rows, int weighted)
{
    const int n_other = 23;
    int64_t *start = take(sizeof *start * (n_rows + 1));
    for (int r = 0; r < n_rows; r++)
        start[r + 1] = start[r] + draw() % (n_other + 1);
    const int64_t n = start[n_rows];
    int32_t *index = take(sizeof *index * n);
    float *weight = take(sizeof *weight * n), *ridge = take(sizeof *ridge * n_rows);
    float *gram = take(sizeof *gram * rank * rank), *other = take(sizeof *other * n_other * rank);
    float *own = take(sizeof *own * n_rows * rank), *scratch = take(sizeof *scratch * ALS_VECTORS * rank);
    float *sums = take(sizeof *sums * rank * rank);
    double *total = take(sizeof *total * rank * rank);
    for (int64_t i = 0; i < n; i++) {
        index[i] = draw() % n_other;
        weight[i] = 1.0f + draw() % 3;
    }
    for (int r = 0; r < n_rows; r++)
        ridge[r] = 1.0f;
    for (int i = 0; i < n_other * rank; i++)
        other[i] = (float)(draw() % 7) / 7.0f - 0.5f;
    als_gram(n_other, rank, other, sums, total);
    for (int i = 0; i < rank * rank; i++)
        gram[i] = (float)(0.1 * total[i]);
    const als_side side = {rank, 4, 1e-12f, start, index, weighted ? weight : NULL, ridge, gram, other, own};
    als_sums told = {0.0, 0.0, 0.0};
    als_solve(&side, 0, n_rows, scratch, &told);
    const double first = told.objective;
    told.objective = 0.0;
    als_solve(&side, 0, n_rows, scratch, &told);
    if (told.objective > first * 1.0001)
        fail("the objective has risen");
    void *const all[] = {start, index, weight, ridge, gram, other, own, scratch, sums, total};
    for (size_t a = 0; a < sizeof all / sizeof *all; a++)
        free(all[a]);
}

int main(void)
{
    const char *const simd[] = {"baseline", "avx2", "avx512"};
    for (int s = 0; s < 3; s++) {
        if (!sgd_select_simd(simd[s]))
            continue;
        for (int m = 2; m <= MAX_FIELDS; m += m < 4 ? 1 : 3)
            for (int rank = 0; rank <= 72; rank += rank < 40 ? 4 : 16)
                for (int kind = 0; kind < 4; kind++) { /* weighted or not, with centers or not */
                    /* The squared loss each time, and one of the others. */
                    const sgd_loss losses[] = {sgd_squared_error, 1 + (rank / 4 + kind) % (SGD_N_LOSSES - 1)};
                    for (int l = 0; l < 2; l++) {
                        const double loss = run(m, rank, kind % 2, kind / 2, 0, losses[l], 1);
                        for (int n_threads = 2; n_threads <= 8; n_threads += 3)
                            if (run(m, rank, kind % 2, kind / 2, 0, losses[l], n_threads) != loss)
                                fail("another loss on another number of threads");
                    }
                    run(m, rank, kind % 2, kind / 2, 1, losses[0], 3);
                }
        partners_select_simd(s > 0);
        for (int width = PARTNERS_LANES; width <= 20 * PARTNERS_LANES; width += PARTNERS_LANES)
            for (int n = 1; n < 500; n *= 3)
                sum_partners(width, n), move_centers(width, n);
        als_select_simd(simd[s]);
        for (int rank = ALS_LANES; rank <= 10 * ALS_LANES; rank += ALS_LANES)
            for (int n_rows = 1; n_rows < 12; n_rows += 2)
                solve_side(rank, n_rows, n_rows % 3);
        printf("%s: no findings\n", simd[s]);
    }
    for (int n = 1; n < 500; n *= 3)
        for (int kind = 0; kind < 4; kind++)
            sum_effects(n, 2 + kind / 2, kind % 2);
    printf("effects: no findings\n");
    hash();
    printf("ids: no findings\n");
    for (int n_columns = 1; n_columns < 3000; n_columns = n_columns * 3 + 1)
        for (int k = 1; k < 40; k = k * 2 + 1)
            for (int tile = 1; tile < 1000; tile *= 9)
                choose(5, n_columns, tile, k, 2 * k + (int)(draw() % 100));
    for (int rank = 1; rank < 80; rank += rank < 9 ? 1 : 23)
        for (int n_items = 1; n_items < 1000; n_items *= 5)
            for (int n_rows = 1; coarse_is_available("avx512") && n_rows < 14; n_rows += 4)
                bound(n_rows, n_items, rank, 10);
    printf("select: no findings\n");
    return sgd_select_simd("mmx") != NULL;
}
