"""Ratings a second inside the training loop, two columns, float32, one thread (and more with --n-jobs).

    python benchmarks/throughput.py [--rank 32] [--n-jobs 1 2] [--ratings 10000000]

Times the epochs only: ids, ordering and the grid are printed beside them. Each figure is the median over the epochs of
alternating runs, with the RMSE on a held-out tenth.
"""

import argparse
import time

import numpy as np
from _real import rmse, tenth

import sklearn_mf._regressor as regressor
from sklearn_mf import MatrixFactorizationRegressor, _kernels
from sklearn_mf.datasets import make_ratings

SIZES = {100_000: (943, 1_682), 1_000_000: (6_040, 3_706), 10_000_000: (70_000, 10_700)}


def fit_timed(X, y, rank, n_jobs):
    """Fit, and return the model, the seconds of each epoch and of the whole fit."""
    ends = []
    train = regressor.train

    def train_timed(*arguments):
        ends.append(time.perf_counter())
        return train(*arguments[:-1], lambda epoch, step, loss: ends.append(time.perf_counter()))

    regressor.train = train_timed
    start = time.perf_counter()
    try:
        model = MatrixFactorizationRegressor(rank, n_jobs=n_jobs, random_state=0).fit(X, y)
    finally:
        regressor.train = train
    return model, np.diff(ends), time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--n-jobs", type=int, nargs="+", default=[1])
    parser.add_argument("--ratings", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(f"kernel: {_kernels.SIMD}; rank {arguments.rank}, 20 epochs\n")
    print(
        "| ratings | threads | million ratings/s in the loop | epochs, s | whole fit, s | test RMSE |\n"
        + "|---" * 6
        + "|"
    )
    for n_ratings in arguments.ratings:
        n_users, n_items = SIZES.get(n_ratings, (n_ratings // 140, n_ratings // 900))
        X, y = make_ratings(n_users, n_items, n_ratings, rank=10, random_state=0, return_X_y=True)
        rows, test = tenth(n_ratings)
        runs = {n_jobs: [] for n_jobs in arguments.n_jobs}
        for _ in range(arguments.repeats):
            for n_jobs in arguments.n_jobs:
                model, epochs, whole = fit_timed(X[rows], y[rows], arguments.rank, n_jobs)
                runs[n_jobs].append((np.median(epochs), epochs.sum(), whole, rmse(model.predict(X[test]), y[test])))
        for n_jobs, figures in runs.items():
            epoch, loop, whole, error = np.median(figures, axis=0)
            speed = len(rows) / epoch / 1e6
            print(f"| {n_ratings:,} | {n_jobs} | {speed:.0f} | {loop:.2f} | {whole:.2f} | {error:.4f} |", flush=True)


if __name__ == "__main__":
    main()
