"""Whether predicted deviations hold: likelihood and coverage of held-out ratings, seconds, myFM's samples beside them.

    python benchmarks/deviations.py [--sets ml-1m coat ...] [--parts ours conformal lists seconds myfm]

A random tenth of the ratings is held out; Flixster has its published split, and coat the second test of ten_sets.py.

ours       "NLL" is the mean of -log p of the held-out ratings, p the normal density of predicted rating and deviation.
           Beside it that of the same predictions with one deviation for all, the RMSE on the test part itself: no other
           constant is better. "In the interval" is the share of ratings within 1.645 deviations, which should be 90 %.
           Fifths go from low to high: of the predicted deviation, of the number of training ratings of item and user.
           "RMSE / deviation" is the RMSE of a fifth divided by the root mean square of its predicted deviations
conformal  the same intervals with half a width that is chosen on a fifth of the ratings, beside what they were and one
           width for all, chosen in the same way; fit on three fifths, test on the last one. Share in the interval
           of all, and by fifths of the deviation
lists      ten items for each user by each `by=`: how many are in the held-out part, and their mean rating there;
           what items are expected to get, where that is known; milliseconds of the call
seconds    of `predict` for a million pairs, with deviations and without
myfm       MyFMRegressor with 32 factors and 200 iterations, in its own environment: the last 150 samples of factors and
           noise give the mean of each rating, and its variance: that of the predictions plus the mean of the noise
"""

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from _clock import alternated
from _environments import CACHE, ensure
from _real import RATING_SETS, rating_sets, rmse, tenth

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

HERE = Path(__file__).resolve().parent
SETS = [name for name in RATING_SETS if name not in ("ml-100k u1", "steam-hours")]  # hours are no ratings
HALF_WIDTH = 1.6448536269514722  # of the 90 % interval, in deviations
RANK, N_ITERATIONS, N_SAMPLES = 32, 200, 150  # of myFM
COLUMNS = [
    "set",
    "ratings",
    "RMSE",
    "NLL",
    "NLL, one deviation",
    "in the interval",
    "by deviation",
    "by item's ratings",
]
COLUMNS += ["by user's ratings", "RMSE / deviation, by deviation"]


def negative_log_likelihood(y, y_pred, y_std):
    return float(np.mean(0.5 * ((y - y_pred) / y_std) ** 2 + np.log(y_std) + 0.5 * np.log(2 * np.pi)))


def fifths(values):
    """Give the rows of each fifth, from low to high; which of equal values go where is drawn."""
    order = np.random.default_rng(0).permutation(len(values))
    return np.array_split(order[np.argsort(values[order], kind="stable")], 5)


def counts(X, X_train, column):
    """Count the training ratings of each row's user or item."""
    size = max(X[:, column].max(), X_train[:, column].max()) + 1
    return np.bincount(X_train[:, column], minlength=size)[X[:, column]]


def percents(shares):
    return " ".join(f"{100 * share:.1f}" for share in shares)


def figures(name, X, y, y_pred, y_std, X_train):
    """Write the figures of one set."""
    error, inside = rmse(y, y_pred), np.abs(y - y_pred) <= HALF_WIDTH * y_std
    tables = {"std": fifths(y_std), "item": fifths(counts(X, X_train, 1)), "user": fifths(counts(X, X_train, 0))}
    shares = [percents([inside[rows].mean() for rows in bins]) for bins in tables.values()]
    ratios = [rmse(y[rows], y_pred[rows]) / np.sqrt(np.mean(y_std[rows] ** 2)) for rows in tables["std"]]
    likelihoods = [negative_log_likelihood(y, y_pred, deviation) for deviation in (y_std, np.full(len(y), error))]
    return [
        name,
        f"{len(y):,}",
        f"{error:.4f}",
        *(f"{value:.4f}" for value in likelihoods),
        percents([inside.mean()]),
        *shares,
        " ".join(f"{ratio:.2f}" for ratio in ratios),
    ]


