"""The kernel again, in slow and obvious NumPy, float64; and other plain restatements for the tests."""

import numpy as np


def interactions(rows):
    """sum_{f<g} <V_f, V_g> of the factor rows of one rating."""
    return sum(rows[f] @ rows[g] for g in range(len(rows)) for f in range(g))


def rating_objective(target, weight, rows, biases, damping, alpha, alpha_bias):
    """One rating's share of the objective, as in sgd.h."""
    error = target - sum(biases) - interactions(rows)
    penalty = sum((alpha + d) * v @ v for v, d in zip(rows, damping, strict=True))
    penalty += sum((alpha_bias + d) * b**2 for b, d in zip(biases, damping, strict=True))
    return weight / 2 * (error**2 + penalty)


def update_block(index, target, weight, rows, biases, damping, step, alpha, alpha_bias, fit_bias):
    """Visit the ratings one by one, updating lists of tables in place; return the loss seen."""
    loss = 0.0
    for fields, y, w in zip(index, target, weight, strict=True):
        v = [table[level].copy() for table, level in zip(rows, fields, strict=True)]
        b = [table[level] for table, level in zip(biases, fields, strict=True)]
        lam = [table[level] for table, level in zip(damping, fields, strict=True)]
        error = y - sum(b) - interactions(v)
        loss += w / 2 * error**2
        gradients = [sum(v) - row for row in v]
        curvature = sum(g @ g for g in gradients) + fit_bias * len(v) + (len(v) - 1) * abs(error)
        curvature += max(alpha, fit_bias * alpha_bias) + max(lam)
        eta = step * w / (1 + step * w * curvature)
        for f, level in enumerate(fields):
            rows[f][level] += eta * (error * gradients[f] - (alpha + lam[f]) * v[f])
            biases[f][level] += fit_bias * eta * (error - (alpha_bias + lam[f]) * b[f])
    return loss


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
