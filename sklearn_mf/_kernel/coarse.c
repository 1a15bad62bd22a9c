#include "coarse.h"
#include "inline.h"

#include <math.h>
#include <string.h>

#ifdef SGD_HAVE_X86 /* set by the build if the compiler supports target attributes for x86 */
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,avx2,fma")))

enum { PANEL = COARSE_PANEL, ROWS = COARSE_ROWS, LANES = 16, VECTORS = PANEL / LANES };

#define SMALLEST_UNIT 0x1p-100f /* products of two units are above 0, or too small to matter */
#define OVER 1.001f             /* 1 + more than the relative error of a sum of COARSE_MOST_FACTORS squares */

typedef struct {
    float unit, length, error, whole_length;
    int32_t sum;
} rounded;

/* Rounds a row to integers from -127 to 127. The returned lengths, in units, are not below the true lengths. */
TARGET INLINE rounded round_row(int rank, const float *row, int8_t *out)
{
    float largest = 0.0f, squares = 0.0f, errors = 0.0f;
    int32_t sum = 0;
#pragma omp simd reduction(max : largest)
    for (int j = 0; j < rank; j++)
        largest = fabsf(row[j]) > largest ? fabsf(row[j]) : largest;
    const float unit = largest / 127.0f > SMALLEST_UNIT ? largest / 127.0f : SMALLEST_UNIT, per_unit = 1.0f / unit;
#pragma omp simd reduction(+ : squares, errors, sum)
    for (int j = 0; j < rank; j++) {
        const float whole = rintf(row[j] * per_unit), error = fmaf(-whole, unit, row[j]) * per_unit;
        squares += whole * whole;
        errors += error * error;
        sum += (int32_t)whole;
        out[j] = (int8_t)whole;
    }
    const float length = OVER * sqrtf(squares), error = OVER * sqrtf(errors) + (OVER - 1.0f);
    return (rounded){unit, length, error, length + error, sum};
}

TARGET static void round_panel(ptrdiff_t n, int rank, const float *factors, const float *constant,
                               const coarse_items *items, ptrdiff_t p)
{
    const int fours = items->fours;
    uint32_t *panel = (uint32_t *)(items->factors + p * PANEL * 4 * fours);
    float length = 0.0f, error = 0.0f;
    int8_t row[COARSE_MOST_FACTORS] = {0};
    for (int j = 0; j < PANEL; j++) {
        const ptrdiff_t item = p * PANEL + j;
        items->unit[item] = 0.0f;
        items->constant[item] = -INFINITY;
        if (item < n) {
            const rounded r = round_row(rank, factors + item * rank, row);
            items->unit[item] = r.unit;
            items->constant[item] = constant[item];
            length = r.whole_length > length ? r.whole_length : length;
            error = r.error > error ? r.error : error;
        }
        for (int k = 0; k < fours; k++) {
            uint32_t four;
            memcpy(&four, row + 4 * k, 4);
            panel[k * PANEL + j] = four ^ 0x80808080u; /* + 128 */
        }
    }
    items->length[p] = length;
    items->error[p] = error;
}

/* dots[i][j] = start[i] + <row i, item j> */
TARGET INLINE void multiply(const int8_t *rows, int fours, const uint8_t *panel, const int32_t *start,
                            int32_t dots[ROWS][PANEL])
{
    __m512i sum[ROWS][VECTORS], item[VECTORS]; /* with that of a row, 29 of 32 registers */
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = _mm512_set1_epi32(start[i]);
    for (int k = 0; k < fours; k++) {
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++)
            item[v] = _mm512_load_si512(panel + (k * VECTORS + v) * 64);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            int32_t four;
            memcpy(&four, rows + (i * fours + k) * 4, 4);
            const __m512i row = _mm512_set1_epi32(four);
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; v++)
                sum[i][v] = _mm512_dpbusd_epi32(sum[i][v], item[v], row);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++)
            _mm512_store_si512(dots[i] + LANES * v, sum[i][v]);
}

