"""Test RMSE on ten sets of real ratings: the defaults, biases only, the estimated damping of biases, other libraries.

    python benchmarks/ten_sets.py [--sets ml-1m coat ...] [--parts defaults best biases libraries]

A random tenth of the ratings is held out. Flixster has its published split, and ml-100k is there twice, the second time
with its published split u1. Of coat a tenth of the ratings that people chose is held out; the ratings of items drawn at
random are a second test. All fits use one thread. Figures of this project are means over six seeds (one seed on the
three largest sets), its seconds the median of a fit.

defaults    the defaults, and `rank=0`; on steam-hours, whose ratings are hours played, also D² with the Poisson loss
best        the best setting that is known for the first four sets together
biases      the damping of biases that is estimated, against the best of 64 pairs, chosen on a tenth of the training
            rows; without factors and without implicit features
libraries   scikit-surprise's SVD, cornac's MF and myFM, each with its own defaults (of myFM rank 10 and 200
            iterations), in the environments of libraries.py; predictions are clipped to the range of the training
            ratings
"""

import argparse
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
from _environments import CACHE, ensure
from _real import BEST, RATING_SETS, rating_sets, rmse, tenth
from libraries import fit_once
from sklearn.metrics import d2_tweedie_score

from sklearn_mf import MatrixFactorizationRegressor

LARGE = {"ml-1m", "yelp", "steam-hours"}  # one seed is enough
N_SEEDS = 6
DAMPINGS = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
BIASES = {"rank": 0, "implicit_features": None}
# The name of each library in the tables, and the rank and the epochs that it has by default.
LIBRARIES = {"surprise": ("surprise SVD", 100, 20), "cornac": ("cornac MF", 10, 20), "myfm": ("myFM", 10, 200)}
TIMEOUT = 1200.0


def fit(X, y, train, seed=0, **parameters):
    """Fit the training rows on one thread."""
    return MatrixFactorizationRegressor(random_state=seed, n_jobs=1, **parameters).fit(X[train], y[train])


def measure(name, X, y, train, tests, **parameters):
    """Give the test RMSEs by the name of the test, means over the seeds, and the median seconds of a fit."""
    scores, seconds = [], []
    for seed in range(1 if name in LARGE else N_SEEDS):
        start = time.perf_counter()
        model = fit(X, y, train, seed, **parameters)
        seconds.append(time.perf_counter() - start)
        scores.append([rmse(model.predict(X[rows]), y[rows]) for rows in tests.values()])
    return dict(zip(tests, np.mean(scores, axis=0).tolist(), strict=True)), float(np.median(seconds))


