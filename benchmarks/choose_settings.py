"""RMSE of settings on a part of the *training* rows, for choosing defaults without a look at the test rows.

    python benchmarks/choose_settings.py

Of each set's training rows a tenth is held out (ml-100k: of nine tenths of all rows). One line a setting.
"""

import argparse
from itertools import product

import numpy as np
from _real import real_sets, rmse, tenth

from sklearn_mf import MatrixFactorizationRegressor

DEFAULTS = {"rank": 32, "learning_rate": 0.05, "alpha": 0.04, "damping": 4.0, "alpha_bias": 0.01, "max_iter": 20}
PENALTIES = [{"alpha": a, "damping": d} for a, d in product([0.0, 0.02, 0.04, 0.06, 0.08], [0.0, 2.0, 4.0, 8.0])]
OTHERS = [
    {name: value}
    for name, values in {
        "learning_rate": [0.02, 0.03, 0.05, 0.08, 0.12],
        "rank": [0, 8, 16, 32, 64, 128],
        "max_iter": [10, 20, 30, 40],
        "alpha_bias": [0.0, 0.01, 0.03],
        "schedule": ["linear", "constant", "invscaling"],
    }.items()
    for value in values
]


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    sets = []
    for name, X, y, _ in real_sets():
        rows, _ = tenth(len(y))
        train, held_out = tenth(len(rows), seed=1)
        sets.append((name, X[rows], y[rows], train, held_out))
    print("| setting | " + " | ".join(name for name, *_ in sets) + " |\n|---|" + "---|" * len(sets))
    for changed in PENALTIES + OTHERS:
        model = MatrixFactorizationRegressor(**{**DEFAULTS, **changed}, random_state=0, n_jobs=2)
        scores = [rmse(model.fit(X[a], y[a]).predict(X[b]), y[b]) for _, X, y, a, b in sets]
        label = ", ".join(f"{name} {value}" for name, value in changed.items())
        print(f"| {label} | " + " | ".join(f"{score:.4f}" for score in np.array(scores)) + " |", flush=True)


if __name__ == "__main__":
    main()
