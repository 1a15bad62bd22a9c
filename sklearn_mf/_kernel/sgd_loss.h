/* The losses of one rating, with their derivatives and curvatures. Files that visit ratings include this one. */

INLINE float larger(float a, float b) { return a > b ? a : b; }

/* Smaller errors count as this one, because their curvature could be infinite. */
#define SMALLEST_ERROR 1e-12f
/* Poisson: e^60 is larger than any count, and far below the limit of single precision. */
#define LARGEST_LOG 60.0f

typedef struct {
    float loss;
    float psi;   /* - d loss / d prediction: the error, for the squared loss */
    float kappa; /* bound on d^2 loss / d prediction^2, or the curvature of a parabola that touches the loss here and is
                  * above the loss from here to its minimum; steps with this bound do not jump over the minimum */
} judged;

/* e^x in single precision, with the same operations on every processor of an instruction set. It is 2^n times e^r, with the
 * polynomial of Cephes (Moshier 1992) for |r| <= log(2) / 2. */
INLINE float exponential(float x)
{
    x = x > LARGEST_LOG ? LARGEST_LOG : x;
    x = x > -LARGEST_LOG ? x : -LARGEST_LOG; /* also for NaN; the parameters are checked after the epoch */
    const float n = floorf(x * 1.44269504f + 0.5f);
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1.0f;
    union {
        int32_t bits;
        float value;
    } power = {((int32_t)n + 127) * (1 << 23)};
    return y * power.value;
}

/* log(x) for x > 0, in the same way: x = 2^n (1 + r), with 1 + r between 1 / sqrt(2) and sqrt(2). */
INLINE float logarithm(float x)
{
    union {
        float value;
        int32_t bits;
    } parts = {x};
    float n = (float)((parts.bits >> 23) - 126);
    parts.bits = (parts.bits & 0x7fffff) | 0x3f000000;
    float r = parts.value;
    if (r < 0.70710678f) {
        n -= 1.0f;
        r += r;
    }
    r -= 1.0f;
    float y = 7.0376836292e-2f;
    y = y * r - 1.1514610310e-1f;
    y = y * r + 1.1676998740e-1f;
    y = y * r - 1.2420140846e-1f;
    y = y * r + 1.4249322787e-1f;
    y = y * r - 1.6668057665e-1f;
    y = y * r + 2.0000714765e-1f;
    y = y * r - 2.4999993993e-1f;
    y = y * r + 3.3333331174e-1f;
    const float rr = r * r;
    y = y * r * rr - 2.12194440e-4f * n - 0.5f * rr;
    return r + y + 0.693359375f * n;
}

/* e^d - 1 - d in single precision, also near 0. */
INLINE float exponential_remainder(float d)
{
    if (fabsf(d) > 0.5f)
        return exponential(d) - 1.0f - d;
    const float series = 1.0f / 24.0f + d * (1.0f / 120.0f + d * (1.0f / 720.0f + d / 5040.0f));
    return d * d * (0.5f + d * (1.0f / 6.0f + d * series));
}

/* The curvature of |e| is that of the parabola e^2 / (2 |e0|) + |e0| / 2 (de Leeuw and Lange 2009). The curvature of the
 * quantile loss is half of that (Hunter and Lange 2000). */

/* e^2 / 2 */
INLINE judged judge_squared_error(const sgd_config *config, float target, float prediction)
{
    (void)config;
    const float e = target - prediction;
    return (judged){0.5f * e * e, e, 1.0f};
}

/* |e| */
INLINE judged judge_absolute_error(const sgd_config *config, float target, float prediction)
{
    (void)config;
    const float e = target - prediction, size = larger(fabsf(e), SMALLEST_ERROR);
    return (judged){fabsf(e), e / size, 1.0f / size};
}

/* e^2 / 2, but epsilon (|e| - epsilon / 2) if |e| > epsilon */
INLINE judged judge_huber(const sgd_config *config, float target, float prediction)
{
    const float e = target - prediction, size = larger(fabsf(e), SMALLEST_ERROR), epsilon = config->parameter;
    if (size > epsilon)
        return (judged){epsilon * (size - 0.5f * epsilon), epsilon * (e / size), epsilon / size};
    return judge_squared_error(config, target, prediction);
}

/* q e, but (q - 1) e if e < 0 */
INLINE judged judge_quantile(const sgd_config *config, float target, float prediction)
{
    const float e = target - prediction, size = larger(fabsf(e), SMALLEST_ERROR);
    const float slope = e > 0.0f ? config->parameter : config->parameter - 1.0f;
    return (judged){slope * e, fabsf(e) < SMALLEST_ERROR ? 0.0f : slope, 0.5f / size};
}

/* mu - y - y log(mu / y), half the deviance. Its curvature is mu, which is y at the minimum. */
INLINE judged judge_poisson(const sgd_config *config, float target, float prediction)
{
    const float f = config->offset + prediction, mu = exponential(f);
    const float half = target > 0.0f ? target * exponential_remainder(f - logarithm(target)) : mu;
    return (judged){half, target - mu, larger(mu, target)};
}

/* A chain of comparisons. With a switch, the loop of the squared loss would be four percent slower (GCC 12), although this
 * loop does not use the function. */
INLINE judged judge(const sgd_config *config, float target, float prediction)
{
#define JUDGE(name)                                                                                                    \
    if (config->loss == sgd_##name)                                                                                    \
        return judge_##name(config, target, prediction);
    SGD_LOSSES(JUDGE)
#undef JUDGE
    return judge_squared_error(config, target, prediction);
}
