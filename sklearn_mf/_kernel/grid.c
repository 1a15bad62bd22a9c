#include "grid.h"
#include "inline.h"

#include "sgd.h"

#include <string.h>

void grid_count(ptrdiff_t n, const int32_t *const *codes, const double *weights, const grid_place *users,
                const grid_place *items, int32_t n_user_groups, int32_t n_groups, int64_t *count)
{
    for (ptrdiff_t r = 0; r < n; r++)
        if (!weights || weights[r] > 0.0)
            count[grid_block(users[codes[0][r]].group, items[codes[1][r]].group, n_user_groups, n_groups)]++;
}

ptrdiff_t grid_scatter(ptrdiff_t n, int n_fields, const int32_t *const *codes, const double *values,
                       const double *weights, double weight_scale, const grid_place *users, const grid_place *items,
                       const int64_t *offset, int32_t n_user_groups, int32_t n_groups, int64_t n_out, int64_t *next,
                       int32_t *index, double *values_out, double *weights_out)
{
    for (ptrdiff_t r = 0; r < n; r++) {
        if (weights && !(weights[r] > 0.0))
            continue;
        const grid_place user = users[codes[0][r]], item = items[codes[1][r]];
        const int64_t to = next[grid_block(user.group, item.group, n_user_groups, n_groups)]++;
        if (to < 0 || to >= n_out)
            return r;
        int32_t *out = index + to * n_fields;
        out[0] = user.row;
        out[1] = item.row;
        for (int f = 2; f < n_fields; f++)
            out[f] = (int32_t)(offset[f] + codes[f][r]);
        values_out[to] = values[r] + 0.0; /* -0.0 is 0.0 */
        if (weights) {
            const double w = weights[r] * weight_scale;
            weights_out[to] = w < 1e-30 ? 1e-30 : w;
        }
    }
    return -1;
}

static uint64_t mix(uint64_t x) /* the finalizer of MurmurHash3 (Appleby 2011) */
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
}

static uint32_t hash_row(int n_fields, const int32_t *row, uint64_t seed)
{
    uint64_t h = mix(seed ^ ((uint64_t)(uint32_t)row[0] << 32 | (uint32_t)row[1]));
    for (int f = 2; f < n_fields; f++)
        h = mix(h ^ (uint32_t)row[f]);
    return (uint32_t)h;
}

/* The band and the upper bits of the hash. Without bands, it is the hash. */
static uint32_t order_key(int n_fields, const int32_t *row, uint64_t seed, grid_bands bands)
{
    const uint32_t hash = hash_row(n_fields, row, seed);
    return bands.shift ? (uint32_t)(row[bands.field] / bands.n_rows) << (32 - bands.shift) | hash >> bands.shift : hash;
}

/* The data that the order compares if keys are equal. */
typedef struct {
    int n_fields;
    const int32_t *index;
    const double *values, *weights;
} rows_of_block;

static int compare_ids(const rows_of_block *rows, uint64_t a, uint64_t b)
{
    const int32_t *x = rows->index + (size_t)(uint32_t)a * rows->n_fields;
    const int32_t *y = rows->index + (size_t)(uint32_t)b * rows->n_fields;
    for (int f = 0; f < rows->n_fields; f++)
        if (x[f] != y[f])
            return x[f] < y[f] ? -1 : 1;
    return 0;
}

/* a and b have the key in the upper half and the place in the lower half */
static int before(const rows_of_block *rows, uint64_t a, uint64_t b)
{
    if (a >> 32 != b >> 32)
        return a >> 32 < b >> 32;
    const int ids = compare_ids(rows, a, b);
    if (ids)
        return ids < 0;
    const double x = rows->values[(uint32_t)a], y = rows->values[(uint32_t)b];
    if (x != y || !rows->weights)
        return x < y;
    return rows->weights[(uint32_t)a] < rows->weights[(uint32_t)b];
}

