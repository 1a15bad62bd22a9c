#include "online.h"
#include "inline.h"

#include <math.h>

#include "prefetch.h"
#include "sgd_loss.h"

/* A row follows a move of its center by this part of its share (online.h). */
#define SHARE_OF_MOVE 0.5

/* Loss, psi and kappa of a rating y whose predicted score is f. */
static judged judge_rating(const online_model *model, const sgd_config *config, double y, double f)
{
    if (config->loss == sgd_poisson)
        return judge(config, (float)y, (float)(f - model->intercept)); /* the offset is the intercept */
    return judge(config, (float)((y - model->intercept) / model->unit), (float)((f - model->intercept) / model->unit));
}

/* Scales down the sums of a row's ratings. The number of partners stays. */
static void forget_part(float *sums, double part)
{
    sums[SUM_OF_WEIGHTS] = (float)(sums[SUM_OF_WEIGHTS] * (1.0 - part));
    sums[SUM_OF_SQUARES] = (float)(sums[SUM_OF_SQUARES] * (1.0 - part));
}

static float product(int n, const float *restrict a, const float *restrict b)
{
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < n; j++)
        sum += a[j] * b[j];
    return sum;
}

/* Fills `others` with s - V_f of each field, and returns the interactions sum_{f<g} <V_f, V_g>. */
static float add_up_others(const online_model *model, const online_level *level, float *restrict others)
{
    const int m = model->n_fields, rank = model->rank;
    if (m == 2) {
        const float *restrict p = level[0].row, *restrict q = level[1].row;
        for (int j = 0; j < rank; j++) {
            others[j] = q[j];
            others[rank + j] = p[j];
        }
        return product(rank, p, q);
    }
    float *sum = others + m * rank, twice = 0.0f;
    for (int j = 0; j < rank; j++)
        sum[j] = 0.0f;
    for (int f = 0; f < m; f++)
        for (int j = 0; j < rank; j++)
            sum[j] += level[f].row[j];
    for (int f = 0; f < m; f++) {
        for (int j = 0; j < rank; j++)
            others[f * rank + j] = sum[j] - level[f].row[j];
        twice += product(rank, level[f].row, others + f * rank);
    }
    return 0.5f * twice;
}

/* Computes k and kb of all rows without a rating of weight `less`, and |s - V_f|^2 on the standardized scale. Returns h. */
static double measure(const online_model *model, const precision_rule *rule, const online_level *level, float less,
                      const float *others, precision_gains *gains, double *squares)
{
    double h = 0.0;
    for (int f = 0; f < model->n_fields; f++) {
        const float *sums = level[f].sums, *other = others + f * model->rank;
        const float n = sums[SUM_OF_WEIGHTS] - less;
        gains[f] = precision_of(rule, f, n > 0.0f ? n : 0.0f, curvature_of(rule, sums, less));
        squares[f] = product(model->rank, other, other) / model->unit;
        h += gains[f].factors * squares[f] + gains[f].bias;
    }
    return h;
}

/* V <- V + step (s - V), at least 0 where factors are positive */
static void move_row(int rank, float *restrict v, float step, const float *restrict others, int positive)
{
    for (int j = 0; j < rank; j++)
        v[j] += step * others[j];
    for (int j = 0; positive && j < rank; j++)
        v[j] = v[j] > 0.0f ? v[j] : 0.0f;
}

/* Adds a rating to the sums of its rows: n, and squares or c. */
static void add_to_sums(int m, const online_level *level, const precision_rule *rule, double n, double square)
{
    for (int f = 0; f < m; f++) {
        float *sums = level[f].sums;
        sums[SUM_OF_WEIGHTS] = (float)(sums[SUM_OF_WEIGHTS] + n);
        if (f < 2 || rule->has_curvatures) {
            const double squares = sums[SUM_OF_SQUARES] + square;
            sums[SUM_OF_SQUARES] = (float)(squares > 0.0 ? squares : 0.0);
        }
    }
}

/* The center of a row of field f gains a partner, and the row follows. */
static void gain_partner(int rank, const sgd_config *config, const precision_rule *rule, int f, const online_level *level,
                         const online_level *partner)
{
    float *sums = level->sums, *restrict z = level->center, *restrict v = level->row;
    const float *restrict s = partner->coefficient;
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
    *level->bias = (float)(*level->bias + move_bias * (center - z[rank]));
    z[rank] = (float)center;
    sums[SUM_OF_PARTNERS] = (float)(count + 1.0);
}

