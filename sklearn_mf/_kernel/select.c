#include "select.h"
#include "inline.h"

#include <math.h>
#include <stdlib.h>

/* Moves the k best lower bounds to the front (Hoare's quickselect); returns the k-th best. */
static float partition(select_entry *entries, int n, int k)
{
    int low = 0, high = n - 1;
    while (low < high) {
        const float pivot = entries[low + (high - low) / 2].lower;
        int i = low, j = high;
        while (i <= j) {
            while (entries[i].lower > pivot)
                i++;
            while (entries[j].lower < pivot)
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
    return entries[k - 1].lower;
}

/* Drops the columns of row r below its limit, (k-th best lower bound - margin). Sets `full`, the number of entries at which
 * to do so again. If k is small, the limit is already known. Otherwise it is computed here. */
static void compact(const select_state *state, ptrdiff_t r)
{
    select_entry *entries = state->buffer + r * state->room;
    const int n = state->count[r], k = state->k, room = state->room;
    if (k > SELECT_FEW && n >= k)
        state->limit[r] = partition(entries, n, k) - state->margin[r];
    const float limit = state->limit[r];
    int kept = 0;
    for (int e = 0; e < n; e++) {
        entries[kept] = entries[e];
        kept += entries[e].upper >= limit;
    }
    state->count[r] = kept;
    state->full[r] = k > SELECT_FEW && kept + k < room ? kept + k : room;
}

/* Inserts x into the k sorted best values and drops the last one, without a branch. Returns the k-th best. */
static float insert(float *best, int k, float x)
{
    for (int i = 0; i < k; i++) {
        const float better = best[i] > x ? best[i] : x;
        x = best[i] > x ? x : best[i];
        best[i] = better;
    }
    return best[k - 1];
}

static int lowest_bit(uint64_t bits)
{
#if defined(__GNUC__) || defined(__clang__)
    return __builtin_ctzll(bits);
#else
    int at = 0;
    while (!(bits >> at & 1))
        at++;
    return at;
#endif
}

static int is_excluded(const select_state *state, ptrdiff_t r, int32_t column)
{
    const int64_t stop = state->exclude_stop[r];
    int64_t next = state->exclude_next[r];
    while (next < stop && state->exclude[next] < column)
        next++;
    state->exclude_next[r] = next;
    return next < stop && state->exclude[next] == column;
}

void select_offer(const select_state *state, ptrdiff_t r, int32_t first, uint64_t above, const float *upper, float width,
                  const float *unit)
{
    const int k = state->k, room = state->room;
    select_entry *entries = state->buffer + r * room;
    for (; above; above &= above - 1) {
        const int j = lowest_bit(above);
        if (!(upper[j] > state->limit[r]) || is_excluded(state, r, first + j))
            continue;
        const float lower = unit ? upper[j] - width * unit[j] : upper[j];
        const int n = state->count[r]++;
        entries[n] = (select_entry){upper[j], lower, first + j};
        if (k <= SELECT_FEW)
            state->limit[r] = insert(state->best + r * k, k, lower) - state->margin[r];
        if (n + 1 < state->full[r])
            continue;
        compact(state, r);
        if (state->count[r] >= room - (room - k) / 8) { /* the buffer would be full again too soon */
            state->count[r] = SELECT_TOO_MANY;
            state->limit[r] = INFINITY;
            return;
        }
    }
}

INLINE void scan(const select_state *state, ptrdiff_t n_rows, ptrdiff_t n_columns, int32_t first, const float *scores)
{
    for (ptrdiff_t r = 0; r < n_rows; r++, scores += n_columns)
        for (ptrdiff_t j = 0; j < n_columns; j += SELECT_RUN) {
            const int n = n_columns - j < SELECT_RUN ? (int)(n_columns - j) : SELECT_RUN;
            const float limit = state->limit[r];
            int any = 0;
            if (n == SELECT_RUN)
                for (int t = 0; t < SELECT_RUN; t++)
                    any |= scores[j + t] > limit;
            else
                any = 1;
            if (!any)
                continue;
            uint64_t above = 0;
            for (int t = 0; t < n; t++)
                above |= (uint64_t)(scores[j + t] > limit) << t;
            select_offer(state, r, first + (int32_t)j, above, scores + j, 0.0f, NULL);
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
    if (__builtin_cpu_supports("avx2")) /* only comparisons, so the result is the same on every processor */
        chosen = scan_avx2;
#endif
    chosen(state, n_rows, n_columns, first, scores);
}

ptrdiff_t select_finish(const select_state *state, ptrdiff_t n_rows)
{
    ptrdiff_t n = 0;
    for (ptrdiff_t r = 0; r < n_rows; r++)
        if (state->count[r] != SELECT_TOO_MANY) {
            compact(state, r);
            n += state->count[r];
        }
    return n;
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
