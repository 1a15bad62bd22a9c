"""Fit models under callgrind, which counts the instructions of each fit; instructions.py runs it.

python _instructions_worker.py LIBRARY NAME...    LIBRARY is _callgrind.c, compiled

Fits by the public interface only, so that it does not matter how the kernel is called. Ratings are made without the
package, whose own may change.
"""

import ctypes
import sys

import numpy as np
from _commit_worker import make

from sklearn_mf import MatrixFactorizationRegressor

N_RATINGS = 50_000
EPOCHS = 6, 8  # the cost of an epoch is the difference of two fits; after fewer, a fit evaluates its loss once more
RANKS = 16, 32, 64
KINDS = {"two columns": (2, None), "two columns, centers": (2, "both"), "three columns": (3, None)}
SHAPES = {f"{kind}, rank {rank}": (*of, rank) for kind, of in KINDS.items() for rank in RANKS}


def fit(X, y, n_columns, implicit_features, rank, epochs):
    """Fit once, without anything that is decided by what the ratings are."""
    model = MatrixFactorizationRegressor(
        rank, implicit_features=implicit_features, max_iter=epochs, damping=5.0, n_jobs=1, random_state=0
    )
    model.fit(X[:, :n_columns], y)


def main():
    library, *names = sys.argv[1:]
    calls = ctypes.CDLL(library)
    X, y = (rows[:N_RATINGS] for rows in make(100_000))
    X = np.column_stack([X, np.random.default_rng(1).integers(0, 50, len(y))])
    calls.start_counting()
    for name in names:
        for epochs in EPOCHS:
            fit(X, y, *SHAPES[name], epochs)
            calls.write_counts(f"{name}; {epochs}".encode())


if __name__ == "__main__":
    main()
