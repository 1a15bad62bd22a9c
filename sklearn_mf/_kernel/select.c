#include "select.h"
#include "inline.h"

#include <stdlib.h>

enum { RUN = 64 }; /* scores that are compared with the limit at once */

/* Moves the k best to the front (Hoare's quickselect); returns the k-th best score. */
static float partition(select_entry *entries, int n, int k)
{
    int low = 0, high = n - 1;
    while (low < high) {
        const float pivot = entries[low + (high - low) / 2].score;
        int i = low, j = high;
        while (i <= j) {
            while (entries[i].score > pivot)
                i++;
            while (entries[j].score < pivot)
                j--;
            if (i <= j) {
                const select_entry swapped = entries[i];
                entries[i++] = entries[j];
                entries[j--] = swapped;
            }
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            break;
    }
    return entries[k - 1].score;
}

/* Raises the limit of row r to (k-th best - margin) and drops what is not above it. */
static void compact(const select_state *state, ptrdiff_t r)
{
    select_entry *entries = state->buffer + r * state->room;
    const int n = state->count[r], k = state->k;
    if (n <= k)
        return;
    const float limit = partition(entries, n, k) - state->margin[r];
    int kept = k;
    for (int e = k; e < n; e++)
        if (entries[e].score > limit)
            entries[kept++] = entries[e];
    state->limit[r] = limit;
    state->count[r] = kept;
}

INLINE void scan(const select_state *state, ptrdiff_t n_rows, ptrdiff_t n_columns, int32_t first, const float *scores)
{
    for (ptrdiff_t r = 0; r < n_rows; r++, scores += n_columns) {
        if (state->count[r] == SELECT_TOO_MANY)
            continue;
        select_entry *entries = state->buffer + r * state->room;
        for (ptrdiff_t j = 0; j < n_columns; j += RUN) {
            const ptrdiff_t end = j + RUN < n_columns ? j + RUN : n_columns;
            const float limit = state->limit[r];
            int above = 0;
            if (end - j == RUN)
                for (int t = 0; t < RUN; t++)
                    above |= scores[j + t] > limit;
            else
                above = 1;
            if (!above)
                continue;
            for (ptrdiff_t t = j; t < end; t++) {
                if (!(scores[t] > state->limit[r]))
                    continue;
                if (state->count[r] == state->room) {
                    compact(state, r);
                    if (state->count[r] == state->room) {
                        state->count[r] = SELECT_TOO_MANY;
                        goto next_row;
                    }
                    if (!(scores[t] > state->limit[r]))
                        continue;
                }
                entries[state->count[r]].score = scores[t];
                entries[state->count[r]++].column = first + (int32_t)t;
            }
        }
    next_row:;
    }
}

typedef void scan_fn(const select_state *, ptrdiff_t, ptrdiff_t, int32_t, const float *);

static void scan_baseline(const select_state *state, ptrdiff_t n_rows, ptrdiff_t n_columns, int32_t first,
                          const float *scores)
{
    scan(state, n_rows, n_columns, first, scores);
}

#ifdef SGD_HAVE_X86
__attribute__((target("avx2"))) static void scan_avx2(const select_state *state, ptrdiff_t n_rows, ptrdiff_t n_columns,
                                                      int32_t first, const float *scores)
{
    scan(state, n_rows, n_columns, first, scores);
}
#endif

void select_tile(const select_state *state, ptrdiff_t n_rows, ptrdiff_t n_columns, int32_t first, const float *scores)
{
    scan_fn *chosen = scan_baseline;
#ifdef SGD_HAVE_X86
    if (__builtin_cpu_supports("avx2")) /* comparisons alone: the same result on every processor */
        chosen = scan_avx2;
#endif
    chosen(state, n_rows, n_columns, first, scores);
}

void select_finish(const select_state *state, ptrdiff_t n_rows)
{
    for (ptrdiff_t r = 0; r < n_rows; r++)
        compact(state, r);
}

static int best_first(const void *a, const void *b)
{
    const select_exact *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? 1 : -1;
    return (x->column > y->column) - (x->column < y->column);
}

void select_best(ptrdiff_t n_rows, int k, const int64_t *start, const int32_t *column, const double *value,
                 select_exact *scratch, int32_t *columns_out, double *values_out)
{
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        const ptrdiff_t n = start[r + 1] - start[r];
        for (ptrdiff_t e = 0; e < n; e++) {
            scratch[e].value = value[start[r] + e];
            scratch[e].column = column[start[r] + e];
        }
        qsort(scratch, n, sizeof *scratch, best_first);
        for (ptrdiff_t e = 0; e < n && e < k; e++) {
            columns_out[r * k + e] = scratch[e].column;
            values_out[r * k + e] = scratch[e].value;
        }
    }
}
