"""RMSE and seconds on real ratings: biases only, the defaults, the best setting that the docs give.

python benchmarks/accuracy.py [--n-jobs 1] [--seeds 8]

With --seeds, a last column has the mean of the RMSEs of that many models with the defaults, and the RMSE of their mean.
"""

import argparse
import time

import numpy as np
from _real import real_sets, rmse
from sklearn.ensemble import BaggingRegressor

from sklearn_mf import MatrixFactorizationRegressor

SETTINGS = {
    "biases only": {"rank": 0},
    "defaults": {},
    "rank 128": {"rank": 128},
}


def measure(X, y, splits, **parameters):
    """Mean test RMSE over the splits and median seconds of a fit."""
    scores, seconds = [], []
    for train, test in splits:
        model = MatrixFactorizationRegressor(random_state=0, **parameters)
        start = time.perf_counter()
        model.fit(X[train], y[train])
        seconds.append(time.perf_counter() - start)
        scores.append(rmse(model.predict(X[test]), y[test]))
    return np.mean(scores), np.median(seconds)


def measure_seeds(X, y, splits, n_seeds):
    """Mean over the splits of the models' mean RMSE, and of the RMSE of their mean prediction."""
    scores = []
    for train, test in splits:
        bagging = BaggingRegressor(MatrixFactorizationRegressor(), n_seeds, bootstrap=False, random_state=0)
        bagging.fit(X[train], y[train])
        singles = [rmse(model.predict(X[test]), y[test]) for model in bagging.estimators_]
        scores.append((np.mean(singles), rmse(bagging.predict(X[test]), y[test])))
    return np.mean(scores, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=0)
    arguments = parser.parse_args()
    columns = ["set", "mean", *SETTINGS] + [f"mean of {arguments.seeds} seeds"] * bool(arguments.seeds)
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for name, X, y, splits in real_sets():
        constant = np.mean([rmse(y[train].mean(), y[test]) for train, test in splits])
        cells = []
        for parameters in SETTINGS.values():
            score, seconds = measure(X, y, splits, n_jobs=arguments.n_jobs, **parameters)
            cells.append(f"{score:.4f}, {seconds:.2f} s")
        if arguments.seeds:
            single, mean = measure_seeds(X, y, splits, arguments.seeds)
            cells.append(f"{mean:.4f} (each: {single:.4f})")
        print(f"| {name} | {constant:.4f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
