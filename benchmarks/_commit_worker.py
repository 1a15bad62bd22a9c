"""Run one benchmark of an installed sklearn_mf, by the public interface only, so that old commits can run it too.

    python _commit_worker.py [NAME]

It is run by commits.py and prints {"seconds", "rmse"} as its last line, or the names when none is given. Ratings are
made here and not by the package, whose own may change from commit to commit.
"""

import json
import statistics
import sys
import time

import numpy as np

from sklearn_mf import MatrixFactorizationRegressor

SHAPES = {100_000: (943, 1_682), 1_000_000: (6_040, 3_706), 10_000_000: (70_000, 10_700)}
N_CALLS = 1_000  # predictions of one row, timed together


def make(n_ratings, seed=0):
    """Make X and y: users and items with a long tail, ratings from a model of rank 10 with noise."""
    rng = np.random.default_rng(seed)
    shape = SHAPES[n_ratings]
    X = np.column_stack([(n * rng.random(n_ratings) ** 2).astype(np.int64) for n in shape])
    U, V = (rng.standard_normal((n, 10)) for n in shape)
    y = 3.5 + 0.3 * np.einsum("ij,ij->i", U[X[:, 0]], V[X[:, 1]]) + 0.5 * rng.standard_normal(n_ratings)
    return X, np.clip(y, 1, 5)


def rmse(a, b):
    return float(np.sqrt(np.mean((a - b) ** 2)))


def split(X, y):
    """Hold out the last tenth; rows are in random order already."""
    n = len(y) // 10
    return X[:-n], y[:-n], X[-n:], y[-n:]


def median_seconds(function, repeats):
    function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def fit(n_ratings=1_000_000, change=lambda X: X, weights=None, **parameters):
    """Time whole fits. ``change`` puts other ids or columns in X, ``weights`` gives the weights of n rows."""
    X, y = make(n_ratings)
    X, y, X_test, y_test = split(change(X), y)
    model = MatrixFactorizationRegressor(random_state=0, **parameters)
    arguments = () if weights is None else (weights(len(y)),)
    repeats = 5 if n_ratings < 1_000_000 else 1
    seconds = median_seconds(lambda: model.fit(X, y, *arguments), repeats)
    return seconds, rmse(model.predict(X_test), y_test)


def predict(one_row=False):
    X, y = make(1_000_000)
    X_train, y_train, X_test, y_test = split(X, y)
    model = MatrixFactorizationRegressor(random_state=0).fit(X_train, y_train)
    if one_row:
        seconds = median_seconds(lambda: [model.predict(X_test[i : i + 1]) for i in range(N_CALLS)], 3)
    else:
        seconds = median_seconds(lambda: model.predict(X), 3)
    return seconds, rmse(model.predict(X_test), y_test)


def with_context(X):
    return np.column_stack([X, np.random.default_rng(1).integers(0, 50, len(X))])


def as_text(X):
    """Turn codes into ids of 12 characters, as objects."""
    levels = np.array([f"{i:012d}" for i in range(X.max() + 1)], dtype=object)
    return levels[X]


def random_weights(n):
    return np.random.default_rng(2).integers(1, 4, n).astype(np.float64)


BENCHMARKS = {
    "fit, 100,000 ratings": lambda: fit(100_000),
    "fit, 1,000,000 ratings": fit,
    "fit, 1,000,000 ratings, 2 threads": lambda: fit(n_jobs=2),
    "fit, 1,000,000 ratings, rank 8": lambda: fit(rank=8),
    "fit, 1,000,000 ratings, rank 64": lambda: fit(rank=64),
    "fit, 1,000,000 ratings, three columns": lambda: fit(change=with_context),
    "fit, 1,000,000 ratings, weighted": lambda: fit(weights=random_weights),
    "fit, 1,000,000 ratings, text ids": lambda: fit(change=as_text),
    "predict, 1,000,000 pairs": predict,
    f"predict, one row, {N_CALLS:,} times": lambda: predict(one_row=True),
    "fit, 10,000,000 ratings": lambda: fit(10_000_000),
}


def main():
    if len(sys.argv) < 2:
        print(json.dumps(list(BENCHMARKS)))
        return
    seconds, error = BENCHMARKS[sys.argv[1]]()
    print(json.dumps({"seconds": seconds, "rmse": error}))


if __name__ == "__main__":
    main()
