"""What implicit features cost: fits with and without, alternating, on the same ratings; seconds, ratio, test RMSE.

    python benchmarks/implicit_cost.py [--n-jobs 1 2] [--repeats 5]

ml-1m, where it is found, and the 10 million generated ratings of scaling.py; the defaults otherwise.
"""

import argparse

import numpy as np
from _clock import timed_fit
from _real import real_sets, rmse, tenth
from scaling import make

from sklearn_mf import MatrixFactorizationRegressor

SETTINGS = ("both", "user", "item")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    sets = [(name, X, y) for name, X, y, _ in real_sets() if name == "ml-1m"]
    sets.append(("generated, 10 M", *make(10_000_000)))
    print("| set | threads | None | " + " | ".join(f"{setting}, ratio" for setting in SETTINGS) + " |")
    print("|---|---|---|" + "---|" * len(SETTINGS))
    for name, X, y in sets:
        train, test = tenth(len(y))
        X_train, y_train = X[train], y[train]
        for n_jobs in arguments.n_jobs:
            runs = {setting: [] for setting in (None, *SETTINGS)}
            for _ in range(arguments.repeats):
                for setting, found in runs.items():
                    model = MatrixFactorizationRegressor(implicit_features=setting, n_jobs=n_jobs, random_state=0)
                    model, _, seconds = timed_fit(model, X_train, y_train)
                    found.append((seconds, rmse(model.predict(X[test]), y[test])))
            without, *with_features = (np.median(found, axis=0) for found in runs.values())
            cells = [f"{s:.2f} s, {s / without[0]:.2f}, RMSE {error:.4f}" for s, error in with_features]
            print(
                f"| {name} | {n_jobs} | {without[0]:.2f} s, RMSE {without[1]:.4f} | " + " | ".join(cells) + " |",
                flush=True,
            )


if __name__ == "__main__":
    main()
