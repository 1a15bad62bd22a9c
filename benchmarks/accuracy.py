"""What each part of the model brings on real ratings: test RMSE and seconds of a whole fit.

    python benchmarks/accuracy.py [--n-jobs 1] [--seeds 8]

A column for each set, with ml-100k and ml-1m once more with the film's year and genres as columns of X. With --seeds,
the last rows have the mean of the RMSEs of that many models of other seeds, and the RMSE of their mean.
"""

import argparse
import time

import numpy as np
from _real import BEST, film_context, real_sets, rmse
from sklearn.ensemble import BaggingRegressor

from sklearn_mf import MatrixFactorizationRegressor

# Each part with the penalty that is best for it on the four sets together, on held-out training rows.
PARTS = {
    "mean of the ratings": None,
    "biases": {"rank": 0, "implicit_features": None},
    "biases, centers of both": {"rank": 0},
    "biases, factors": {"implicit_features": None, "alpha": 0.04},
    "biases, factors, centers of users": {"implicit_features": "user", "alpha": 0.05},
    "biases, factors, centers of items": {"implicit_features": "item", "alpha": 0.06},
    "**defaults**: centers of both": {},
    "the same without centers": {"implicit_features": None},
    "rank 64": {"rank": 64},
    "rank 64, 30 epochs, alpha 0.1": {"rank": 64, "max_iter": 30, "alpha": 0.1},
    "**best**: " + ", ".join(f"{name} {value}" for name, value in BEST.items()): BEST,
}


def measure(X, y, splits, parameters, n_jobs):
    """Give the mean test RMSE over the splits and the median seconds of a fit."""
    if parameters is None:
        return np.mean([rmse(y[train].mean(), y[test]) for train, test in splits]), 0.0
    scores, seconds = [], []
    for train, test in splits:
        model = MatrixFactorizationRegressor(random_state=0, n_jobs=n_jobs, **parameters)
        start = time.perf_counter()
        model.fit(X[train], y[train])
        seconds.append(time.perf_counter() - start)
        scores.append(rmse(model.predict(X[test]), y[test]))
    return np.mean(scores), np.median(seconds)


def measure_seeds(X, y, splits, parameters, n_jobs, n_seeds):
    """Give means over the splits: the models' mean RMSE, the RMSE of their mean prediction, the seconds of a split."""
    scores, start = [], time.perf_counter()
    for train, test in splits:
        model = MatrixFactorizationRegressor(n_jobs=n_jobs, **parameters)
        bagging = BaggingRegressor(model, n_seeds, bootstrap=False, random_state=0).fit(X[train], y[train])
        singles = [rmse(model.predict(X[test]), y[test]) for model in bagging.estimators_]
        scores.append((np.mean(singles), rmse(bagging.predict(X[test]), y[test])))
    return (*np.mean(scores, axis=0), (time.perf_counter() - start) / len(splits))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=0)
    arguments = parser.parse_args()
    sets = list(real_sets())
    sets += [(f"{name}, year, genres", film_context(name, X), y, splits) for name, X, y, splits in sets[:2]]
    print("| | " + " | ".join(name for name, *_ in sets) + " |\n|---|" + "---|" * len(sets))
    for part, parameters in PARTS.items():
        found = [measure(X, y, splits, parameters, arguments.n_jobs) for _, X, y, splits in sets]
        print(
            f"| {part} | " + " | ".join(f"{score:.4f}, {seconds:.2f} s" for score, seconds in found) + " |", flush=True
        )
    for name, parameters in (("defaults", {}), ("best", BEST)) if arguments.seeds else ():
        found = [measure_seeds(X, y, splits, parameters, arguments.n_jobs, arguments.seeds) for _, X, y, splits in sets]
        cells = [f"{mean:.4f} (each: {single:.4f}), {seconds:.2f} s" for single, mean, seconds in found]
        print(f"| {name}, mean of {arguments.seeds} seeds | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
