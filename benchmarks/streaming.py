"""Learning from ratings that come later: `partial_fit` against a refit and `fold_in`; seconds of a call.

    python benchmarks/streaming.py [--parts random scratch time forgetting users seconds] [--sets ml-1m ...]

A random tenth of the ratings of each set is held out for the test; the other nine tenths are for training.

random      fit on a random 80 % of the training rows, the others in batches of 5,000, against a refit on all of them
scratch     all training rows in batches, from nothing: one pass, three passes
time        fit on the first 80 % of the training rows by time, the others in their order, in batches of 5,000 and 500
forgetting  the last fifth of all ratings by time, a batch of 100 predicted and then learned, by `forgetting`
users       a tenth of the users is left out of the fit; half of their ratings are then given to `fold_in` or to
            `partial_fit`, and the other half is predicted
seconds     of a call of `partial_fit` with 1, 100 and 10,000 rows, and of `predict` with one row, on made ratings

"Warm start" is a fit to all training rows that starts from the first one (`warm_start=True`), with 10 epochs, not 20.
"Worst rise" is the largest rise of the test RMSE from one batch to the next. All models have the defaults, one thread.
"""

import argparse
import copy
import time

import numpy as np
from _clock import alternated
from _real import FILES, FOLDER, rmse, tenth

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import load_ratings, make_ratings
from sklearn_mf.model_selection import prequential_predict

BATCH = {"ml-1m": 10_000}  # from nothing; 5,000 for the others
FORGETTING = [0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]
SIZES = 10_000, 100_000, 1_000_000  # users of made models


def load(names):
    """Yield (name, ratings) of the sets that are there."""
    for name in names:
        path = FOLDER / name / FILES[name]
        if path.exists():
            yield name, load_ratings(path)
        else:
            print(f"{name}: not found at {path} (SKLEARN_MF_DATA names the folder, see docs/contributing.md)")