def table(title, columns, lines):
    """Print a table."""
    print(f"\n{title}\n\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for cells in lines:
        print("| " + " | ".join(cells) + " |")
    sys.stdout.flush()


def relative(a, b):
    """Write how much higher ``a`` is than ``b``."""
    return f"{100 * (a / b - 1):+.2f} %"


def defaults(sets):
    """Print the RMSE and the seconds of the defaults and of biases alone."""
    lines = []
    for name, X, y, train, tests in sets:
        (found, seconds), (biases, of_biases) = (measure(name, X, y, train, tests, **p) for p in ({}, {"rank": 0}))
        for test, score in found.items():
            cells = f"{score:.4f}", f"{biases[test]:.4f}", relative(score, biases[test])
            times = f"{seconds:.3f}", f"{of_biases:.3f}"
            lines.append([test, f"{len(train):,}", *cells, *times])
            if test == "coat, random part":
                print(f"coat, random part, MSE: defaults {score**2:.4f}, rank=0 {biases[test] ** 2:.4f}")
        if name == "steam-hours":
            model = fit(X, y, train, loss="poisson")
            score = d2_tweedie_score(y[tests[name]], model.predict(X[tests[name]]), power=1)
            print(f'steam-hours, D² with loss="poisson": {score:.4f}')
    columns = ["set", "training ratings", "defaults", "`rank=0`", "defaults against it", "defaults, s", "`rank=0`, s"]
    table("Test RMSE of the defaults", columns, lines)


def best(sets):
    """Print the RMSE and the seconds of the best setting."""
    lines = []
    for name, X, y, train, tests in sets:
        found, seconds = measure(name, X, y, train, tests, **BEST)
        lines += [[test, f"{score:.4f}", f"{seconds:.2f}"] for test, score in found.items()]
    table(", ".join(f"{name}={value}" for name, value in BEST.items()), ["set", "RMSE", "s"], lines)


def best_pair(X, y, train):
    """Find the pair of dampings whose biases predict a tenth of the training rows best."""
    kept, held = (train[rows] for rows in tenth(len(train), seed=1))

    def error(pair):
        return rmse(fit(X, y, kept, damping=pair, **BIASES).predict(X[held]), y[held])

    return min(product(DAMPINGS, repeat=2), key=error)


def biases(sets):
    """Print the estimated damping and the best pair, and what biases with each of them predict."""
    lines = []
    for name, X, y, train, tests in sets:
        pair = best_pair(X, y, train)
        estimate = fit(X, y, train, **BIASES).damping_[:, 1]  # of biases
        found, _ = measure(name, X, y, train, tests, **BIASES)
        chosen, _ = measure(name, X, y, train, tests, damping=pair, **BIASES)
        for test, score in found.items():
            dampings = ", ".join(f"{d:.1f}" for d in estimate), ", ".join(f"{d:g}" for d in pair)
            cells = f"{score:.4f}", dampings[1], f"{chosen[test]:.4f}", relative(score, chosen[test])
            lines.append([test, dampings[0], *cells])
    columns = ["set", "estimated damping: users, items", "RMSE", "best pair", "RMSE with it", "estimate against it"]
    table("Biases without factors and without implicit features", columns, lines)


def write(folder, X, y, train, tests):
    """Write a folder for each test as the workers of libraries take it; yield its name and the folder."""
    for name, test in tests.items():
        split = Path(folder) / name
        split.mkdir()
        for part, rows in ("train", train), ("test", test):
            np.save(split / f"X_{part}.npy", X[rows].astype(np.int64))
            np.save(split / f"y_{part}.npy", np.asarray(y[rows], dtype=np.float64))
        yield name, split


def cells_of(figures):
    """Write the figures of a library: its RMSE and its seconds, or why there are none."""
    if isinstance(figures, str):
        return figures
    if np.isnan(figures["rmse"]):
        return "diverges"
    return f"{figures['rmse']:.4f}, {figures['build'] + figures['fit']:.2f} s"


def libraries(sets, environments):
    """Print the RMSE of other libraries with their own defaults."""
    pythons = {library: ensure(library, environments) for library in LIBRARIES}
    lines = []
    for _, X, y, train, tests in sets:
        with tempfile.TemporaryDirectory() as folder:
            for test, split in write(folder, X, y, train, tests):
                found = [
                    fit_once(pythons[library], library, split, rank, epochs, 1, TIMEOUT)
                    for library, (_, rank, epochs) in LIBRARIES.items()
                ]
                lines.append([test, *map(cells_of, found)])
                print(*lines[-1], sep=", ", file=sys.stderr, flush=True)
    table("Other libraries with their defaults", ["set", *(name for name, *_ in LIBRARIES.values())], lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"defaults": defaults, "best": best, "biases": biases}
    parser.add_argument("--sets", choices=RATING_SETS, nargs="+", default=RATING_SETS)
    parser.add_argument("--parts", choices=[*parts, "libraries"], nargs="+", default=[*parts, "libraries"])
    parser.add_argument("--environments", type=Path, default=CACHE)
    arguments = parser.parse_args()
    sets = list(rating_sets(arguments.sets))
    for part, run in parts.items():
        if part in arguments.parts:
            run(sets)
    if "libraries" in arguments.parts:
        libraries(sets, arguments.environments)


if __name__ == "__main__":
    main()
