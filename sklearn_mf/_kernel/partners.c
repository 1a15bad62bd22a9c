#include "partners.h"
#include "centers.h"
#include "inline.h"

#include <math.h>
#include <string.h>

#include "sgd.h" /* SGD_BATCH */

#ifdef SGD_HAVE_X86 /* set by the build if the compiler supports target attributes for x86 */
#include <immintrin.h>
#endif

#define BATCH SGD_BATCH

_Static_assert(PARTNERS_LANES == SGD_LANES && SGD_LANES == 8, "rows of both have the same padding, EACH_PART steps by it");

enum { MOST = 72 }; /* largest number of floats that are kept in registers */

#define SGD_SET baseline
#define SGD_WIDTH 0
#include "sgd_vector.h"

#include "partners_loops.h"
#include "centers_loops.h"
#undef SGD_SET
#undef SGD_WIDTH

#ifdef SGD_HAVE_X86
#define SGD_SET avx2
#define SGD_WIDTH 256
#include "sgd_vector.h"

#include "partners_loops.h"
#include "centers_loops.h"
#endif

typedef struct {
    void (*gather)(const partners_block *, int, const float *, float *);
    void (*scatter)(const partners_block *, int, const float *, float *);
    void (*project)(ptrdiff_t, int, int, const float *, const float *, float *);
    void (*expand)(ptrdiff_t, int, int, const float *, const float *, float *);
    void (*weigh)(ptrdiff_t, int, const centers_side *, float *);
    void (*subtract_ridge)(ptrdiff_t, int, int, const float *, const float *, const float *, float *, float *);
    void (*precondition)(ptrdiff_t, int, int, const float *, const float *, float, const float *, float *, float *, float *);
    void (*curve)(ptrdiff_t, int, const centers_side *, float *, float *);
    void (*move)(ptrdiff_t, int, const float *, const float *, const centers_side *);
    double (*move_coefficients)(ptrdiff_t, int, const float *, const float *, float *, centers_view, centers_view,
                                const double *);
} loops;

static const loops baseline = {gather_baseline,         scatter_baseline, project_baseline, expand_baseline,
                               weigh_baseline,          subtract_ridge_baseline, precondition_baseline, curve_baseline,
                               move_baseline,           move_coefficients_baseline};
#ifdef SGD_HAVE_X86
static const loops avx2 = {gather_avx2, scatter_avx2,        project_avx2,      expand_avx2, weigh_avx2,
                           subtract_ridge_avx2, precondition_avx2, curve_avx2, move_avx2, move_coefficients_avx2};
#else
#define avx2 baseline
#endif
static const loops *chosen = &baseline;

void partners_select_simd(int wide) { chosen = wide ? &avx2 : &baseline; }

void partners_gather(const partners_block *block, int width, const float *from_items, float *to_users)
{
    chosen->gather(block, width, from_items, to_users);
}

void partners_scatter(const partners_block *block, int width, const float *from_users, float *to_items)
{
    chosen->scatter(block, width, from_users, to_items);
}

void partners_project(ptrdiff_t n, int k, int width, const float *left, const float *right, float *out)
{
    chosen->project(n, k, width, left, right, out);
}

void partners_expand(ptrdiff_t n, int k, int width, const float *left, const float *out, float *rows)
{
    chosen->expand(n, k, width, left, out, rows);
}

void centers_weigh(ptrdiff_t n, int width, const centers_side *side, float *out) { chosen->weigh(n, width, side, out); }

void centers_subtract_ridge(ptrdiff_t n, int width, int k, const float *directions, const float *ridge, const float *x,
                     float *residual, float *out)
{
    chosen->subtract_ridge(n, width, k, directions, ridge, x, residual, out);
}

void centers_precondition(ptrdiff_t n, int width, int k, const float *directions, const float *along, float momentum,
                          const float *residual, float *direction, float *slope, float *length)
{
    chosen->precondition(n, width, k, directions, along, momentum, residual, direction, slope, length);
}

