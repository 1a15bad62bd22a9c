#include "precision.h"
#include "inline.h"

#include <math.h>
#include <string.h>

#ifdef SGD_HAVE_X86 /* set by the build if the compiler supports target attributes for x86 */
#include <immintrin.h>
#endif

#include "prefetch.h"
#include "sgd_loss.h"

#define BATCH SGD_BATCH

#define SGD_SET baseline
#define SGD_WIDTH 0
#include "sgd_vector.h"

#include "precision_loops.h"
#undef SGD_SET
#undef SGD_WIDTH

#ifdef SGD_HAVE_X86
static const int32_t first_of_eight[16] = {-1, -1, -1, -1, -1, -1, -1, -1}; /* the rest are zero */

#define SGD_SET avx2
#define SGD_WIDTH 256
#include "sgd_vector.h"

#include "precision_loops.h"
#undef SGD_SET
#undef SGD_WIDTH

#define SGD_SET avx512
#define SGD_WIDTH 512
#include "sgd_vector.h"

#include "precision_loops.h"
#endif

typedef struct {
    double (*left_out)(const precision_block *, const sgd_config *, const precision_rule *, double *,
                       const precision_scratch *);
    void (*variances)(ptrdiff_t, int, const precision_tables *, const precision_rule *, const float *, int,
                      const int32_t *, double *, double *, const precision_scratch *);
} loops;

static const loops baseline = {left_out_baseline, variances_baseline};
#ifdef SGD_HAVE_X86
static const loops avx2 = {left_out_avx2, variances_avx2}, avx512 = {left_out_avx512, variances_avx512};
#endif
static const loops *chosen = &baseline;

void precision_select_simd(const char *name)
{
    chosen = &baseline;
#ifdef SGD_HAVE_X86
    if (strcmp(name, "avx2") == 0)
        chosen = &avx2;
    if (strcmp(name, "avx512") == 0)
        chosen = &avx512;
#else
    (void)name;
#endif
}

double precision_left_out(const precision_block *block, const sgd_config *config, const precision_rule *rule,
                          double *squares, const precision_scratch *scratch)
{
    return chosen->left_out(block, config, rule, squares, scratch);
}

void precision_variances(ptrdiff_t n, int n_fields, const precision_tables *tables, const precision_rule *rule,
                         const float *row_square, int of_mean, const int32_t *index, double *variance,
                         double *score, const precision_scratch *scratch)
{
    chosen->variances(n, n_fields, tables, rule, row_square, of_mean, index, variance, score, scratch);
}
