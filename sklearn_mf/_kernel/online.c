#include "online.h"
#include "inline.h"

#include <math.h>

#include "prefetch.h"
#include "sgd_loss.h"

/* Of the share by which a row shrinks to its center: what it moves by with it. */
#define SHARE_OF_MOVE 0.5

/* Loss, psi and kappa of y at the score f. */
static judged judge_rating(const online_model *model, const sgd_config *config, double y, double f)
{
    if (config->loss == sgd_poisson)
        return judge(config, (float)y, (float)(f - model->intercept)); /* the offset is the intercept */
    return judge(config, (float)((y - model->intercept) / model->unit), (float)((f - model->intercept) / model->unit));
}

/* Scales down what a row knows of its ratings; partners stay. */
static void forget_part(float *sums, double part)
{
    sums[SUM_OF_WEIGHTS] = (float)(sums[SUM_OF_WEIGHTS] * (1.0 - part));
    sums[SUM_OF_SQUARES] = (float)(sums[SUM_OF_SQUARES] * (1.0 - part));
}

static float product(int n, const float *a, const float *b)
{
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < n; j++)
        sum += a[j] * b[j];
    return sum;
}

/* Fills `others` with s - V_f of each field, and returns the interactions sum_{f<g} <V_f, V_g>. */
static float add_up_others(const online_model *model, const int32_t *index, float *others)
{
    const int m = model->n_fields, rank = model->rank;
    if (m == 2) {
        const float *p = row_at(&model->rows[0], index[0]), *q = row_at(&model->rows[1], index[1]);
        for (int j = 0; j < rank; j++) {
            others[j] = q[j];
            others[rank + j] = p[j];
        }
        return product(rank, p, q);
    }
    float *sum = others + m * rank, twice = 0.0f;
    for (int j = 0; j < rank; j++)
        sum[j] = 0.0f;
    for (int f = 0; f < m; f++) {
        const float *v = row_at(&model->rows[f], index[f]);
        for (int j = 0; j < rank; j++)
            sum[j] += v[j];
    }
    for (int f = 0; f < m; f++) {
        const float *v = row_at(&model->rows[f], index[f]);
        for (int j = 0; j < rank; j++)
            others[f * rank + j] = sum[j] - v[j];
        twice += product(rank, v, others + f * rank);
    }
    return 0.5f * twice;
}

/* k and kb of all rows without a rating of weight `less`, and |s - V_f|^2 on the standardized scale; h. */
static double measure(const online_model *model, const precision_rule *rule, const int32_t *index, float less,
                      const float *others, precision_gains *gains, double *squares)
{
    double h = 0.0;
    for (int f = 0; f < model->n_fields; f++) {
        const float *sums = row_at(&model->sums[f], index[f]), *other = others + f * model->rank;
        const float n = sums[SUM_OF_WEIGHTS] - less;
        gains[f] = precision_of(rule, f, n > 0.0f ? n : 0.0f, curvature_of(rule, sums, less));
        squares[f] = product(model->rank, other, other) / model->unit;
        h += gains[f].factors * squares[f] + gains[f].bias;
    }
    return h;
}

/* V <- V + step (s - V), at least 0 where factors are positive */
static void move_row(int rank, float *v, float step, const float *others, int positive)
{
    for (int j = 0; j < rank; j++)
        v[j] += step * others[j];
    for (int j = 0; positive && j < rank; j++)
        v[j] = v[j] > 0.0f ? v[j] : 0.0f;
}

/* Adds a rating to what is known of its rows: n, and squares or c. */
static void add_to_sums(const online_model *model, const precision_rule *rule, const int32_t *index, double n, double square)
{
    for (int f = 0; f < model->n_fields; f++) {
        float *sums = row_at(&model->sums[f], index[f]);
        sums[SUM_OF_WEIGHTS] = (float)(sums[SUM_OF_WEIGHTS] + n);
        if (f < 2 || rule->has_curvatures) {
            const double squares = sums[SUM_OF_SQUARES] + square;
            sums[SUM_OF_SQUARES] = (float)(squares > 0.0 ? squares : 0.0);
        }
    }
}

