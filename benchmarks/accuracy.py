"""RMSE and seconds on real ratings: biases only, the defaults, the best setting that the docs give.

python benchmarks/accuracy.py [--n-jobs 1]
"""

import argparse
import time

import numpy as np
from _real import real_sets, rmse

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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-jobs", type=int, default=1)
    n_jobs = parser.parse_args().n_jobs
    print("| set | mean | " + " | ".join(SETTINGS) + " |\n|---|---|" + "---|" * len(SETTINGS))
    for name, X, y, splits in real_sets():
        constant = np.mean([rmse(y[train].mean(), y[test]) for train, test in splits])
        cells = []
        for parameters in SETTINGS.values():
            score, seconds = measure(X, y, splits, n_jobs=n_jobs, **parameters)
            cells.append(f"{score:.4f}, {seconds:.2f} s")
        print(f"| {name} | {constant:.4f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