/* Offers to row r the items of a panel whose upper bound is above the limit of the row. */
TARGET INLINE void offer(const select_state *state, ptrdiff_t r, const coarse_rows *rows, const coarse_items *items,
                         ptrdiff_t p, const int32_t *dots)
{
    const float *unit = items->unit + p * PANEL, *constant = items->constant + p * PANEL;
    const __m512 limit = _mm512_set1_ps(state->limit[r]), own = _mm512_set1_ps(rows->unit[r]);
    __m512 upper[VECTORS], largest;
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; v++) {
        const __m512 dot = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(dots + LANES * v)),
                                         _mm512_load_ps(unit + LANES * v));
        upper[v] = _mm512_fmadd_ps(dot, own, _mm512_load_ps(constant + LANES * v));
        largest = v ? _mm512_max_ps(largest, upper[v]) : upper[v];
    }
    if (!_mm512_cmp_ps_mask(largest, limit, _CMP_GT_OQ))
        return;
    float bounds[PANEL];
    uint64_t above = 0;
    for (int v = 0; v < VECTORS; v++) {
        _mm512_storeu_ps(bounds + LANES * v, upper[v]);
        above |= (uint64_t)_mm512_cmp_ps_mask(upper[v], limit, _CMP_GT_OQ) << (LANES * v);
    }
    const float width = 2.0f * rows->unit[r] * (float)(rows->start[r] - rows->base[r]);
    select_offer(state, r, (int32_t)(p * PANEL), above, bounds, width, unit);
}

int coarse_is_available(const char *name)
{
    return strcmp(name, "avx512") == 0 && __builtin_cpu_supports("avx512vnni");
}

void coarse_round_items(ptrdiff_t n, int rank, const float *factors, const float *constant, const coarse_items *items)
{
    for (ptrdiff_t p = 0; p < items->n_panels; p++)
        round_panel(n, rank, factors, constant, items, p);
}

TARGET void coarse_round_rows(ptrdiff_t n, int rank, const float *factors, const coarse_rows *rows)
{
    const ptrdiff_t stride = (rank + 3) / 4 * 4;
    for (ptrdiff_t r = 0; r < n; r++) {
        const rounded row = round_row(rank, factors + r * rank, rows->factors + r * stride);
        rows->unit[r] = row.unit;
        rows->length[r] = row.length;
        rows->error[r] = row.error;
        rows->base[r] = -128 * row.sum;
    }
}

TARGET void coarse_select(const select_state *state, ptrdiff_t n_rows, const coarse_rows *rows, const coarse_items *items)
{
    const ptrdiff_t stride = 4 * items->fours;
    int32_t dots[ROWS][PANEL] __attribute__((aligned(64)));
    for (ptrdiff_t p = 0; p < items->n_panels; p++) {
        const float length = items->length[p], error = items->error[p];
#pragma omp simd
        for (ptrdiff_t r = 0; r < n_rows; r++)
            rows->start[r] = rows->base[r] + (int32_t)(rows->error[r] * length + rows->length[r] * error) + 1;
        for (ptrdiff_t r = 0; r < n_rows; r += ROWS) {
            multiply(rows->factors + r * stride, items->fours, items->factors + p * PANEL * stride, rows->start + r, dots);
            for (int i = 0; i < ROWS && r + i < n_rows; i++)
                offer(state, r + i, rows, items, p, dots[i]);
        }
    }
}

#else

int coarse_is_available(const char *name)
{
    (void)name;
    return 0;
}

void coarse_round_items(ptrdiff_t n, int rank, const float *factors, const float *constant, const coarse_items *items)
{
    (void)n, (void)rank, (void)factors, (void)constant, (void)items;
}

void coarse_round_rows(ptrdiff_t n, int rank, const float *factors, const coarse_rows *rows)
{
    (void)n, (void)rank, (void)factors, (void)rows;
}

void coarse_select(const select_state *state, ptrdiff_t n_rows, const coarse_rows *rows, const coarse_items *items)
{
    (void)state, (void)n_rows, (void)rows, (void)items;
}
#endif
