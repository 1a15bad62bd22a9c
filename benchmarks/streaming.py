"""Going on from a model: a million ratings in shuffled batches against one fit; new users folded in against a refit.

    python benchmarks/streaming.py [--passes 20]

ml-1m. Batches of 10,000, without implicit features and with them; 1,000 users who were not trained on, with 20 ratings
each, folded in, and their other ratings predicted. Test RMSE and seconds.
"""

import argparse
import copy
import time

import numpy as np
from _real import real_sets, rmse, tenth

from sklearn_mf import MatrixFactorizationRegressor

BATCH = 10_000
NONE = {"implicit_features": None, "alpha": 0.04, "random_state": 0}
SETTINGS = {  # of the whole fit, and of the batches
    "without implicit features": (NONE, {**NONE, "learning_rate": 0.08}),
    "with implicit features": ({"random_state": 0}, {"random_state": 0}),
}


def stream(name, X, y, passes):
    train, test = tenth(len(y))
    print("\n| | pass | RMSE | against fit | ms a batch |\n|---|---|---|---|---|")
    for setting, (of_fit, of_batches) in SETTINGS.items():
        start = time.perf_counter()
        whole = MatrixFactorizationRegressor(**of_fit).fit(X[train], y[train])
        best = rmse(whole.predict(X[test]), y[test])
        print(f"| {name}, {setting} | fit | {best:.4f} | | {time.perf_counter() - start:.2f} s in all |")
        model, rng = MatrixFactorizationRegressor(schedule="invscaling", **of_batches), np.random.default_rng(0)
        for n in range(1, passes + 1):
            order, start = rng.permutation(train), time.perf_counter()
            for at in range(0, len(order), BATCH):
                rows = order[at : at + BATCH]
                model.partial_fit(X[rows], y[rows])
            seconds = (time.perf_counter() - start) / len(range(0, len(order), BATCH))
            found = rmse(model.predict(X[test]), y[test])
            if n in (1, 2, 5, 10, 15, passes):
                print(f"| | {n} | {found:.4f} | {100 * (found / best - 1):+.2f} % | {1e3 * seconds:.1f} |", flush=True)


def fold(name, X, y, n_users=1000, n_given=20):
    rng = np.random.default_rng(0)
    users, counts = np.unique(X[:, 0], return_counts=True)
    new = rng.choice(users[counts >= n_given + 5], n_users, replace=False)
    rows = rng.permutation(np.flatnonzero(np.isin(X[:, 0], new)))
    rows = rows[np.argsort(X[rows, 0], kind="stable")]
    place = np.arange(len(rows)) - np.searchsorted(X[rows, 0], X[rows, 0])
    given, asked = rows[place < n_given], rows[place >= n_given]
    old = np.flatnonzero(~np.isin(X[:, 0], new))
    given = given[np.isin(X[given, 1], X[old, 1])]
    print(f"\n| {n_users} new users, {n_given} ratings each | unknown | folded in | refit | ms to fold in |")
    print("|---|---|---|---|---|")
    for setting, (parameters, _) in SETTINGS.items():
        model = MatrixFactorizationRegressor(**parameters).fit(X[old], y[old])
        unknown, seconds = rmse(model.predict(X[asked]), y[asked]), []
        for _ in range(5):
            folded = copy.deepcopy(model)
            start = time.perf_counter()
            folded.fold_in(X[given], y[given])
            seconds.append(time.perf_counter() - start)
        both = np.concatenate([old, given])
        refit = MatrixFactorizationRegressor(**parameters).fit(X[both], y[both])
        scores = [rmse(m.predict(X[asked]), y[asked]) for m in (folded, refit)]
        cells = [f"{score:.4f}" for score in (unknown, *scores)]
        print(f"| {name}, {setting} | {' | '.join(cells)} | {1e3 * np.median(seconds):.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=20)
    arguments = parser.parse_args()
    for name, X, y, _ in real_sets():
        if name == "ml-1m":
            fold(name, X, y)
            stream(name, X, y, arguments.passes)


if __name__ == "__main__":
    main()
