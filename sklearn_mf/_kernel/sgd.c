#include "sgd.h"
#include "inline.h"

#include <math.h>
#include <string.h>

#ifdef SGD_HAVE_X86 /* set by the build if the compiler supports target attributes for x86 */
#include <immintrin.h>
#endif

#include "prefetch.h"

#define BATCH SGD_BATCH

/* k = 1 / (1 + eta (alpha + delta / n)): the part of itself that a row keeps. The rest comes from its center. */
INLINE float kept_part(float eta, float alpha, float delta, float per_rating)
{
    return 1.0f / (1.0f + eta * (alpha + delta * per_rating));
}

/* eta = step w / (1 + step w c) */
INLINE float bounded_step(float weighted_step, float curvature)
{
    return weighted_step / (1.0f + weighted_step * curvature);
}

#include "sgd_loss.h"

#define LOSS_NAME(name) #name,
const char *const sgd_loss_names[SGD_N_LOSSES] = {SGD_LOSSES(LOSS_NAME)};

static const float ones[BATCH] = {1.0f, 1.0f, 1.0f, 1.0f};

/* A block of two fields, in the form that the loops keep in registers. */
typedef struct {
    const int32_t *index;
    const float *target, *weight;
    float *p, *q;
    sgd_scalars *users, *items;
    const float *user_ties, *item_ties; /* or NULL */
} pairs;

enum { SCALARS = sizeof(sgd_scalars) / sizeof(float) };

/* The changes that the ratings of a batch make to their rows of one field, if there are three fields or more:
 * V <- keep V + move s + (1 - keep - move) z,   b <- b + move_bias - pull_bias (b - zb) */
typedef struct {
    float keep[BATCH], move[BATCH], move_bias[BATCH], pull_bias[BATCH];
} field_steps;

#define SGD_SET baseline
#define SGD_WIDTH 0
#include "sgd_vector.h"

#include "sgd_loops.h"
#include "predict_loops.h"
#undef SGD_SET
#undef SGD_WIDTH

#ifdef SGD_HAVE_X86
static const int32_t first_of_eight[16] = {-1, -1, -1, -1, -1, -1, -1, -1}; /* the rest are zero */

#define SGD_SET avx2
#define SGD_WIDTH 256
#include "sgd_vector.h"

#include "sgd_loops.h"
#include "predict_loops.h"
#undef SGD_SET
#undef SGD_WIDTH

#define SGD_SET avx512
#define SGD_WIDTH 512
#include "sgd_vector.h"

#include "sgd_loops.h"
#include "predict_loops.h"
#endif

#ifdef SGD_HAVE_X86
/* Measured on Zen 4, which splits 512-bit operations into two halves. Longer vectors are a tenth faster for rows of 32
 * floats and of 96 or more. They are a tenth slower for 16, 48 and 64 floats. */
static double update_block_avx512_or_avx2(const sgd_block *block, const sgd_config *config, float *sum)
{
    const int width = block->width;
    return width % 16 == 0 && (width == 32 || width >= 96) ? update_block_avx512(block, config, sum)
                                                           : update_block_avx2(block, config, sum);
}
#endif

typedef double update_block_fn(const sgd_block *, const sgd_config *, float *);
typedef void predict_fn(ptrdiff_t, int, const sgd_tables *, const int32_t *, double *);

static update_block_fn *chosen_update_block = update_block_baseline;
static predict_fn *chosen_predict = predict_baseline;

const char *sgd_select_simd(const char *name)
{
    const int automatic = strcmp(name, "auto") == 0;
#ifdef SGD_HAVE_X86
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if ((automatic || strcmp(name, "avx512") == 0) && avx512) {
        chosen_update_block = update_block_avx512_or_avx2;
        chosen_predict = predict_avx512;
        return "avx512";
    }
    if ((automatic || strcmp(name, "avx2") == 0) && avx2) {
        chosen_update_block = update_block_avx2;
        chosen_predict = predict_avx2;
        return "avx2";
    }
#endif
    if (automatic || strcmp(name, "baseline") == 0) {
        chosen_update_block = update_block_baseline;
        chosen_predict = predict_baseline;
        return "baseline";
    }
    return NULL;
}

double sgd_update_block(const sgd_block *block, const sgd_config *config, float *sum)
{
    return chosen_update_block(block, config, sum);
}

void sgd_predict(ptrdiff_t n, int n_fields, const sgd_tables *tables, const int32_t *index, double *out)
{
    chosen_predict(n, n_fields, tables, index, out);
}

void sgd_copy_rows(ptrdiff_t n, int width, int stride, const int32_t *which, const float *rows,
                   const sgd_scalars *scalars, float *own_rows, sgd_scalars *own_scalars)
{
    for (ptrdiff_t t = 0; t < n; t++) {
        memcpy(own_rows + t * width, rows + (size_t)which[t] * stride, width * sizeof(float));
        own_scalars[t] = scalars[which[t]];
    }
}

void sgd_subtract_rows(ptrdiff_t n, int width, int stride, const int32_t *which, const float *rows,
                       const sgd_scalars *scalars, float *own_rows, sgd_scalars *own_scalars)
{
    for (ptrdiff_t t = 0; t < n; t++) {
        for (int j = 0; j < width; j++)
            own_rows[t * width + j] -= rows[(size_t)which[t] * stride + j];
        own_scalars[t].bias -= scalars[which[t]].bias;
    }
}

void sgd_add_rows(ptrdiff_t n, int width, int stride, const int32_t *which, const float *share, const float *own_rows,
                  const sgd_scalars *own_scalars, float *rows, sgd_scalars *scalars)
{
    for (ptrdiff_t t = 0; t < n; t++) {
        for (int j = 0; j < width; j++)
            rows[(size_t)which[t] * stride + j] += share[t] * own_rows[t * width + j];
        scalars[which[t]].bias += share[t] * own_scalars[t].bias;
    }
}
