#include "select.h"
#include "inline.h"

#include <math.h>
#include <stdlib.h>

/* Puts x at `at` of a heap, or below, where what is there is not smaller. */
static void sink(float *heap, int n, int at, float x)
{
    for (int next = 2 * at + 1; next < n; next = 2 * at + 1) {
        if (next + 1 < n && heap[next + 1] < heap[next])
            next++;
        if (!(heap[next] < x))
            break;
        heap[at] = heap[next];
        at = next;
    }
    heap[at] = x;
}

/* Drops what is below the limit of row r; returns how many entries are left. */
static int drop(const select_state *state, ptrdiff_t r)
{
    select_entry *entries = state->buffer + r * state->room;
    const float limit = state->limit[r];
    int kept = 0;
    for (int e = 0; e < state->count[r]; e++)
        if (entries[e].upper >= limit)
            entries[kept++] = entries[e];
    return state->count[r] = kept;
}

/* The lower bound of the n-th entry of row r raises its limit. */
INLINE void raise_limit(const select_state *state, ptrdiff_t r, int n, float lower)
{
    const int k = state->k;
    float *best = state->best + r * k;
    if (n < k) {
        best[n] = lower;
        if (n < k - 1)
            return;
        for (int at = k / 2 - 1; at >= 0; at--)
            sink(best, k, at, best[at]);
    } else if (lower > best[0])
        sink(best, k, 0, lower);
    state->limit[r] = best[0] - state->margin[r];
}

static int lowest_bit(uint64_t bits)
{
#if defined(__GNUC__)
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
    const int room = state->room, fullest = room - (room - state->k) / 8; /* a buffer is not to be full at once again */
    select_entry *entries = state->buffer + r * room;
    for (; above; above &= above - 1) {
        const int j = lowest_bit(above);
        if (!(upper[j] > state->limit[r]) || is_excluded(state, r, first + j))
            continue;
        if (state->count[r] == room && drop(state, r) >= fullest) {
            state->count[r] = SELECT_TOO_MANY;
            state->limit[r] = INFINITY;
            return;
        }
        const int n = state->count[r]++;
        entries[n].upper = upper[j];
        entries[n].column = first + j;
        raise_limit(state, r, n, unit ? upper[j] - width * unit[j] : upper[j]);
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
    if (__builtin_cpu_supports("avx2")) /* comparisons alone: the same result on every processor */
        chosen = scan_avx2;
#endif
    chosen(state, n_rows, n_columns, first, scores);
}

ptrdiff_t select_finish(const select_state *state, ptrdiff_t n_rows)
{
    ptrdiff_t n = 0;
    for (ptrdiff_t r = 0; r < n_rows; r++)
        if (state->count[r] != SELECT_TOO_MANY)
            n += drop(state, r);
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
