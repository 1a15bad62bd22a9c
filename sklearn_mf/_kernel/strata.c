#include "strata.h"

#ifdef _MSC_VER
#include <windows.h>
static int64_t add_and_get(int64_t *x, int64_t by) { return InterlockedExchangeAdd64(x, by) + by; }
static int64_t value_of(int64_t *x) { return InterlockedExchangeAdd64(x, 0); }
static void give_way(void) { SwitchToThread(); }
#else
#include <sched.h>
static int64_t add_and_get(int64_t *x, int64_t by) { return __atomic_add_fetch(x, by, __ATOMIC_ACQ_REL); }
static int64_t value_of(int64_t *x) { return __atomic_load_n(x, __ATOMIC_ACQUIRE); }
static void give_way(void) { sched_yield(); }
#endif

enum { PATIENCE = 2000 }; /* a waiting thread checks so many times, for some microseconds, before it lets others run */

static void wait_until(int64_t *x, int64_t least)
{
    for (int looks = 0; value_of(x) < least; looks++)
        if (looks > PATIENCE)
            give_way();
}

enum { CACHE_LINE = 64 };

static size_t pointer_bytes(const strata_grid *grid) { return grid->n_fields * 2 * sizeof(void *); }

size_t strata_scratch(const strata_grid *grid)
{
    return pointer_bytes(grid) + CACHE_LINE + SGD_SUM_FLOATS(grid->n_fields, grid->width) * sizeof(float);
}

/* The floats of the scratch of a thread. They follow the pointers, and begin at a cache line. */
static float *floats_of(const strata_grid *grid, void *scratch)
{
    char *end = (char *)scratch + pointer_bytes(grid);
    return (float *)(end + (CACHE_LINE - (uintptr_t)end % CACHE_LINE) % CACHE_LINE);
}

static int stride_of(const strata_grid *grid) { return grid->ties ? 2 * grid->width : grid->width; }

static void run_block(const strata_grid *grid, const sgd_config *config, int64_t b, void *scratch)
{
    const int m = grid->n_fields, width = grid->width, stride = stride_of(grid);
    const int64_t start = grid->block_start[b];
    float **rows = scratch;
    sgd_scalars **scalars = (sgd_scalars **)(rows + m);
    const float *ties[2];
    sgd_block block = {
        .n_ratings = grid->block_start[b + 1] - start,
        .n_fields = m,
        .width = width,
        .index = grid->index + start * m,
        .target = grid->target + start,
        .weight = grid->weight ? grid->weight + start : NULL,
        .batch_kinds = grid->batch_kinds + start / SGD_BATCH + b,
        .rows = rows,
        .scalars = scalars,
        .ties = grid->ties ? ties : NULL,
    };
    for (int f = 0; f < 2; f++) {
        rows[f] = grid->rows + grid->first_row[2 * b + f] * stride;
        scalars[f] = grid->scalars + grid->first_row[2 * b + f];
        ties[f] = grid->ties ? grid->ties + grid->first_row[2 * b + f] * SGD_LANES : NULL;
    }
    const int64_t n_own = grid->context_start[b + 1] - grid->context_start[b];
    if (n_own == 0) {
        grid->loss[b] = sgd_update_block(&block, config, floats_of(grid, scratch));
        return;
    }
    /* Other fields: work on copies of their rows, and replace the copies by the changes. */
    const int64_t own = grid->context_start[b] - grid->context_start[b / grid->n_groups * grid->n_groups];
    const int32_t *context_rows = grid->context_rows + grid->context_start[b];
    block.context_step_factor = grid->context_step_factor + grid->context_start[b];
    float *own_rows = grid->own_rows + own * width;
    sgd_scalars *own_scalars = grid->own_scalars + own;
    for (int f = 2; f < m; f++) {
        rows[f] = own_rows;
        scalars[f] = own_scalars;
    }
    sgd_copy_rows(n_own, width, stride, context_rows, grid->rows, grid->scalars, own_rows, own_scalars);
    grid->loss[b] = sgd_update_block(&block, config, floats_of(grid, scratch));
    sgd_subtract_rows(n_own, width, stride, context_rows, grid->rows, grid->scalars, own_rows, own_scalars);
}

void strata_run_block(const strata_grid *grid, const sgd_config *config, int64_t block, void *scratch)
{
    run_block(grid, config, block, scratch);
}

void strata_run(const strata_grid *grid, const sgd_config *config, int64_t n_strata, const int64_t *strata,
                int64_t *state, void *scratch)
{
    const int64_t P = grid->n_groups;
    int64_t *claimed = state, *n_done = state + 1, *n_added = state + 2, *ended = state + 3;
    int64_t *user_done = state + 4, *item_done = user_done + P;
    while (!value_of(ended)) { /* checked before a block is claimed, so that no thread waits for a block that never runs */
        const int64_t next = add_and_get(claimed, 1) - 1, t = next / P, a = next % P;
        if (t >= n_strata)
            return;
        const int64_t item = (a + strata[t]) % P;
        wait_until(user_done + a, t);
        wait_until(item_done + item, t);
        if (grid->n_fields > 2)
            wait_until(n_added, t);
        run_block(grid, config, strata[t] * P + a, scratch);
        if (!(grid->loss[strata[t] * P + a] <= grid->limit)) /* also true for NaN */
            add_and_get(ended, 1);
        add_and_get(user_done + a, 1);
        add_and_get(item_done + item, 1);
        if (grid->n_fields > 2 && add_and_get(n_done, 1) == P * (t + 1)) { /* the last block of its stratum */
            const int64_t first = grid->context_start[strata[t] * P];
            sgd_add_rows(grid->context_start[strata[t] * P + P] - first, grid->width, stride_of(grid),
                         grid->context_rows + first, grid->context_merge_weight + first, grid->own_rows, grid->own_scalars,
                         grid->rows, grid->scalars);
            add_and_get(n_added, 1);
        }
    }
}
