#include "sgd.h"

#include <math.h>
#include <string.h>

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define PREFETCH(address) __builtin_prefetch(address, 1)
#else
#define INLINE static inline
#define PREFETCH(address) ((void)0)
#endif

/* How many ratings ahead rows are fetched: a row's first visit in a block comes from the L3 cache or from memory. */
#define AHEAD 8
#define CACHE_LINE 64

INLINE void prefetch_row(const float *row, int width)
{
    const char *line = (const char *)row;
    for (ptrdiff_t at = 0; at < (ptrdiff_t)(width * sizeof(float)) && at < 8 * CACHE_LINE; at += CACHE_LINE)
        PREFETCH(line + at);
}

INLINE float larger(float a, float b) { return a > b ? a : b; }

/* eta = step w / (1 + step w c) */
INLINE float bounded_step(float weighted_step, float curvature)
{
    return weighted_step / (1.0f + weighted_step * curvature);
}

/* Two fields: s - p = q, so one pass gives <p, q> and |p|^2 + |q|^2, and no sum is stored. Three times as fast at rank
 * 32 as the general form below run on two fields. */
INLINE double update_pairs(const sgd_block *block, const sgd_config *config, const float *weight, int width)
{
    const float alpha = config->alpha, alpha_bias = config->alpha_bias, fit_bias = config->fit_bias;
    const float penalty = larger(alpha, fit_bias * alpha_bias);
    const float *user_damping = block->damping[0], *item_damping = block->damping[1];
    float *user_rows = block->rows[0], *item_rows = block->rows[1];
    float *user_bias = block->bias[0], *item_bias = block->bias[1];
    double loss = 0.0;
    for (ptrdiff_t r = 0; r < block->n_ratings; r++) {
        const int32_t *index = block->index + 2 * r;
        if (r + AHEAD < block->n_ratings) {
            prefetch_row(user_rows + (size_t)index[2 * AHEAD] * width, width);
            prefetch_row(item_rows + (size_t)index[2 * AHEAD + 1] * width, width);
        }
        const int32_t u = index[0], i = index[1];
        float *restrict p = user_rows + (size_t)u * width;
        float *restrict q = item_rows + (size_t)i * width;
        float dot = 0.0f, norm = 0.0f;
#pragma omp simd reduction(+ : dot, norm)
        for (int j = 0; j < width; j++) {
            dot += p[j] * q[j];
            norm += p[j] * p[j] + q[j] * q[j];
        }
        const float w = weight ? weight[r] : 1.0f;
        const float e = block->target[r] - user_bias[u] - item_bias[i] - dot;
        loss += (double)(w * e * e);
        const float lambda_u = user_damping[u], lambda_i = item_damping[i];
        const float c = norm + 2.0f * fit_bias + fabsf(e) + penalty + larger(lambda_u, lambda_i);
        const float eta = bounded_step(config->step * w, c);
        const float g = eta * e;
        /* b <- b + eta (e - (alpha_bias + lambda) b) */
        user_bias[u] += fit_bias * (g - eta * (alpha_bias + lambda_u) * user_bias[u]);
        item_bias[i] += fit_bias * (g - eta * (alpha_bias + lambda_i) * item_bias[i]);
        /* p <- p + eta (e q - (alpha + lambda) p), and the same for q with the old p */
        const float keep_p = 1.0f - eta * (alpha + lambda_u), keep_q = 1.0f - eta * (alpha + lambda_i);
#pragma omp simd
        for (int j = 0; j < width; j++) {
            const float old_p = p[j];
            p[j] = keep_p * old_p + g * q[j];
            q[j] = keep_q * q[j] + g * old_p;
        }
    }
    return 0.5 * loss;
}

/* Any number of fields. */
INLINE double update_fields(const sgd_block *block, const sgd_config *config, const float *weight, int width,
                            float *restrict s)
{
    const int m = block->n_fields;
    const float alpha = config->alpha, alpha_bias = config->alpha_bias, fit_bias = config->fit_bias;
    const float penalty = larger(alpha, fit_bias * alpha_bias);
    double loss = 0.0;
    for (ptrdiff_t r = 0; r < block->n_ratings; r++) {
        const int32_t *index = block->index + m * r;
        float e = block->target[r], lambda = 0.0f, own_norm = 0.0f, sum_norm = 0.0f;
        memset(s, 0, width * sizeof(float));
        for (int f = 0; f < m; f++) {
            if (r + AHEAD < block->n_ratings)
                prefetch_row(block->rows[f] + (size_t)index[AHEAD * m + f] * width, width);
            const float *restrict v = block->rows[f] + (size_t)index[f] * width;
            e -= block->bias[f][index[f]];
            lambda = larger(lambda, block->damping[f][index[f]]);
#pragma omp simd reduction(+ : own_norm)
            for (int j = 0; j < width; j++) {
                s[j] += v[j];
                own_norm += v[j] * v[j];
            }
        }
#pragma omp simd reduction(+ : sum_norm)
        for (int j = 0; j < width; j++)
            sum_norm += s[j] * s[j];
        /* sum_{f<g} <V_f, V_g> = (|s|^2 - sum_f |V_f|^2) / 2 */
        e -= 0.5f * (sum_norm - own_norm);
        const float w = weight ? weight[r] : 1.0f;
        loss += (double)(w * e * e);
        /* sum_f |s - V_f|^2 = (m - 2) |s|^2 + sum_f |V_f|^2 */
        const float gradient_norm = (m - 2) * sum_norm + own_norm + m * fit_bias;
        const float c = gradient_norm + (m - 1) * fabsf(e) + penalty + lambda;
        const float eta = bounded_step(config->step * w, c);
        const float g = eta * e;
        for (int f = 0; f < m; f++) {
            float *restrict v = block->rows[f] + (size_t)index[f] * width;
            float *b = block->bias[f] + index[f];
            const float damping = block->damping[f][index[f]];
            *b += fit_bias * (g - eta * (alpha_bias + damping) * *b);
            /* V_f <- V_f + eta (e (s - V_f) - (alpha + lambda_f) V_f) */
            const float keep = 1.0f - eta * (alpha + damping) - g;
#pragma omp simd
            for (int j = 0; j < width; j++)
                v[j] = keep * v[j] + g * s[j];
        }
    }
    return 0.5 * loss;
}