void centers_curve(ptrdiff_t n, int width, const centers_side *side, float *near, float *total)
{
    chosen->curve(n, width, side, near, total);
}

void centers_move(ptrdiff_t n, int width, const float *near, const float *step, const centers_side *side)
{
    chosen->move(n, width, near, step, side);
}

double centers_move_coefficients(ptrdiff_t n, int width, const float *direction, const float *step, float *x,
                                 centers_view q, centers_view push, const double *weight)
{
    return chosen->move_coefficients(n, width, direction, step, x, q, push, weight);
}

ptrdiff_t partners_find(ptrdiff_t n, int n_fields, const int32_t *index, ptrdiff_t n_users, ptrdiff_t n_items,
                        int32_t *user, int32_t *count, int32_t *item, int32_t *last_user, int32_t *next)
{
    /* Sort by user, with a counting sort. */
    memset(next, 0, (n_users + 1) * sizeof(int32_t));
    for (ptrdiff_t r = 0; r < n; r++)
        next[index[r * n_fields] + 1]++;
    for (ptrdiff_t u = 0; u < n_users; u++)
        next[u + 1] += next[u];
    for (ptrdiff_t r = 0; r < n; r++)
        item[next[index[r * n_fields]]++] = index[r * n_fields + 1];
    /* next[u] is now the end of the items of u. Keep each item once: */
    memset(last_user, -1, n_items * sizeof(int32_t));
    ptrdiff_t n_runs = 0, kept = 0;
    for (ptrdiff_t u = 0, r = 0; u < n_users; u++) {
        const ptrdiff_t start = kept;
        for (; r < next[u]; r++)
            if (last_user[item[r]] != u) {
                last_user[item[r]] = (int32_t)u;
                item[kept++] = item[r];
            }
        if (kept > start) {
            user[n_runs] = (int32_t)u;
            count[n_runs++] = (int32_t)(kept - start);
        }
    }
    return n_runs;
}

/* The method of Jacobi: rotations set one element after another to zero (Golub and Van Loan 2013, section 8.5). */
void partners_eigen(int k, double *matrix, double *vectors)
{
    enum { MOST_SWEEPS = 30 };
    for (int i = 0; i < k * k; i++)
        vectors[i] = i % (k + 1) == 0;
    for (int sweep = 0; sweep < MOST_SWEEPS; sweep++) {
        double off = 0.0, on = 0.0;
        for (int i = 0; i < k; i++)
            for (int j = 0; j < k; j++)
                *(i == j ? &on : &off) += matrix[i * k + j] * matrix[i * k + j];
        if (!(off > 1e-30 * on))
            return;
        for (int p = 0; p < k; p++)
            for (int q = p + 1; q < k; q++) {
                const double a = matrix[p * k + q];
                if (a == 0.0)
                    continue;
                const double theta = (matrix[q * k + q] - matrix[p * k + p]) / (2.0 * a);
                const double t = (theta < 0.0 ? -1.0 : 1.0) / (fabs(theta) + sqrt(theta * theta + 1.0));
                const double c = 1.0 / sqrt(t * t + 1.0), s = t * c;
                for (int i = 0; i < k; i++) { /* columns p and q */
                    const double x = matrix[i * k + p], y = matrix[i * k + q];
                    matrix[i * k + p] = c * x - s * y;
                    matrix[i * k + q] = s * x + c * y;
                    const double v = vectors[i * k + p], w = vectors[i * k + q];
                    vectors[i * k + p] = c * v - s * w;
                    vectors[i * k + q] = s * v + c * w;
                }
                for (int i = 0; i < k; i++) { /* rows p and q */
                    const double x = matrix[p * k + i], y = matrix[q * k + i];
                    matrix[p * k + i] = c * x - s * y;
                    matrix[q * k + i] = s * x + c * y;
                }
            }
    }
}
