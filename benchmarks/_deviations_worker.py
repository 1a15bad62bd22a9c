"""Predict ratings with deviations from samples of myFM; deviations.py runs it in the environment of myFM.

    python _deviations_worker.py FOLDER RANK ITERATIONS SAMPLES

Users and items of the test part that have no training rating are levels too: their rows are samples of what myFM takes
rows to be before it has seen a rating.
"""

import sys
import time
from pathlib import Path

import numpy as np
from _library_adapters import one_hot
from myfm import MyFMRegressor


def main():
    folder, rank, n_iterations, n_samples = Path(sys.argv[1]), *map(int, sys.argv[2:])
    X, y, X_test, n_levels = (np.load(folder / f"{name}.npy") for name in ("X_train", "y_train", "X_test", "n_levels"))
    model, noises = MyFMRegressor(rank, random_seed=0), []
    n_levels = n_levels.tolist()

    def keep_noise(iteration, state, hyper, history):
        noises.append(1.0 / hyper.alpha)
        return False, None

    start = time.perf_counter()
    model.fit(
        one_hot(X, n_levels), y, n_iter=n_iterations, n_kept_samples=n_samples, group_shapes=n_levels,
        callback=keep_noise,
    )  # fmt: skip
    fitted = time.perf_counter()
    users, items = X_test[:, 0], n_levels[0] + X_test[:, 1]
    total, squares, samples = np.zeros(len(users)), np.zeros(len(users)), model.predictor_.samples
    for sample in samples:
        score = sample.w0 + sample.w[users] + sample.w[items] + np.einsum("ij,ij->i", sample.V[users], sample.V[items])
        total += score
        squares += score**2
    mean = total / len(samples)
    variance = squares / len(samples) - mean**2 + np.mean(noises[-len(samples) :])
    np.save(folder / "y_pred.npy", mean)
    np.save(folder / "y_std.npy", np.sqrt(variance))
    done = time.perf_counter()
    print(f"{len(samples)} samples: fit {fitted - start:.1f} s, predictions {done - fitted:.1f} s")


if __name__ == "__main__":
    main()