def table(title, columns):
    print(f"\n{title}\n\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)


def line(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def ours(sets, _):
    table("Deviations of the defaults", COLUMNS)
    for _, X, y, train, tests in sets:
        model = MatrixFactorizationRegressor(random_state=0).fit(X[train], y[train])
        for name, test in tests.items():
            line(figures(name, X[test], y[test], *model.predict(X[test], return_std=True), X[train]))


def conformal(sets, _):
    columns = ["set", "as predicted: inside", "by deviation", "mean width", "with the quantile: inside", "by deviation"]
    columns += ["mean width", "one width: inside", "by deviation", "width"]
    table("90 % intervals, before and after a fifth of the ratings says how wide", columns)
    for name, X, y, _, _ in sets:
        test, chosen, train = np.split(np.random.default_rng(0).permutation(len(y)), [len(y) // 5, 2 * (len(y) // 5)])
        model = MatrixFactorizationRegressor(random_state=0).fit(X[train], y[train])
        (y_pred, y_std), of_chosen = (model.predict(X[rows], return_std=True) for rows in (test, chosen))
        errors = np.abs(y[chosen] - of_chosen[0])
        width_of_all = np.full(len(test), np.quantile(errors, 0.9))
        cells = [name]
        for half in (HALF_WIDTH * y_std, np.quantile(errors / of_chosen[1], 0.9) * y_std, width_of_all):
            inside = np.abs(y[test] - y_pred) <= half
            by_deviation = percents([inside[rows].mean() for rows in fifths(y_std)])
            cells += [percents([inside.mean()]), by_deviation, f"{2 * half.mean():.2f}"]
        line(cells)


def lists(sets, _):
    columns = ["ratings", "`by`", "in the held-out part", "their mean rating", "expected rating of all", "ms"]
    table("Ten items for each user", columns)
    made = make_ratings(2000, 1000, 60_000, random_state=0)
    expected = made.intercept + made.user_biases[:, None] + made.item_biases + made.user_factors @ made.item_factors.T
    expected = np.clip(expected, 1, 5)
    problems = [("made", made.data, made.target, *tenth(60_000))]
    problems += [(name, X, y, train, tests[name]) for name, X, y, train, tests in sets]
    for name, X, y, train, test in problems:
        model = MatrixFactorizationRegressor(random_state=0).fit(X[train], y[train])
        users, held_out = model.categories_[0], dict(zip(map(tuple, X[test].tolist()), y[test].tolist(), strict=True))
        ways = ("rating", "lower", "upper")
        calls = {by: partial(model.recommend, users, 10, by=by, exclude=X[train]) for by in ways}
        for by, seconds_of_by in alternated(calls, 3).items():
            items, _ = calls[by]()
            pairs = np.column_stack([np.repeat(users, 10), items.ravel()])
            found = [held_out[pair] for pair in map(tuple, pairs.tolist()) if pair in held_out]
            worth = f"{expected[pairs[:, 0], pairs[:, 1]].mean():.3f}" if name == "made" else ""
            line([name, by, f"{len(found):,}", f"{np.mean(found):.3f}", worth, f"{1e3 * seconds_of_by:.0f}"])


def seconds(sets, _):
    table("A million pairs", ["set", "`predict`, s", "with deviations, s", "ratio"])
    for name, X, y, train, _ in sets:
        model = MatrixFactorizationRegressor(random_state=0).fit(X[train], y[train])
        pairs = np.random.default_rng(0).integers(X.max(axis=0) + 1, size=(1_000_000, 2))
        calls = {"without": partial(model.predict, pairs), "with": partial(model.predict, pairs, return_std=True)}
        found = alternated(calls, 7)
        line([name, f"{found['without']:.3f}", f"{found['with']:.3f}", f"{found['with'] / found['without']:.2f}"])


def of_myfm(python, X, y, train, test):
    """Give what myFM predicts for test rows, and its deviations."""
    with tempfile.TemporaryDirectory() as folder:
        arrays = {"X_train": X[train], "y_train": y[train], "X_test": X[test], "n_levels": X.max(axis=0) + 1}
        for name, values in arrays.items():
            np.save(Path(folder) / f"{name}.npy", values)
        command = [str(python), str(HERE / "_deviations_worker.py"), folder, *map(str, (RANK, N_ITERATIONS, N_SAMPLES))]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        print(done.stdout, end="", file=sys.stderr, flush=True)
        return [np.load(Path(folder) / f"{name}.npy") for name in ("y_pred", "y_std")]


def myfm(sets, environments):
    python = ensure("myfm", environments)
    table(f"myFM, {RANK} factors, {N_ITERATIONS} iterations", COLUMNS)
    for _, X, y, train, tests in sets:
        for name, test in tests.items():
            y_pred, y_std = of_myfm(python, X, y, train, test)
            line(figures(name, X[test], y[test], np.clip(y_pred, y.min(), y.max()), y_std, X[train]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"ours": ours, "conformal": conformal, "lists": lists, "seconds": seconds, "myfm": myfm}
    parser.add_argument("--sets", choices=SETS, nargs="+", default=SETS)
    parser.add_argument("--parts", choices=parts, nargs="+", default=parts)
    parser.add_argument("--environments", type=Path, default=CACHE)
    arguments = parser.parse_args()
    sets = list(rating_sets(arguments.sets))
    for part, run in parts.items():
        if part in arguments.parts:
            run(sets, arguments.environments)


if __name__ == "__main__":
    main()
