"""Early stopping against the best max_iter, which is chosen on the test ratings (for this comparison only).

    python benchmarks/early_stopping.py [--n-jobs 1] [--max-iter 200] [--seed 0]

Without a refit: nine tenths of the training rows, stopped by the other tenth (X_val), against the best max_iter on the
same nine tenths. With a refit: all training rows. Test RMSE, epochs and processor seconds of a whole fit; ml-100k:
means of five folds, and the max_iter that is best for all of them.

The last table is for later ratings: the first nine tenths by time are for training and the last tenth is for the test.
RMSE on all of its ratings, and on those whose user and item are known; means of three seeds.
"""

import argparse
import time

import numpy as np
from _real import FILES, FOLDER, rating_sets, real_sets, rmse, tenth

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import load_ratings

LENGTHS = [5, 7, 10, 14, 20, 28, 40, 56, 80, 113, 160]


def measure(X, y, splits, parameters, validation="none"):
    """Give the RMSE, the epochs and the seconds of a fit, means over the splits."""
    rows = []
    for train, test in splits:
        kept, held = tenth(len(train), seed=1)
        given = {} if validation != "given" else {"X_val": X[train[held]], "y_val": y[train[held]]}
        part = train if validation == "none" else train[kept]
        start = time.process_time()
        model = MatrixFactorizationRegressor(**parameters).fit(X[part], y[part], **given)
        seconds = time.process_time() - start
        rows.append((rmse(model.predict(X[test]), y[test]), model.n_iter_, seconds))
    return np.mean(rows, axis=0)


def best_length(X, y, splits, parameters, validation="none"):
    measured = {n: measure(X, y, splits, {**parameters, "max_iter": n}, validation) for n in LENGTHS}
    return min(measured.values(), key=lambda row: row[0])


def line(name, setting, row, reference=None):
    gap = "" if reference is None else f"{100 * (row[0] / reference[0] - 1):+.2f} %"
    print(f"| {name} | {setting} | {row[1]:.0f} | {row[2]:.2f} | {row[0]:.4f} | {gap} |", flush=True)


def later_ratings(name, settings):
    """Print a line for each setting (name: parameters), on the last tenth of a set by time."""
    ratings = load_ratings(FOLDER / name / FILES[name])
    train, test = np.split(np.argsort(ratings.times, kind="stable"), [-(len(ratings.times) // 10)])
    X, y = ratings.data, ratings.target
    known = test[np.all([np.isin(X[test, c], X[train, c]) for c in (0, 1)], axis=0)]
    for setting, parameters in settings.items():
        models = [
            MatrixFactorizationRegressor(**{**parameters, "random_state": seed}).fit(X[train], y[train])
            for seed in range(3)
        ]
        errors = [np.mean([rmse(model.predict(X[rows]), y[rows]) for model in models]) for rows in (test, known)]
        print(f"| {name} | {setting} | {errors[0]:.4f} | {errors[1]:.4f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--max-iter", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    base = {"random_state": arguments.seed, "n_jobs": arguments.n_jobs}
    stopping = {**base, "early_stopping": True, "max_iter": arguments.max_iter}
    print("| set | setting | epochs | s | RMSE | against the best max_iter |\n|---|---|---|---|---|---|")
    biases = {**base, "rank": 0, "implicit_features": None}
    yelp = [(name, X, y, [(train, tests[name])]) for name, X, y, train, tests in rating_sets(["yelp"])]
    for name, X, y, splits in [*real_sets(), *yelp]:
        line(name, "biases only", measure(X, y, splits, biases))
        line(name, "defaults", measure(X, y, splits, base))
        best = best_length(X, y, splits, base, "left out")
        line(name, "nine tenths, best max_iter", best)
        line(name, "nine tenths, early stopping by the other", measure(X, y, splits, stopping, "given"), best)
        best = best_length(X, y, splits, base)
        line(name, "all, best max_iter", best)
        line(name, "all, early stopping and a refit", measure(X, y, splits, stopping), best)
        line(name, "all, early stopping with max_iter=20", measure(X, y, splits, {**stopping, "max_iter": 20}), best)
        line(name, "all, tol=1e-3", measure(X, y, splits, {**base, "tol": 1e-3, "max_iter": 200}), best)
    print("\n| set | setting | RMSE on later ratings | known users and items |\n|---|---|---|---|")
    settings = {"biases only": biases, "defaults": base, "60 epochs": {**base, "max_iter": 60}, "stopping": stopping}
    for name in [name for name in FILES if name != "ml-1m"]:  # users of ml-1m rated all at once
        later_ratings(name, settings)


if __name__ == "__main__":
    main()
