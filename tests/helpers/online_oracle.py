"""precision.h and online.h again, in slow and obvious NumPy, float64; rows of a field are arrays, sums have columns."""

import numpy as np

from helpers.oracle import interactions, judge

WEIGHTS, SQUARES, PARTNERS = range(3)
COUPLING = 1.15


def gains(rule, f, n, c):
    """How far a row of field f, and its bias, follow an error: k and kb of precision.h."""
    factors, bias = rule.damping[min(f, 2)]
    precision = rule.alpha * n + factors + c * rule.mean_squares[f]
    return 1 / max(precision, 1e-12), rule.fit_bias / max(rule.alpha_bias * n + bias + c, 1e-12)


def left_out_squares(index, target, weight, rows, biases, n, rule, loss, parameter=0.0, ties=None):
    """What each rating adds to the squares of its rows, as if it were left out of them.

    ``rows``, ``biases`` and ``n``, the summed weights: one table for all fields, which ``index`` numbers.
    """
    added = []
    for levels, y, w in zip(index, target, weight, strict=True):
        v = [rows[level] for level in levels]
        own = 0.0 if ties is None else ties[levels[0]] @ ties[levels[1]]
        prediction = sum(biases[level] for level in levels) + interactions(v) - own
        if rule.has_curvatures:
            added.append(w * (y - judge(loss, parameter, y, prediction)[1]))  # times the expected count
            continue
        h = 0.0
        for f, level in enumerate(levels):
            left = max(n[level] - w, 0.0)
            k, k_bias = gains(rule, f, left, rule.curvature * left)
            h += COUPLING * k * ((sum(v) - v[f]) ** 2).sum() + k_bias
        added.append(w * (y - prediction) ** 2 * (1 + rule.curvature * h))
    return np.array(added)


def variances(index, rows, sums, rule, unit, noise, prior_weight, of_mean):
    """Variances of predictions on the standardized scale, whatever the noise is that errors are relative to."""
    rank = rows[0].shape[1]
    # sum_f mean |s - V_f|^2 = (m - 1) sum_f mean |V_f|^2, and mean |s - V_f|^2 = sum_{g != f} mean |V_g|^2
    of_others = np.array(rule.mean_squares) * rank
    mean_square = np.maximum(of_others.sum() / (len(rows) - 1) - of_others, 0.0)
    out = []
    for levels in index:
        h, variance = 0.0, 1.0
        for f, level in enumerate(levels):
            known = sums[f][level] if level >= 0 else np.zeros(3)
            k, k_bias = gains(rule, f, known[WEIGHTS], rule.curvature * known[WEIGHTS])
            others = [(g, other) for g, other in enumerate(levels) if g != f]
            seen = sum((rows[g][other] for g, other in others if other >= 0), np.zeros(rank))
            square = seen @ seen / unit + sum(mean_square[g] for g, other in others if other < 0)
            h += COUPLING * k * square + k_bias
            if f < 2:
                variance *= (known[SQUARES] + prior_weight * noise) / (known[WEIGHTS] + prior_weight)
        variance /= noise
        out.append(variance * rule.curvature * h if of_mean else variance * (1 + rule.curvature * h))
    return np.array(out)


def learn(ratings, model, rule, loss, intercept, unit, forgetting):
    """Learn ratings one after another, changing the arrays of ``model`` in place; return their summed loss."""
    total, m, rank = 0.0, len(model.rows), model.rows[0].shape[1]
    for r, levels in enumerate(ratings.index):
        w = 1.0 if ratings.weight is None else ratings.weight[r]
        y, y_old = ratings.y[r], np.nan if ratings.y_old is None else ratings.y_old[r]
        is_replaced = not np.isnan(y_old)
        v = [model.rows[f][level].copy() for f, level in enumerate(levels)]
        x = intercept + sum(model.biases[f][level] for f, level in enumerate(levels)) + interactions(v)
        known = [model.sums[f][level] for f, level in enumerate(levels)]  # views
        for own in known:
            own[:PARTNERS] *= 1 - forgetting
        components = model.totals[0] * rank
        rule = rule._replace(mean_squares=model.square_sums / components if components > 0 else np.zeros(m))
        value, psi, kappa = judge_on_scale(loss, rule, y, x, intercept, unit)
        total += w * value

        less, squares, steps = w if is_replaced else 0.0, [], []
        for f, own in enumerate(known):
            left = max(
                (own[SQUARES] if rule.has_curvatures else rule.curvature * own[WEIGHTS]) - rule.curvature * less, 0
            )
            steps.append(gains(rule, f, max(own[WEIGHTS] - less, 0.0), left))
            squares.append(((sum(v) - v[f]) ** 2).sum() / unit)
        h = sum(k * square + k_bias for (k, k_bias), square in zip(steps, squares, strict=True))
        gained = y - psi if rule.has_curvatures else ((y - x) / unit) ** 2 / (1 + rule.curvature * h)
        if is_replaced:
            _, psi_old, _ = judge_on_scale(loss, rule, y_old, x, intercept, unit)
            psi -= psi_old
            gained = 0.0
        g = w * psi / (1 + w * kappa * h)
        n_added = 0.0 if is_replaced else w
        for f, level in enumerate(levels):
            k, k_bias = steps[f]
            moved = v[f] + g * k * (sum(v) - v[f])
            model.rows[f][level] = np.maximum(moved, 0) if rule.positive else moved
            model.biases[f][level] += g * k_bias * unit
            known[f][WEIGHTS] += n_added
            if f < 2 or rule.has_curvatures:
                known[f][SQUARES] = max(known[f][SQUARES] + w * gained, 0.0)
        model.square_sums += n_added * np.array(squares)
        model.totals += n_added, w * gained
        for f in range(2):
            if ratings.is_partner[r, f] and model.centers[f] is not None:
                gain_partner(model, rule, f, levels[f], levels[1 - f])
    return total


def judge_on_scale(loss, rule, y, x, intercept, unit):
    """Loss, psi and kappa of a rating and a score on the scale of y; of counts y is as it is."""
    if loss == "poisson":
        return judge(loss, rule.loss_offset, y, x - intercept)
    return judge(loss, rule.loss_parameter, (y - intercept) / unit, (x - intercept) / unit)


def gain_partner(model, rule, f, level, other):
    """The center of a level, a sum over its partners, gains one; the row moves by half of its share."""
    own, center = model.sums[f][level], model.centers[f][level].copy()
    of_partners = center * np.sqrt(own[PARTNERS]) + model.coefficients[f][other]
    own[PARTNERS] += 1
    model.centers[f][level] = of_partners / np.sqrt(own[PARTNERS])
    change = model.centers[f][level] - center
    n, (factors, bias) = own[WEIGHTS], rule.damping[f]
    k, k_bias = gains(rule, f, n, own[SQUARES] if rule.has_curvatures else rule.curvature * n)
    row = model.rows[f][level] + 0.5 * k * (rule.alpha * n + factors) * change[:-1]
    model.rows[f][level] = np.maximum(row, 0) if rule.positive else row
    model.biases[f][level] += 0.5 * k_bias * (rule.alpha_bias * n + bias) * change[-1]