def table(title, columns):
    """Print the head of a table."""
    print(f"\n{title}\n\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)


def line(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def against(a, b):
    """Write an error, and how much higher it is than another."""
    return f"{a:.4f} ({100 * (a / b - 1):+.2f} %)"


def fitted(X, y):
    """Fit; give the model and the seconds."""
    start = time.perf_counter()
    model = MatrixFactorizationRegressor(random_state=0).fit(X, y)
    return model, time.perf_counter() - start


def stream(model, X, y, rows, size, test):
    """Learn rows in batches; give the test RMSE after each batch, the first before all, and the median seconds."""
    scores, seconds = [], []
    if hasattr(model, "categories_"):
        scores.append(rmse(model.predict(X[test]), y[test]))
    for at in range(0, len(rows), size):
        batch = rows[at : at + size]
        start = time.perf_counter()
        model.partial_fit(X[batch], y[batch])
        seconds.append(time.perf_counter() - start)
        scores.append(rmse(model.predict(X[test]), y[test]))
    return np.array(scores), float(np.median(seconds))


def worst_rise(scores):
    """Write the largest rise from one batch to the next."""
    return f"{100 * float(np.max(scores[1:] / scores[:-1] - 1)):+.2f} %"


def compare(name, ratings, sizes, order):
    """Fit on the first 80 % of an order of the training rows, learn the others in batches, refit on all."""
    X, y = ratings.data, ratings.target
    train, test = tenth(len(y))
    rows = train[order(train)]
    n_first = int(0.8 * len(rows))
    first, _ = fitted(X[rows[:n_first]], y[rows[:n_first]])
    whole, refit_seconds = fitted(X[rows], y[rows])
    best = rmse(whole.predict(X[test]), y[test])
    start = time.perf_counter()
    warm = copy.deepcopy(first).set_params(warm_start=True, max_iter=10).fit(X[rows], y[rows])
    warm_seconds = time.perf_counter() - start
    warm_cell = against(rmse(warm.predict(X[test]), y[test]), best)
    for size in sizes:
        scores, seconds = stream(copy.deepcopy(first), X, y, rows[n_first:], size, test)
        cells = against(scores[0], best), against(scores[-1], best), worst_rise(scores), warm_cell, f"{best:.4f}"
        times = f"{1e3 * seconds:.1f}", f"{1e3 * warm_seconds:.0f}", f"{1e3 * refit_seconds:.0f}"
        line(name, f"{size:,}", *cells, *times)


COLUMNS = ["set", "batch", "RMSE after the fit", "after the stream", "worst rise", "warm start", "refit"]
COLUMNS += ["ms a batch", "ms a warm start", "ms a refit"]


def at_random(sets):
    table("Fit on a random 80 %, the others in batches", COLUMNS)
    for name, ratings in sets:
        rng = np.random.default_rng(1)
        compare(name, ratings, [5_000], lambda train, rng=rng: rng.permutation(len(train)))


def by_time(sets):
    table("Fit on the first 80 % by time, the others in their order", COLUMNS)
    for name, ratings in sets:
        if name != "ml-1m":  # users of ml-1m rated all at once, in the order of their numbers
            compare(name, ratings, [5_000, 500], lambda train, of=ratings.times: np.argsort(of[train], kind="stable"))


def by_forgetting(sets):
    columns = ["set", *map(str, FORGETTING), "in the 90 % interval, without forgetting"]
    table("Each rating predicted, then learned: RMSE by `forgetting`", columns)
    for name, ratings in sets:
        if name != "ml-1m":
            order = np.argsort(ratings.times, kind="stable")
            X, y, n = ratings.data[order], ratings.target[order], int(0.8 * len(order))
            scores, shares = [], []
            for part in FORGETTING:
                model = MatrixFactorizationRegressor(forgetting=part, random_state=0).fit(X[:n], y[:n])
                result = prequential_predict(model, X[n:], y[n:], batch_size=100, return_std=True)
                scores.append(f"{rmse(result.y_pred, y[n:]):.4f}")
                shares.append(np.mean(np.abs(result.y_pred - y[n:]) <= 1.645 * result.y_std))
            line(name, *scores, f"{100 * shares[0]:.1f}")


def from_nothing(sets):
    table(
        "All in batches, from nothing", ["set", "batch", "RMSE of a fit", "after the first batch", "1 pass", "3 passes"]
    )
    for name, ratings in sets:
        X, y, size = ratings.data, ratings.target, BATCH.get(name, 5_000)
        train, test = tenth(len(y))
        best = rmse(fitted(X[train], y[train])[0].predict(X[test]), y[test])
        model, rng, passes = MatrixFactorizationRegressor(random_state=0), np.random.default_rng(0), []
        for _ in range(3):
            passes.append(stream(model, X, y, rng.permutation(train), size, test)[0])
        found = passes[0][0], passes[0][-1], passes[2][-1]
        line(name, f"{size:,}", f"{best:.4f}", *(against(score, best) for score in found))


def new_users(sets):
    columns = ["set", "new users", "unknown", "`fold_in`", "`partial_fit`", "refit", "ms `fold_in`", "ms `partial_fit`"]
    table("Users who were not in the fit: half of their ratings given, the other half predicted", columns)
    for name, ratings in sets:
        X, y, rng = ratings.data, ratings.target, np.random.default_rng(0)
        users = np.unique(X[:, 0])
        is_new = np.isin(X[:, 0], rng.choice(users, len(users) // 10, replace=False))
        old, rows = np.flatnonzero(~is_new), rng.permutation(np.flatnonzero(is_new))
        rows = rows[np.argsort(X[rows, 0], kind="stable")]
        place = np.arange(len(rows)) - np.searchsorted(X[rows, 0], X[rows, 0])
        given, asked = rows[place % 2 == 0], rows[place % 2 == 1]
        given = given[np.isin(X[given, 1], X[old, 1])]  # fold_in takes one new id a row
        model, _ = fitted(X[old], y[old])
        models, seconds = {}, {}
        for way in ("fold_in", "partial_fit"):
            models[way] = copy.deepcopy(model)
            start = time.perf_counter()
            getattr(models[way], way)(X[given], y[given])
            seconds[way] = f"{1e3 * (time.perf_counter() - start):.1f}"
        both = np.concatenate([old, given])
        models = {"unknown": model, **models, "refit": fitted(X[both], y[both])[0]}
        scores = [f"{rmse(m.predict(X[asked]), y[asked]):.4f}" for m in models.values()]
        line(name, int(len(users) // 10), *scores, *seconds.values())


def calls_of(n_users):
    """Fit a model with so many users; give the seconds of that, and calls of ``predict`` and ``partial_fit`` on it."""
    X, y = make_ratings(n_users, 20_000, 5 * n_users, random_state=0, return_X_y=True)
    start = time.perf_counter()
    model = MatrixFactorizationRegressor(max_iter=2, random_state=0).fit(X, y)
    of_fit, rng = time.perf_counter() - start, np.random.default_rng(0)
    new_user = iter(range(n_users, 10**9))

    def learn(n):
        rows = rng.integers(len(y), size=n)
        model.partial_fit(X[rows], y[rows])

    return of_fit, {
        "predict": lambda: model.predict(X[:1]),
        "1": lambda: learn(1),
        "new": lambda: model.partial_fit([[next(new_user), 3]], [4.0]),
        "100": lambda: learn(100),
        "10,000": lambda: learn(10_000),
    }


def seconds_of_calls(_):
    columns = [
        "users",
        "a fit of 2 epochs, s",
        "`predict`, 1 row",
        "1 row",
        "1 row, a new user",
        "100 rows",
        "10,000 rows",
        "1 row / `predict`",
    ]
    table("Milliseconds of a call of `partial_fit`; 20,000 items, five ratings a user, rank 32, medians of 50", columns)
    for n_users in SIZES:
        of_fit, calls = calls_of(n_users)
        ms = {name: 1e3 * value for name, value in alternated(calls, 50).items()}
        line(
            f"{n_users:,}",
            f"{of_fit:.1f}",
            *(f"{value:.2f}" for value in ms.values()),
            f"{ms['1'] / ms['predict']:.1f}",
        )


PARTS = {
    "random": at_random,
    "scratch": from_nothing,
    "time": by_time,
    "forgetting": by_forgetting,
    "users": new_users,
    "seconds": seconds_of_calls,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", choices=PARTS, nargs="+", default=PARTS)
    parser.add_argument("--sets", choices=FILES, nargs="+", default=FILES)
    arguments = parser.parse_args()
    sets = list(load(arguments.sets)) if set(arguments.parts) != {"seconds"} else []
    for part, run in PARTS.items():
        if part in arguments.parts:
            run(sets)


if __name__ == "__main__":
    main()