/* Compiled once for each instruction set. The width is stated to be a multiple of SGD_LANES, and the usual rank and
 * the absence of weights are made constants, so that the compiler unrolls and leaves out what is not there. */
INLINE double update_block(const sgd_block *block, const sgd_config *config, float *sum)
{
    const int width = block->width / SGD_LANES * SGD_LANES;
    if (block->n_fields != 2)
        return update_fields(block, config, block->weight, width, sum);
    if (block->weight)
        return update_pairs(block, config, block->weight, width);
    if (width == 32)
        return update_pairs(block, config, NULL, 32);
    return update_pairs(block, config, NULL, width);
}

INLINE void predict(ptrdiff_t n, int n_fields, int rank, const int32_t *index, const float *const *rows,
                    const float *const *bias, double intercept, float *restrict s, double *out)
{
    for (ptrdiff_t r = 0; r < n; r++, index += n_fields) {
        float biases = 0.0f, interactions = 0.0f;
        if (n_fields == 2 && index[0] >= 0 && index[1] >= 0) {
            const float *p = rows[0] + (size_t)index[0] * rank, *q = rows[1] + (size_t)index[1] * rank;
            biases = bias[0][index[0]] + bias[1][index[1]];
#pragma omp simd reduction(+ : interactions)
            for (int j = 0; j < rank; j++)
                interactions += p[j] * q[j];
        }
        else {
            memset(s, 0, rank * sizeof(float));
            for (int f = 0; f < n_fields; f++) {
                if (index[f] < 0)
                    continue;
                const float *restrict v = rows[f] + (size_t)index[f] * rank;
                biases += bias[f][index[f]];
                /* sum_{f<g} <V_f, V_g>, one g at a time: <sum_{f<g} V_f, V_g> */
#pragma omp simd reduction(+ : interactions)
                for (int j = 0; j < rank; j++) {
                    interactions += s[j] * v[j];
                    s[j] += v[j];
                }
            }
        }
        out[r] = intercept + (double)biases + (double)interactions;
    }
}

typedef double update_block_fn(const sgd_block *, const sgd_config *, float *);
typedef void predict_fn(ptrdiff_t, int, int, const int32_t *, const float *const *, const float *const *, double,
                        float *, double *);

#define DEFINE_VARIANT(suffix, attributes)                                                                        \
    attributes static double update_block_##suffix(const sgd_block *block, const sgd_config *config, float *sum) \
    {                                                                                                             \
        return update_block(block, config, sum);                                                                  \
    }                                                                                                             \
    attributes static void predict_##suffix(ptrdiff_t n, int n_fields, int rank, const int32_t *index,            \
                                            const float *const *rows, const float *const *bias, double intercept, \
                                            float *sum, double *out)                                              \
    {                                                                                                             \
        predict(n, n_fields, rank, index, rows, bias, intercept, sum, out);                                       \
    }

DEFINE_VARIANT(baseline, )
#ifdef SGD_HAVE_AVX2 /* set by the build where the compiler takes the attribute */
DEFINE_VARIANT(avx2, __attribute__((target("avx2,fma"))))
#endif

static update_block_fn *chosen_update_block = update_block_baseline;
static predict_fn *chosen_predict = predict_baseline;

const char *sgd_select_simd(const char *name)
{
    const int automatic = strcmp(name, "auto") == 0;
#ifdef SGD_HAVE_AVX2
    if ((automatic || strcmp(name, "avx2") == 0) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
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

void sgd_predict(ptrdiff_t n, int n_fields, int rank, const int32_t *index, const float *const *rows,
                 const float *const *bias, double intercept, float *sum, double *out)
{
    chosen_predict(n, n_fields, rank, index, rows, bias, intercept, sum, out);
}

void sgd_copy_rows(ptrdiff_t n, int width, const int32_t *which, const float *rows, const float *bias,
                   const float *damping, float *own_rows, float *own_bias, float *own_damping)
{
    for (ptrdiff_t t = 0; t < n; t++) {
        memcpy(own_rows + t * width, rows + (size_t)which[t] * width, width * sizeof(float));
        own_bias[t] = bias[which[t]];
        own_damping[t] = damping[which[t]];
    }
}

void sgd_subtract_rows(ptrdiff_t n, int width, const int32_t *which, const float *rows, const float *bias,
                       float *own_rows, float *own_bias)
{
    for (ptrdiff_t t = 0; t < n; t++) {
        for (int j = 0; j < width; j++)
            own_rows[t * width + j] -= rows[(size_t)which[t] * width + j];
        own_bias[t] -= bias[which[t]];
    }
}

void sgd_add_rows(ptrdiff_t n, int width, const int32_t *which, const float *share, const float *own_rows,
                  const float *own_bias, float *rows, float *bias)
{
    for (ptrdiff_t t = 0; t < n; t++) {
        for (int j = 0; j < width; j++)
            rows[(size_t)which[t] * width + j] += share[t] * own_rows[t * width + j];
        bias[which[t]] += share[t] * own_bias[t];
    }
}
