"""Fit, predict, text ids and import against what scikit-learn and pandas take for the like; preparation and threads.

    python benchmarks/against_sklearn.py [--parts fit predict row ids import threads]

All in one environment, which needs pandas. Both sides take turns; medians, and the ratio of ours to theirs.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
from _clock import alternated, clock_name, seconds_of, timed_fit
from _real import real_sets, rmse, tenth
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sklearn_mf import MatrixFactorizationRegressor

# The part "ids" measures an inner part, the encoding of ids by itself, which the public interface has inside fit only.
from sklearn_mf._ids.levels import Levels
from sklearn_mf._ids.tables import split_columns
from sklearn_mf._utils.threads import Threads
from sklearn_mf.datasets import make_ratings

SHAPES = {1_000_000: (6_040, 3_706), 10_000_000: (70_000, 10_700)}


def print_row(what, ours, theirs, ratio=None, note=""):
    """Print a row of the table, where ``ours`` and ``theirs`` are cells and ``ratio`` is that of ours to theirs."""
    print(f"| {what} | {ours} | {theirs} | {'' if ratio is None else f'{ratio:.2f}'} | {note} |", flush=True)


def made(n_ratings):
    return make_ratings(*SHAPES[n_ratings], n_ratings, rank=10, random_state=0, return_X_y=True)


def one_hot_ridge(solver):
    return make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge(solver=solver))


def first_fold():
    """Load X_train, y_train, X_test and y_test of ml-100k; None where it is not there."""
    for name, X, y, splits in real_sets():
        if name == "ml-100k":
            train, test = splits[0]
            return X[train], y[train], X[test], y[test]
    return None


def compare_fit(repeats):
    """Compare whole fits with biases by one-hot columns and Ridge, on the first of five folds of ml-100k."""
    fold = first_fold()
    if fold is None:
        return
    X, y, X_test, y_test = fold
    models = {"ours": MatrixFactorizationRegressor(random_state=0)}
    models["ours without implicit features"] = MatrixFactorizationRegressor(implicit_features=None, random_state=0)
    models["our biases only"] = MatrixFactorizationRegressor(rank=0, implicit_features=None, random_state=0)
    models |= {f"one-hot and Ridge, {solver}": one_hot_ridge(solver) for solver in ("auto", "sparse_cg", "lsqr")}
    seconds = alternated({label: lambda model=model: model.fit(X, y) for label, model in models.items()}, repeats)
    errors = {label: rmse(model.predict(X_test), y_test) for label, model in models.items()}
    for label in list(models)[1:]:
        cells = [f"{seconds[side]:.4f} s" for side in ("ours", label)]
        note = f"RMSE {errors['ours']:.4f} and {errors[label]:.4f}"
        print_row(f"ml-100k, whole fit, {label}", *cells, seconds["ours"] / seconds[label], note)


def fitted_pair():
    """Give X, our model and Ridge, fitted on the same million ratings."""
    X, y = made(1_000_000)
    ours = MatrixFactorizationRegressor(random_state=0).fit(X, y)
    return X, ours, Ridge().fit(X, y)


def compare_predict(repeats):
    X, model, _ = fitted_pair()
    seconds = alternated({"ours": lambda: model.predict(X)}, repeats)["ours"]
    print_row("predict 1,000,000 known pairs, rank 32", f"{len(X) / seconds / 1e6:.1f} million pairs/s", "")


def compare_row(repeats, calls=300):
    """Compare the prediction of one row, as an array and as a data frame."""
    X, ours, ridge = fitted_pair()
    y = X[:, 0] * 1.0
    frame = pd.DataFrame(X, columns=["user", "item"])
    named = MatrixFactorizationRegressor(random_state=0, max_iter=1).fit(frame, y), Ridge().fit(frame, y)
    pairs = {"array": (ours, ridge, X[:1]), "DataFrame": (*named, frame.iloc[:1])}
    for form, (model, other, row) in pairs.items():
        functions = {"ours": lambda m=model, r=row: m.predict(r), "theirs": lambda m=other, r=row: m.predict(r)}
        seconds = {name: value / calls for name, value in alternated(functions, 3 * repeats, calls).items()}
        cells = [f"{seconds[side] * 1e6:.0f} µs" for side in ("ours", "theirs")]
        print_row(f"predict one row, {form}, Ridge", *cells, seconds["ours"] / seconds["theirs"])


def text_frame(n_levels, n_rows, dtype):
    """Make a data frame of ids of 12 characters."""
    rng = np.random.default_rng(0)
    columns = {}
    for name, n in zip(("user", "item"), n_levels, strict=True):
        levels = np.array([f"{name}{i:08d}" for i in rng.permutation(n)], dtype=object)
        columns[name] = pd.Series(levels[rng.integers(0, n, n_rows)], dtype=dtype)
    return pd.DataFrame(columns)


def compare_ids(repeats, n_rows=1_000_000):
    """Compare levels and codes of both columns with pandas.factorize of both."""
    for n_levels in SHAPES.values():
        for dtype in (object, "str"):
            frame = text_frame(n_levels, n_rows, dtype)
            functions = {
                "ours": lambda frame=frame: Levels.fit(split_columns(frame, "name"), None, Threads()),
                "theirs": lambda frame=frame: [pd.factorize(frame[column]) for column in frame],
            }
            seconds = alternated(functions, repeats)
            cells = [f"{seconds[side]:.3f} s" for side in ("ours", "theirs")]
            kind = "object" if dtype is object else "str"
            what = f"{n_rows:,} rows of text ids, {n_levels[0]:,} x {n_levels[1]:,}, {kind}, pandas.factorize"
            print_row(what, *cells, seconds["ours"] / seconds["theirs"])


def in_fresh_processes(programs, repeats):
    """Give the seconds of lines (name: (before, line)) in processes of their own, in turn; ``before`` is not timed."""
    seconds = {name: [] for name in programs}
    for _ in range(max(10, repeats)):
        for name, (before, line) in programs.items():
            code = f"from time import {clock_name()} as now\n{before}\nstart = now()\n{line}\nprint(now() - start)"
            # Elsewhere than in the repository, whose sklearn_mf is not compiled.
            command, folder = [sys.executable, "-c", code], tempfile.gettempdir()
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder)
            seconds[name].append(float(done.stdout))
    return seconds


IMPORTS = {"theirs": ("", "import sklearn.linear_model"), "ours": ("", "import sklearn.linear_model, sklearn_mf")}


def compare_import(repeats):
    """Compare processes that import sklearn.linear_model, without and with this package."""
    seconds = in_fresh_processes(IMPORTS, repeats)
    ours, theirs = (statistics.median(seconds[name]) * 1e3 for name in ("ours", "theirs"))
    note = f"{ours - theirs:.0f} ms more"
    print_row("import, sklearn.linear_model alone", f"{ours:.0f} ms", f"{theirs:.0f} ms", ours / theirs, note)


def compare_threads(repeats, n_ratings):
    """Measure the preparation of int pairs in epochs, without implicit features, and what a second thread brings."""
    X, y = made(n_ratings)
    train, test = tenth(n_ratings)
    runs = {1: [], 2: []}
    X_train, y_train = X[train], y[train]
    for _ in range(repeats):
        for n_jobs, figures in runs.items():
            model = MatrixFactorizationRegressor(implicit_features=None, n_jobs=n_jobs, random_state=0)
            model, loop, whole = timed_fit(model, X_train, y_train)
            epoch = loop / model.n_iter_
            short = clone(model).set_params(max_iter=1, verbose=0)
            one = seconds_of(short.fit, X_train, y_train)
            figures.append((whole, loop, one - epoch, (one - epoch) / epoch, rmse(model.predict(X[test]), y[test])))
    medians = {n_jobs: np.median(figures, axis=0) for n_jobs, figures in runs.items()}
    name = f"{len(train):,} ratings"
    for n_jobs, (_, _, seconds, epochs, error) in medians.items():
        cells = f"{seconds:.2f} s, {epochs:.1f} epochs", ""
        print_row(f"preparation of {name}, n_jobs={n_jobs}", *cells, note=f"RMSE {error:.4f}")
    for i, what in enumerate(("whole fit", "training loop")):
        one, two = medians[1][i], medians[2][i]
        cells = f"{two:.2f} s", f"{one:.2f} s (n_jobs=1)"
        print_row(f"{what}, {name}, n_jobs=2", *cells, two / one, f"{one / two:.2f} times as fast")


PARTS = {
    "fit": compare_fit,
    "predict": compare_predict,
    "row": compare_row,
    "ids": compare_ids,
    "import": compare_import,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=[*PARTS, "threads"], default=[*PARTS, "threads"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ratings", type=int, choices=SHAPES, default=10_000_000, help="of the part threads")
    arguments = parser.parse_args()
    print("| what, against | ours | theirs | ours / theirs | |\n" + "|---" * 5 + "|", flush=True)
    for part in arguments.parts:
        if part == "threads":
            compare_threads(arguments.repeats, arguments.ratings)
        else:
            PARTS[part](arguments.repeats)


if __name__ == "__main__":
    main()
