#include "als.h"
#include "inline.h"

#include <string.h>

#ifdef SGD_HAVE_X86 /* set by the build if the compiler supports target attributes for x86 */
#include <immintrin.h>
#endif

#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(x) __builtin_prefetch(x)
#define FORGET(x) __asm__("" : "+r"(x)) /* makes GCC load the data at x again instead of keeping them on the stack */
#else
#define PREFETCH(x) ((void)0)
#define FORGET(x) ((void)0)
#endif

enum {
    BATCH = 4,            /* pairs that are scored together */
    ALS_MOST = 128,       /* largest number of floats of a row that are kept in registers */
    GRAM_ROWS = 256,      /* rows that are summed in single precision */
};
enum { RESIDUAL, PRODUCT, SQUARES }; /* the three uses of add_pairs in als_loops.h */
#define ALS_LONGEST 1e30f /* longest step; a longer one means that the curvature is only rounding */

#define SGD_SET baseline
#define SGD_WIDTH 0
#include "sgd_vector.h"

#include "als_loops.h"
#undef SGD_SET
#undef SGD_WIDTH

#ifdef SGD_HAVE_X86
#define SGD_SET avx2
#define SGD_WIDTH 256
#include "sgd_vector.h"

#include "als_loops.h"
#undef SGD_SET
#undef SGD_WIDTH

#define SGD_SET avx512
#define SGD_WIDTH 512
#include "sgd_vector.h"

#include "als_loops.h"
#endif

typedef struct {
    void (*solve)(const als_side *, ptrdiff_t, ptrdiff_t, float *, als_sums *);
    void (*gram)(ptrdiff_t, int, const float *, float *);
} loops;

static const loops baseline = {solve_baseline, gram_baseline};
#ifdef SGD_HAVE_X86
static const loops avx2 = {solve_avx2, gram_avx2}, avx512 = {solve_avx512, gram_avx512};
#endif
static const loops *chosen = &baseline;

void als_select_simd(const char *name)
{
    (void)name;
    chosen = &baseline;
#ifdef SGD_HAVE_X86
    if (strcmp(name, "avx2") == 0)
        chosen = &avx2;
    if (strcmp(name, "avx512") == 0)
        chosen = &avx512;
#endif
}

void als_solve(const als_side *side, ptrdiff_t first, ptrdiff_t last, float *scratch, als_sums *sums)
{
    chosen->solve(side, first, last, scratch, sums);
}

void als_gram(ptrdiff_t n, int rank, const float *rows, float *scratch, double *gram)
{
    for (ptrdiff_t i = 0; i < n; i += GRAM_ROWS) {
        chosen->gram(n - i < GRAM_ROWS ? n - i : GRAM_ROWS, rank, rows + i * rank, scratch);
        for (int j = 0; j < rank; j++)
            for (int k = 0; k <= j; k++)
                gram[(size_t)j * rank + k] += scratch[(size_t)j * rank + k];
    }
    for (int j = 0; j < rank; j++)
        for (int k = 0; k < j; k++)
            gram[(size_t)k * rank + j] = gram[(size_t)j * rank + k];
}