static void sift_down(const rows_of_block *rows, uint64_t *heap, ptrdiff_t at, ptrdiff_t n)
{
    for (ptrdiff_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(rows, heap[child], heap[child + 1]))
            child++;
        if (!before(rows, heap[at], heap[child]))
            return;
        const uint64_t moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
    }
}

static void heap_sort(const rows_of_block *rows, uint64_t *keys, ptrdiff_t n)
{
    for (ptrdiff_t at = n / 2; at-- > 0;)
        sift_down(rows, keys, at, n);
    for (ptrdiff_t end = n; --end > 0;) {
        const uint64_t largest = keys[0];
        keys[0] = keys[end];
        keys[end] = largest;
        sift_down(rows, keys, 0, end);
    }
}

static void insertion_sort(const rows_of_block *rows, uint64_t *keys, ptrdiff_t n)
{
    for (ptrdiff_t i = 1; i < n; i++) {
        const uint64_t key = keys[i];
        ptrdiff_t j = i;
        for (; j > 0 && before(rows, key, keys[j - 1]); j--)
            keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

enum { DIGIT = 11, LONG_RUN = 24 };

/* Sorts by the upper `bits` bits of the keys, one digit at a time. Returns the buffer that has the result. */
static uint64_t *radix_sort(ptrdiff_t n, int bits, uint64_t *keys, uint64_t *other)
{
    const int passes = (bits + DIGIT - 1) / DIGIT, digit = (bits + passes - 1) / passes;
    for (int pass = 0; pass < passes; pass++) {
        const int shift = 64 - (passes - pass) * digit;
        const uint64_t mask = (1u << digit) - 1;
        uint32_t start[1 << DIGIT] = {0};
        for (ptrdiff_t r = 0; r < n; r++)
            start[keys[r] >> shift & mask]++;
        for (uint32_t d = 0, sum = 0; d <= mask; d++) {
            const uint32_t count = start[d];
            start[d] = sum;
            sum += count;
        }
        for (ptrdiff_t r = 0; r < n; r++)
            other[start[keys[r] >> shift & mask]++] = keys[r];
        uint64_t *sorted = other;
        other = keys;
        keys = sorted;
    }
    return keys;
}

static void gather_doubles(ptrdiff_t n, const uint64_t *keys, double *array, double *scratch)
{
    for (ptrdiff_t r = 0; r < n; r++)
        scratch[r] = array[(uint32_t)keys[r]];
    memcpy(array, scratch, n * sizeof(double));
}

size_t grid_order_scratch(ptrdiff_t n, int n_fields)
{
    return (size_t)n * (sizeof(uint64_t) + (n_fields > 2 ? n_fields : 2) * sizeof(int32_t));
}

ptrdiff_t grid_order(ptrdiff_t n, int n_fields, uint64_t seed, grid_bands bands, int32_t *index, double *values,
                     double *weights, void *scratch)
{
    if (n == 0)
        return 0;
    const rows_of_block rows = {n_fields, index, values, weights};
    uint64_t *keys = scratch, *other = keys + n;
    int bits = 4; /* a few more bits than n ratings need; ties are sorted by comparison */
    while (bits < 32 && (ptrdiff_t)1 << (bits - 4) < n)
        bits++;
    for (ptrdiff_t r = 0; r < n; r++)
        keys[r] = (uint64_t)order_key(n_fields, index + r * n_fields, seed, bands) << 32 | (uint32_t)r;
    uint64_t *sorted = radix_sort(n, bits, keys, other);
    ptrdiff_t n_equal = 0;
    for (ptrdiff_t start = 0, end; start < n; start = end) {
        for (end = start + 1; end < n && sorted[end] >> (64 - bits) == sorted[start] >> (64 - bits);)
            end++;
        if (end - start == 1)
            continue;
        (end - start < LONG_RUN ? insertion_sort : heap_sort)(&rows, sorted + start, end - start);
        for (ptrdiff_t r = start + 1; r < end; r++)
            n_equal += compare_ids(&rows, sorted[r - 1], sorted[r]) == 0 &&
                       values[(uint32_t)sorted[r - 1]] == values[(uint32_t)sorted[r]];
    }
    if (sorted != keys)
        memcpy(keys, sorted, n * sizeof(uint64_t));
    gather_doubles(n, keys, values, (double *)other);
    if (weights)
        gather_doubles(n, keys, weights, (double *)other);
    int32_t *rows_out = (int32_t *)other;
    if (n_fields == 2)
        for (ptrdiff_t r = 0; r < n; r++)
            memcpy(rows_out + 2 * r, index + 2 * (size_t)(uint32_t)keys[r], 2 * sizeof(int32_t));
    else
        for (ptrdiff_t r = 0; r < n; r++)
            memcpy(rows_out + n_fields * r, index + n_fields * (size_t)(uint32_t)keys[r], n_fields * sizeof(int32_t));
    memcpy(index, rows_out, n * n_fields * sizeof(int32_t));
    return n_equal;
}

ptrdiff_t grid_merge(ptrdiff_t n, int n_fields, int32_t *index, double *values, double *weights)
{
    ptrdiff_t last = -1;
    for (ptrdiff_t r = 0; r < n; r++) {
        if (last >= 0 && values[last] == values[r] &&
            memcmp(index + last * n_fields, index + r * n_fields, n_fields * sizeof(int32_t)) == 0) {
            weights[last] += weights[r];
            continue;
        }
        last++;
        memmove(index + last * n_fields, index + r * n_fields, n_fields * sizeof(int32_t));
        values[last] = values[r];
        weights[last] = weights[r];
    }
    return last + 1;
}

enum { MAX_GAPS = 8 }; /* rows that are scanned per rating; if there are more, sorting them costs too much */

/* Sorts the rows that have a number, and numbers them again in this order. */
static void sort_rows(int32_t first, int32_t end, int32_t *context_rows, int32_t *number)
{
    int32_t n = 0;
    for (int32_t row = first; row < end; row++)
        if (number[row] >= 0) {
            number[row] = n;
            context_rows[n++] = row;
        }
}

ptrdiff_t grid_number(ptrdiff_t n, int n_fields, int32_t *index, const double *weights, int32_t *context_rows,
                      double *row_weights, int32_t *number)
{
    int32_t n_context_rows = 0, first = INT32_MAX, last = 0;
    for (ptrdiff_t r = 0; r < n; r++)
        for (int f = 2; f < n_fields; f++) {
            const int32_t row = index[r * n_fields + f];
            if (number[row] >= 0)
                continue;
            number[row] = n_context_rows;
            context_rows[n_context_rows] = row;
            row_weights[n_context_rows++] = 0.0;
            first = row < first ? row : first;
            last = row > last ? row : last;
        }
    if (n_context_rows && (int64_t)last - first < MAX_GAPS * (int64_t)n)
        sort_rows(first, last + 1, context_rows, number);
    for (ptrdiff_t r = 0; r < n; r++)
        for (int f = 2; f < n_fields; f++) {
            const int32_t at = number[index[r * n_fields + f]];
            index[r * n_fields + f] = at;
            row_weights[at] += weights ? weights[r] : 1.0;
        }
    for (ptrdiff_t t = 0; t < n_context_rows; t++)
        number[context_rows[t]] = -1;
    return n_context_rows;
}

enum { QUEUE = 16, MAX_SPREAD_FIELDS = 8, NEVER = -4 * SGD_BATCH };

/* The last place so far of a rating that shares a row with `row`. */
INLINE int32_t last_met(int n_fields, const int32_t *row, const int64_t *first, const int32_t *last)
{
    int32_t latest = last[row[0]];
    for (int f = 1; f < n_fields; f++)
        latest = last[first[f] + row[f]] > latest ? last[first[f] + row[f]] : latest;
    return latest;
}

typedef struct {
    int32_t row[MAX_SPREAD_FIELDS];
    double value, weight;
} waiting_rating;

INLINE void spread(ptrdiff_t n, int n_fields, int32_t *index, double *values, double *weights,
                   const float *context_step_factor, const int64_t *first, int32_t *last, uint8_t *batch_kinds)
{
    waiting_rating queue[QUEUE];
    int n_queued = 0, hopeless = n_fields > MAX_SPREAD_FIELDS;
    const size_t row_bytes = n_fields * sizeof(int32_t);
    ptrdiff_t next = 0, n_forced = 0; /* ratings before `next` are placed or wait in the queue */
    int32_t met = NEVER;
    for (ptrdiff_t to = 0; to < n; to++) {
        const ptrdiff_t batch_start = to / SGD_BATCH * SGD_BATCH, apart = batch_start - SGD_BATCH;
        if (to == batch_start)
            met = NEVER;
        int chosen = -1; /* place in the queue; -1 is the rating at `next` */
        for (int q = 0; q < n_queued && chosen < 0; q++)
            if (hopeless || last_met(n_fields, queue[q].row, first, last) < apart)
                chosen = q;
        while (chosen < 0 && next < n && !hopeless && last_met(n_fields, index + next * n_fields, first, last) >= apart) {
            if (n_queued == QUEUE) { /* all share a row with this batch or the previous: prefer one without a row of this */
                int32_t earliest = last_met(n_fields, queue[0].row, first, last);
                chosen = 0;
                for (int q = 1; q < QUEUE && earliest >= batch_start; q++)
                    if (last_met(n_fields, queue[q].row, first, last) < earliest) {
                        earliest = last_met(n_fields, queue[q].row, first, last);
                        chosen = q;
                    }
                n_forced += earliest >= batch_start;
                hopeless = n_forced > 64 + to / 4; /* a field has few levels, so the search is not worth it */
                break;
            }
            memcpy(queue[n_queued].row, index + next * n_fields, row_bytes);
            queue[n_queued].value = values[next];
            queue[n_queued++].weight = weights ? weights[next] : 1.0;
            next++;
        }
        int32_t *out = index + to * n_fields;
        if (chosen < 0 && next < n) {
            memmove(out, index + next * n_fields, row_bytes);
            values[to] = values[next];
            if (weights)
                weights[to] = weights[next];
            next++;
        }
        else {
            chosen = chosen < 0 ? 0 : chosen;
            memcpy(out, queue[chosen].row, row_bytes);
            values[to] = queue[chosen].value;
            if (weights)
                weights[to] = queue[chosen].weight;
            n_queued--;
            memmove(queue + chosen, queue + chosen + 1, (n_queued - chosen) * sizeof *queue);
        }
        const int32_t now_met = last_met(n_fields, out, first, last);
        met = now_met > met ? now_met : met;
        for (int f = 0; f < n_fields; f++)
            if (f < 2 || context_step_factor[out[f]] > SGD_LARGEST_SHARED_STEP) /* other rows may be shared */
                last[first[f] + out[f]] = (int32_t)to;
        if (to == batch_start + SGD_BATCH - 1)
            batch_kinds[to / SGD_BATCH] = met >= batch_start ? SGD_ONE_BY_ONE : met >= apart ? SGD_AFTER : SGD_APART;
    }
}

void grid_spread(ptrdiff_t n, int n_fields, int32_t *index, double *values, double *weights,
                 const float *context_step_factor, const int64_t *first, int64_t n_last, int32_t *last, uint8_t *batch_kinds)
{
    for (int64_t t = 0; t < n_last; t++)
        last[t] = NEVER;
    if (n_fields == 2)
        spread(n, 2, index, values, weights, NULL, first, last, batch_kinds);
    else
        spread(n, n_fields, index, values, weights, context_step_factor, first, last, batch_kinds);
}

void grid_add_weights(ptrdiff_t n, int n_fields, int field, const int32_t *index, const double *weights, double *total)
{
    for (ptrdiff_t r = 0; r < n; r++)
        total[index[r * n_fields + field]] += weights ? weights[r] : 1.0;
}