/* Learns one rating; returns w loss. */
static double learn(const online_ratings *ratings, ptrdiff_t r, const online_level *level, const online_model *model,
                    const sgd_config *config, const precision_rule *rule, const online_scratch *scratch)
{
    const int m = model->n_fields, rank = model->rank;
    const double w = ratings->weight ? ratings->weight[r] : 1.0, y = ratings->y[r];
    const int is_replaced = ratings->y_old && !isnan(ratings->y_old[r]);
    double f_x = model->intercept;
    for (int f = 0; f < m; f++) {
        f_x += *level[f].bias;
        if (model->forgetting > 0.0)
            forget_part(level[f].sums, model->forgetting);
    }
    f_x += add_up_others(model, level, scratch->others);

    const judged now = judge_rating(model, config, y, f_x);
    const double h = measure(model, rule, level, is_replaced ? (float)w : 0.0f, scratch->others, scratch->gains,
                             scratch->squares);
    double psi = now.psi, square = y - psi, n_added = w; /* for counts: the expected count */
    if (!rule->has_curvatures) {
        const double e = (y - f_x) / model->unit;
        square = e * e / (1.0 + rule->curvature * h);
    }
    if (is_replaced) {
        psi -= judge_rating(model, config, ratings->y_old[r], f_x).psi;
        n_added = square = 0.0; /* only first ratings count for the noise */
    }
    const double g = w * psi / (1.0 + w * now.kappa * h);
    for (int f = 0; f < m; f++) {
        move_row(rank, level[f].row, (float)(g * scratch->gains[f].factors), scratch->others + f * rank, config->positive);
        *level[f].bias = (float)(*level[f].bias + g * scratch->gains[f].bias * model->unit);
        model->square_sums[f] += n_added * scratch->squares[f];
    }
    model->totals[0] += n_added;
    model->totals[1] += w * square;
    add_to_sums(m, level, rule, n_added, w * square);
    return w * now.loss;
}

/* Looks up the rows of a rating, and fetches them. */
static void find_levels(const online_model *model, const int32_t *index, online_level *level)
{
    for (int f = 0; f < model->n_fields; f++) {
        const int32_t at = index[f];
        level[f].row = row_at(&model->rows[f], at);
        level[f].bias = row_at(&model->bias[f], at);
        level[f].sums = row_at(&model->sums[f], at);
        prefetch_row(level[f].row, model->rank);
        PREFETCH(level[f].bias);
        PREFETCH(level[f].sums);
        level[f].center = NULL;
        level[f].coefficient = NULL;
        if (f < 2 && model->has_centers[f]) {
            level[f].center = row_at(&model->centers[f], at);
            prefetch_row(level[f].center, model->rank + 1);
        }
        if (f < 2 && model->has_centers[1 - f]) {
            level[f].coefficient = row_at(&model->coefficients[1 - f], at);
            prefetch_row(level[f].coefficient, model->rank + 1);
        }
    }
}

double online_update(const online_ratings *ratings, const online_model *model, const sgd_config *config,
                     precision_rule *rule, const online_scratch *scratch)
{
    const int m = model->n_fields;
    const ptrdiff_t n = ratings->n_ratings;
    double loss = 0.0;
    rule->mean_square = scratch->mean_square;
    for (ptrdiff_t r = 1 - ONLINE_AHEAD; r < n; r++) {
        const ptrdiff_t next = r + ONLINE_AHEAD - 1;
        if (next < n)
            find_levels(model, ratings->index + next * m, scratch->levels + next % ONLINE_AHEAD * m);
        if (r < 0)
            continue;
        const online_level *level = scratch->levels + r % ONLINE_AHEAD * m;
        const double n_components = model->totals[0] * model->rank;
        for (int f = 0; f < m; f++)
            scratch->mean_square[f] = n_components > 0.0 ? (float)(model->square_sums[f] / n_components) : 0.0f;
        loss += learn(ratings, r, level, model, config, rule, scratch);
        for (int f = 0; f < 2; f++)
            if (model->has_centers[f] && ratings->is_partner[2 * r + f])
                gain_partner(model->rank, config, rule, f, &level[f], &level[1 - f]);
    }
    return loss;
}
