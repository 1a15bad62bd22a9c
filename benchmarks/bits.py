"""Hashes of what fits learn, to show that a change leaves every bit as it was.

    python benchmarks/bits.py record FILE
    python benchmarks/bits.py check FILE

Each fit runs on one thread and on two, under every instruction set of this processor; a hash covers factors, biases and
predictions. Hashes compare builds by one compiler only: another one may give other last bits. Public interface only,
so that old commits can be recorded too.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRegressor

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
N_USERS, N_ITEMS, N_RATINGS = 400, 250, 20_000


def make_table(n_columns=2, n_ratings=N_RATINGS, seed=0):
    """(X, y), with a long tail of users and items and some pairs rated twice."""
    rng = np.random.default_rng(seed)
    sizes = [N_USERS, N_ITEMS, 12, 5][:n_columns]
    X = np.column_stack([(n * rng.random(n_ratings) ** 2).astype(np.int64) for n in sizes])
    U, V = rng.standard_normal((N_USERS, 4)), rng.standard_normal((N_ITEMS, 4))
    y = 3.5 + 0.4 * np.einsum("ij,ij->i", U[X[:, 0]], V[X[:, 1]]) + 0.5 * rng.standard_normal(n_ratings)
    return X, np.round(np.clip(y, 1, 5) * 2) / 2


def make_weights(n):
    return np.random.default_rng(1).integers(0, 4, n) / 2.0


def learned(model, X):
    return [*model.factors_, *model.biases_, np.float64(model.intercept_), model.predict(X)]


def fit(n_columns=2, weighted=False, change=lambda y: y, n_ratings=N_RATINGS, **parameters):
    """A function of the number of threads that gives the arrays of a fit."""

    def run(n_jobs):
        X, y = make_table(n_columns, n_ratings)
        weights = make_weights(len(y)) if weighted else None
        model = MatrixFactorizationRegressor(random_state=0, n_jobs=n_jobs, **{"max_iter": 8, **parameters})
        return learned(model.fit(X, change(y), weights), X)

    return run


def fit_and_validate(n_jobs):
    X, y = make_table()
    model = MatrixFactorizationRegressor(rank=8, max_iter=30, early_stopping=True, random_state=0, n_jobs=n_jobs)
    model.fit(X[:15_000], y[:15_000], X_val=X[15_000:], y_val=y[15_000:])
    return [*learned(model, X), np.array(model.validation_scores_), np.array(model.loss_curve_)]


def warm_start(n_jobs):
    X, y = make_table(3)
    model = MatrixFactorizationRegressor(rank=8, max_iter=4, warm_start=True, random_state=0, n_jobs=n_jobs)
    return learned(model.fit(X[:10_000], y[:10_000]).fit(X, y), X)


def partial_fit(first, **parameters):
    def run(n_jobs):
        X, y = make_table()
        model = MatrixFactorizationRegressor(**{"rank": 8, "random_state": 0, "n_jobs": n_jobs, **parameters})
        known = (X[:, 0] < 300) & (X[:, 1] < 200)  # ids that come later are new
        getattr(model, first)(X[known], y[known])
        for part in np.array_split(np.flatnonzero(~known), 3):
            model.partial_fit(X[part], y[part], make_weights(len(part)) + 0.5)
        return [*learned(model, X), np.array(model.loss_curve_)]

    return run


def fold_in(**parameters):
    def run(n_jobs):
        X, y = make_table(3 if parameters.get("rank") == 6 else 2)
        model = MatrixFactorizationRegressor(**{"rank": 8, "random_state": 0, "n_jobs": n_jobs, **parameters})
        is_new = X[:, 0] >= 350
        X_new, y_new = X[is_new], y[is_new]
        model.fit(X[~is_new], y[~is_new])
        usable = np.isin(X_new[:, 1], X[~is_new][:, 1])
        model.fold_in(X_new[usable], y_new[usable], make_weights(int(usable.sum())) + 0.5)
        model.fold_in(X[:500], y[:500], update_known=True)
        return learned(model, X)

    return run


def encode(n_jobs):
    X, y = make_table()
    regressor = MatrixFactorizationRegressor(rank=5, max_iter=5, n_jobs=n_jobs)
    encoder = MatrixFactorizationEncoder(regressor, random_state=0)
    return [encoder.fit_transform(X, y), encoder.transform(X)]


def lists(n_jobs):
    X, y = make_table()
    model = MatrixFactorizationRegressor(rank=8, max_iter=5, random_state=0, n_jobs=n_jobs).fit(X, y)
    found = [*model.recommend(np.arange(N_USERS), 10, exclude=X), *model.recommend([3, 5], 7)]
    found += [*model.similar_items(np.arange(50), 5), *model.similar_users([1, 2], 5)]
    return [*found, *model.explain(X[:2_000]).values()]


FITS = {
    "defaults": fit(),
    "600,000 ratings, weights": fit(n_ratings=600_000, weighted=True, max_iter=2, early_stopping=True),
    "no centers": fit(implicit_features=None, alpha=0.04),
    "centers of users": fit(implicit_features="user", rank=16),
    "centers of items": fit(implicit_features="item", rank=5),
    "rank 64": fit(rank=64, max_iter=4),
    "biases only": fit(rank=0),
    "plain product": fit(fit_bias=False, implicit_features=None, rank=8),
    "three columns": fit(n_columns=3, rank=8),
    "four columns, no centers, weights": fit(n_columns=4, weighted=True, implicit_features=None, rank=8),
    "weights": fit(weighted=True, rank=8),
    "absolute error": fit(loss="absolute_error", rank=8),
    "huber": fit(loss="huber", rank=8),
    "quantile": fit(loss="quantile", quantile=0.8, rank=8),
    "poisson": fit(loss="poisson", change=np.floor, rank=8, learning_rate=0.1),
    "positive": fit(positive=True, rank=8),
    "positive, three columns, no biases": fit(positive=True, fit_bias=False, n_columns=3, rank=8),
    "early stopping and refit": fit(early_stopping=True, max_iter=30, rank=8),
    "early stopping, weights, huber": fit(early_stopping=True, max_iter=30, rank=8, weighted=True, loss="huber"),
    "early stopping on given ratings": fit_and_validate,
    "tol": fit(tol=1e-3, max_iter=30, rank=8, schedule="invscaling"),
    "a step that diverges": fit(learning_rate=1e3, implicit_features=None, alpha=0.0, damping=0.0),
    "warm start, three columns": warm_start,
    "partial_fit after fit": partial_fit("fit"),
    "partial_fit from the start": partial_fit("partial_fit", schedule="invscaling"),
    "partial_fit, poisson, positive": partial_fit("fit", loss="poisson", positive=True, learning_rate=0.05),
    "fold_in": fold_in(),
    "fold_in, three columns": fold_in(rank=6),
    "fold_in, no biases, no centers": fold_in(fit_bias=False, implicit_features=None),
    "encoder": encode,
    "recommend, similar rows, explain": lists,
}


def digest(arrays):
    found = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()[:16]


def hashes():
    """{fit: hash}; a fit whose bits depend on the number of threads has both."""
    found = {}
    for name, run in FITS.items():
        one, two = digest(run(1)), digest(run(2))
        found[name] = one if one == two else f"{one} on one thread, {two} on two"
    return found


def hashes_by_instruction_set():
    found = {}
    for simd in INSTRUCTION_SETS:
        environment = {**os.environ, "SKLEARN_MF_SIMD": simd}
        command = [sys.executable, "-W", "ignore", __file__, "one"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            found[simd] = json.loads(done.stdout)
        elif "is not available" not in done.stderr:
            raise SystemExit(done.stderr)
        else:
            print(f"left out, not on this processor: {simd}", file=sys.stderr)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["record", "check", "one"])
    parser.add_argument("file", nargs="?", type=Path)
    arguments = parser.parse_args()
    if arguments.action == "one":
        print(json.dumps(hashes()))
        return
    found = hashes_by_instruction_set()
    if arguments.action == "record":
        arguments.file.write_text(json.dumps(found, indent=1) + "\n")
        return
    recorded = json.loads(arguments.file.read_text())
    changed = [
        f"{simd}: {name}: {recorded[simd].get(name)} -> {value}"
        for simd, values in found.items()
        for name, value in values.items()
        if recorded.get(simd, {}).get(name) != value
    ]
    print(f"{sum(map(len, found.values()))} hashes, {len(changed)} changed")
    if changed:
        raise SystemExit("\n".join(changed))


if __name__ == "__main__":
    main()
