"""The kernel again, in slow and obvious NumPy, float64; and other plain restatements for the tests."""

import numpy as np


def interactions(rows):
    """sum_{f<g} <V_f, V_g> of the factor rows of one rating."""
    return sum(rows[f] @ rows[g] for g in range(len(rows)) for f in range(g))


def judge(loss, parameter, target, prediction):
    """Loss, psi = - d loss / d prediction, and kappa, the curvature that bounds steps; as in sgd_loss.h."""
    error = target - prediction
    if loss == "poisson":
        mu = np.exp(parameter + prediction)
        half_deviance = mu - target + (target * np.log(target / mu) if target > 0 else 0.0)
        return half_deviance, target - mu, max(mu, target)
    if loss == "absolute_error":
        return abs(error), np.sign(error), 1 / abs(error)
    if loss == "quantile":
        slope = parameter if error > 0 else parameter - 1
        return slope * error, slope, 1 / (2 * abs(error))
    if loss == "huber" and abs(error) > parameter:
        return parameter * (abs(error) - parameter / 2), parameter * np.sign(error), parameter / abs(error)
    return error**2 / 2, error, 1.0


def rating_objective(
    target, weight, rows, biases, damping, alpha, alpha_bias, centers=None, bias_centers=None, own=0.0,
    loss="squared_error", parameter=0.0,
):  # fmt: skip
    """One rating's share of the objective, as in sgd.h; ``damping`` has delta / n of factors and bias, by field."""
    value, _, _ = judge(loss, parameter, target, sum(biases) + interactions(rows) - own)
    centers = centers or [np.zeros_like(v) for v in rows]
    bias_centers = bias_centers or [0.0] * len(rows)
    penalty = sum((alpha + d) * (v - z) @ (v - z) for v, z, (d, _) in zip(rows, centers, damping, strict=True))
    penalty += sum((alpha_bias + d) * (b - z) ** 2 for b, z, (_, d) in zip(biases, bias_centers, damping, strict=True))
    return weight * (value + penalty / 2)


def update_block(
    index, target, weight, rows, biases, damping, step, alpha, alpha_bias, fit_bias,
    centers=None, bias_centers=None, ties=None, loss="squared_error", parameter=0.0, positive=False,
    pace=None, batch_kinds=(),
):  # fmt: skip
    """Visit the ratings, updating lists of tables in place; return the loss seen.

    ``centers`` and ``bias_centers``: one table a field, or None for zeros. ``ties``: those of users and of items.
    ``damping``: delta / n of factors and of the bias of each level, one table (n_levels, 2) a field.
    ``pace``: part of each step that a level takes, one array a field, or None for whole steps.
    ``batch_kinds``: of the first batches of four, as in sgd.h; the other ratings are visited one by one.
    """
    centers = centers or [np.zeros_like(table) for table in rows]
    bias_centers = bias_centers or [np.zeros_like(table) for table in biases]
    losses = []

    def begin(t):
        """The step of a rating, its psi and its s, by the rows as they are."""
        fields, y, w = index[t], target[t], weight[t]
        v = [table[level] for table, level in zip(rows, fields, strict=True)]
        b = [table[level] for table, level in zip(biases, fields, strict=True)]
        own = 0.0 if ties is None else ties[0][fields[0]] @ ties[1][fields[1]]
        value, psi, kappa = judge(loss, parameter, y, sum(b) + interactions(v) - own)
        losses.append(w * value)
        gradients = [sum(v) - row for row in v]
        curvature = kappa * (sum(g @ g for g in gradients) + fit_bias * len(v)) + (len(v) - 1) * abs(psi)
        return fields, step * w / (1 + step * w * curvature), psi, sum(v)

    def finish(begun):
        """Change the rows of ratings that are begun, one after another."""
        for fields, full, psi, s in begun:
            for f, level in enumerate(fields):
                eta, (delta, delta_bias) = full * (1.0 if pace is None else pace[f][level]), damping[f][level]
                kept, kept_bias = 1 / (1 + eta * (alpha + delta)), 1 / (1 + eta * (alpha_bias + delta_bias))
                v, b = rows[f][level], biases[f][level]
                rows[f][level] = kept * (v + eta * psi * (s - v)) + (1 - kept) * centers[f][level]
                if positive:
                    rows[f][level] = np.maximum(rows[f][level], 0)
                if fit_bias:
                    biases[f][level] = kept_bias * (b + eta * psi) + (1 - kept_bias) * bias_centers[f][level]

    begun = []
    for number in range(len(target) // 4 + 1):
        batch = range(4 * number, min(4 * number + 4, len(target)))
        kind = batch_kinds[number] if number < len(batch_kinds) else 2
        if kind > 0:
            finish(begun)
            begun = []
        if kind == 2:
            for t in batch:
                finish([begin(t)])
        else:
            now = [begin(t) for t in batch]
            finish(begun)
            begun = now
    finish(begun)
    return sum(losses)


def predict(index, rows, biases, intercept):
    """One rating at a time; levels below zero contribute nothing."""
    predictions = []
    for fields in index:
        known = [(f, level) for f, level in enumerate(fields) if level >= 0]
        v = [rows[f][level] for f, level in known]
        predictions.append(intercept + sum(biases[f][level] for f, level in known) + interactions(v))
    return np.array(predictions, dtype=np.float64)


def merge_ratings(indices, values, weights):
    """Canonical ratings by a dictionary: {(indices, value): summed weight}, sorted."""
    merged = {}
    for row, value, weight in zip(indices, values, weights, strict=True):
        if weight:
            key = (*map(int, row), float(value))
            merged[key] = merged.get(key, 0.0) + weight
    return sorted(merged.items())


def estimate_damping(users, items, t, w, max_sweeps=30, max_change=0.02):
    """Variance components by alternating means and a step of expectation-maximization a sweep, as in damping.py."""
    n_u, n_i = np.bincount(users, w), np.bincount(items, w)
    t = t - np.average(t, weights=w)
    bounds = 0.05, min(100.0, max(w.sum() / 10, 4.0))
    b_i, d = np.zeros(len(n_i)), (4.0, 4.0)
    for _ in range(max_sweeps):
        b_u = np.bincount(users, w * (t - b_i[items])) / (n_u + d[0])
        b_i = np.bincount(items, w * (t - b_u[users])) / (n_i + d[1])
        spent = (n_u / (n_u + d[0])).sum() + (n_i / (n_i + d[1])).sum()
        noise = (w * (t - b_u[users] - b_i[items]) ** 2).sum() / (w.sum() - spent)
        before = d
        d = tuple(
            float(np.clip(noise / (b**2 + noise / (n + old))[n > 0].mean(), *bounds))
            for b, n, old in ((b_u, n_u, d[0]), (b_i, n_i, d[1]))
        )
        if max(abs(new / old - 1) for new, old in zip(d, before, strict=True)) < max_change:
            break
    return d
