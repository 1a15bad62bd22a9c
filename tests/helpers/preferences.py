"""The objective of the ranker in slow and obvious NumPy, and pairs to fit it on."""

import numpy as np

from sklearn_mf import MatrixFactorizationRanker


def model(**parameters):
    return MatrixFactorizationRanker(
        **{"rank": 6, "max_iter": 5, "alpha": 0.01, "damping": 2.0, "random_state": 0, **parameters}
    )


def pairs(seed=0, n_users=60, n_items=40, n=900):
    """Pairs with groups of users who choose among groups of items, each once, and ratings."""
    rng = np.random.default_rng(seed)
    users = rng.integers(n_users, size=n)
    items = (users % 4 + 4 * rng.integers(n_items // 4, size=n)) % n_items
    elsewhere = rng.random(n) < 0.3
    items[elsewhere] = rng.integers(n_items, size=elsewhere.sum())
    X = np.unique(np.column_stack([users, items]), axis=0)
    X = X[rng.permutation(len(X))]
    return X, rng.integers(1, 6, size=len(X)).astype(float)


def weight_matrix(X, weights, n_users, n_items):
    """Summed weight of each pair, divided by the mean over pairs that are there."""
    table = np.zeros((n_users, n_items))
    for (user, item), weight in zip(X, np.ones(len(X)) if weights is None else weights, strict=True):
        table[user, item] += weight
    return table / table[table > 0].mean()


def ridges(table, axis, fitted):
    """Strengths of the rows of one side: alpha (n + w0 n_other) + damping."""
    return (
        fitted.alpha * (table.sum(axis=1 - axis) + unobserved(table, fitted) * table.shape[1 - axis]) + fitted.damping
    )


def unobserved(table, fitted):
    """Weight of each pair: that of all together relative to those that are there."""
    return fitted.unobserved_weight * (table > 0).sum() / table.size


def objective(table, fitted, users, items):
    scores = users @ items.T
    total = np.sum(table * (1 - scores) ** 2) + unobserved(table, fitted) * np.sum(scores**2)
    total += ridges(table, 0, fitted) @ np.sum(users**2, axis=1)
    return total + ridges(table, 1, fitted) @ np.sum(items**2, axis=1)


def solve_row(weights, other, ridge, w0):
    """The exact row of one user, from the weights of all items and the rows of these."""
    matrix = w0 * other.T @ other + (other.T * weights) @ other + ridge * np.eye(other.shape[1])
    return np.linalg.solve(matrix, other.T @ weights)