/* The center of row `at` of field f gains the partner `other`, and the row follows. */
static void gain_partner(const online_model *model, const sgd_config *config, const precision_rule *rule, int f, int32_t at,
                         int32_t other)
{
    const int rank = model->rank;
    float *sums = row_at(&model->sums[f], at), *z = row_at(&model->centers[f], at);
    float *v = row_at(&model->rows[f], at), *b = row_at(&model->bias[f], at);
    const float *s = row_at(&model->coefficients[f], other);
    const double count = sums[SUM_OF_PARTNERS], kept = sqrt(count / (count + 1.0)), gained = 1.0 / sqrt(count + 1.0);
    const float n = sums[SUM_OF_WEIGHTS];
    const precision_gains k = precision_of(rule, f, n, curvature_of(rule, sums, 0.0f));
    const sgd_damping damping = rule->damping[f];
    const double move = SHARE_OF_MOVE * k.factors * (rule->alpha * n + damping.factors);
    const double move_bias = SHARE_OF_MOVE * k.bias * (rule->alpha_bias * n + damping.bias);
    const float keep = (float)kept, gain = (float)gained, by = (float)move;
    for (int j = 0; j < rank; j++) {
        const float center = keep * z[j] + gain * s[j];
        v[j] += by * (center - z[j]);
        z[j] = center;
    }
    for (int j = 0; config->positive && j < rank; j++)
        v[j] = v[j] > 0.0f ? v[j] : 0.0f;
    const double center = kept * z[rank] + gained * s[rank];
    *b = (float)(*b + move_bias * (center - z[rank]));
    z[rank] = (float)center;
    sums[SUM_OF_PARTNERS] = (float)(count + 1.0);
}

/* Learns one rating; returns w loss. */
static double learn(const online_ratings *ratings, ptrdiff_t r, const online_model *model, const sgd_config *config,
                    const precision_rule *rule, const online_scratch *scratch)
{
    const int m = model->n_fields, rank = model->rank;
    const int32_t *index = ratings->index + r * m;
    const double w = ratings->weight ? ratings->weight[r] : 1.0, y = ratings->y[r];
    const int is_replaced = ratings->y_old && !isnan(ratings->y_old[r]);
    double f_x = model->intercept;
    for (int f = 0; f < m; f++) {
        f_x += *row_at(&model->bias[f], index[f]);
        if (model->forgetting > 0.0)
            forget_part(row_at(&model->sums[f], index[f]), model->forgetting);
    }
    f_x += add_up_others(model, index, scratch->others);

    const judged now = judge_rating(model, config, y, f_x);
    const double h = measure(model, rule, index, is_replaced ? (float)w : 0.0f, scratch->others, scratch->gains,
                             scratch->squares);
    double psi = now.psi, square = y - psi, n_added = w; /* of counts: their expectation */
    if (!rule->has_curvatures) {
        const double e = (y - f_x) / model->unit;
        square = e * e / (1.0 + rule->curvature * h);
    }
    if (is_replaced) {
        psi -= judge_rating(model, config, ratings->y_old[r], f_x).psi;
        n_added = square = 0.0; /* how noisy ratings are rests on those that came first */
    }
    const double g = w * psi / (1.0 + w * now.kappa * h);
    for (int f = 0; f < m; f++) {
        float *b = row_at(&model->bias[f], index[f]);
        move_row(rank, row_at(&model->rows[f], index[f]), (float)(g * scratch->gains[f].factors),
                 scratch->others + f * rank, config->positive);
        *b = (float)(*b + g * scratch->gains[f].bias * model->unit);
        model->square_sums[f] += n_added * scratch->squares[f];
    }
    model->totals[0] += n_added;
    model->totals[1] += w * square;
    add_to_sums(model, rule, index, n_added, w * square);
    return w * now.loss;
}

double online_update(const online_ratings *ratings, const online_model *model, const sgd_config *config,
                     precision_rule *rule, const online_scratch *scratch)
{
    const int m = model->n_fields;
    double loss = 0.0;
    rule->mean_square = scratch->mean_square;
    for (ptrdiff_t r = 0; r < ratings->n_ratings; r++) {
        const int32_t *index = ratings->index + r * m;
        const double n_components = model->totals[0] * model->rank;
        for (int f = 0; f < m; f++)
            scratch->mean_square[f] = n_components > 0.0 ? (float)(model->square_sums[f] / n_components) : 0.0f;
        if (r + 1 < ratings->n_ratings)
            for (int f = 0; f < m; f++)
                prefetch_row(row_at(&model->rows[f], index[m + f]), model->rank);
        loss += learn(ratings, r, model, config, rule, scratch);
        for (int f = 0; f < 2; f++)
            if (model->has_centers[f] && ratings->is_partner[2 * r + f])
                gain_partner(model, config, rule, f, index[f], index[1 - f]);
    }
    return loss;
}
