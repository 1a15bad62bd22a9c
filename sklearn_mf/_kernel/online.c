#include "online.h"
#include "inline.h"

#include <math.h>

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

/* k and kb of all rows without a rating of weight `less`; h. */
static double measure(const online_model *model, const precision_rule *rule, const int32_t *index, float less, double *sum,
                      precision_gains *gains)
{
    const int m = model->n_fields, rank = model->rank;
    double h = 0.0;
    for (int f = 0; f < m; f++) {
        const float *v = row_at(&model->rows[f], index[f]), *sums = row_at(&model->sums[f], index[f]);
        const float n = sums[SUM_OF_WEIGHTS] - less;
        gains[f] = precision_of(rule, f, n > 0.0f ? n : 0.0f, curvature_of(rule, sums, less));
        double square = 0.0;
        for (int j = 0; j < rank; j++)
            square += (sum[j] - v[j]) * (sum[j] - v[j]);
        square /= model->unit;
        h += gains[f].factors * square + gains[f].bias;
    }
    return h;
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
    for (int j = 0; j <= rank; j++) {
        const double center = kept * z[j] + gained * s[j], change = center - z[j];
        z[j] = (float)center;
        if (j == rank) {
            *b = (float)(*b + move_bias * change);
        } else {
            const double moved = v[j] + move * change;
            v[j] = (float)(config->positive && moved < 0.0 ? 0.0 : moved);
        }
    }
    sums[SUM_OF_PARTNERS] = (float)(count + 1.0);
}

double online_update(const online_ratings *ratings, const online_model *model, const sgd_config *config,
                     precision_rule *rule, double *sum, precision_gains *gains)
{
    const int m = model->n_fields, rank = model->rank;
    float *mean_square = (float *)rule->mean_square;
    double loss = 0.0;
    for (ptrdiff_t r = 0; r < ratings->n_ratings; r++) {
        const int32_t *index = ratings->index + r * m;
        const double w = ratings->weight ? ratings->weight[r] : 1.0, y = ratings->y[r];
        const int is_replaced = ratings->y_old && !isnan(ratings->y_old[r]);
        double f_x = model->intercept, twice = 0.0;
        for (int j = 0; j < rank; j++)
            sum[j] = 0.0;
        for (int f = 0; f < m; f++) {
            const float *v = row_at(&model->rows[f], index[f]);
            f_x += *row_at(&model->bias[f], index[f]);
            for (int j = 0; j < rank; j++) {
                twice -= (double)v[j] * v[j];
                sum[j] += v[j];
            }
            if (model->forgetting > 0.0)
                forget_part(row_at(&model->sums[f], index[f]), model->forgetting);
        }
        for (int j = 0; j < rank; j++)
            twice += sum[j] * sum[j];
        f_x += 0.5 * twice; /* sum_{f<g} <V_f, V_g> = (|s|^2 - sum_f |V_f|^2) / 2 */

        const judged now = judge_rating(model, config, y, f_x);
        loss += w * now.loss;
        for (int f = 0; f < m; f++)
            mean_square[f] = model->totals[0] > 0.0 && rank
                                 ? (float)(model->square_sums[f] / (model->totals[0] * rank)) : 0.0f;
        double psi = now.psi;
        const double h = measure(model, rule, index, is_replaced ? (float)w : 0.0f, sum, gains);
        double square = y - now.psi, n_added = w; /* of counts: their expectation */
        if (!rule->has_curvatures) {
            const double e = (y - f_x) / model->unit;
            square = e * e / (1.0 + rule->curvature * h);
        }
        if (is_replaced) {
            const judged before = judge_rating(model, config, ratings->y_old[r], f_x);
            const double e = (ratings->y_old[r] - f_x) / model->unit;
            psi -= before.psi;
            square -= rule->has_curvatures ? square : e * e / (1.0 + rule->curvature * h);
            n_added = 0.0;
        }
        const double g = w * psi / (1.0 + w * now.kappa * h);
        for (int f = 0; f < m; f++) {
            float *v = row_at(&model->rows[f], index[f]), *b = row_at(&model->bias[f], index[f]);
            const double step = g * gains[f].factors;
            double others = 0.0;
            for (int j = 0; j < rank; j++) {
                const double other = sum[j] - v[j], moved = v[j] + step * other;
                others += other * other;
                v[j] = (float)(config->positive && moved < 0.0 ? 0.0 : moved);
            }
            *b = (float)(*b + g * gains[f].bias * model->unit);
            model->square_sums[f] += n_added * others / model->unit;
        }
        model->totals[0] += n_added;
        model->totals[1] += w * square;
        add_to_sums(model, rule, index, n_added, w * square);
        for (int f = 0; f < 2; f++)
            if (model->has_centers[f] && ratings->is_partner[2 * r + f])
                gain_partner(model, config, rule, f, index[f], index[1 - f]);
    }
    return loss;
}
