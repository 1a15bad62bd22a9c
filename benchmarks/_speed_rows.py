"""The rows of speed.py: each function yields rows, measured on the package that is installed."""

import argparse
import functools
import statistics
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

import _machine
import numpy as np
import recommend
import scaling
import streaming
from _clock import in_turn
from _environments import beside, ensure
from _libmf import Libmf, predict
from _library_search import FITS_PER_RATE
from _real import FILES, rmse, splits
from libraries import write_data
from search import ALL_FITS, search

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import load_ratings

# ``measured`` are the figures of all rounds, none where the row is left out; ``goal`` and ``bound`` are texts.
Row = namedtuple("Row", "what unit measured goal bound beside", defaults=["", "", ""])
PLAIN = {"implicit_features": None}
LIBMF_RANK = 32
SMALL = 200_000  # ratings; fits of fewer are repeated more often
MADE = """import numpy as np
from sklearn_mf import MatrixFactorizationRegressor
model = MatrixFactorizationRegressor(random_state=0)
X, y = np.random.default_rng(0).integers(0, 100, (1000, 2)), np.arange(1000) % 5"""


def left_out(what, why):
    return Row(what, "", [], beside=f"left out: {why}")


def ratios(a, b):
    """Give the ratio of each round."""
    return [x / y for x, y in zip(a, b, strict=True)]


def middle(values, form=".2f"):
    return format(statistics.median(values), form)


@functools.cache
def generated(n_ratings, n_columns=2):
    """Give X, y, X_test and y_test of the ratings of scaling.py."""
    return scaling.split(*scaling.make(n_ratings, n_columns))


@functools.cache
def real(name, folder):
    """Give X, y, X_test and y_test of a set, or None where it is not there."""
    path = folder / name / FILES[name]
    if not path.exists():
        return None
    X, y = load_ratings(path, return_X_y=True)
    train, test = splits(name, len(y))[0]
    return X[train], y[train], X[test], y[test]


def compare_fits(what, goal, data, models, repeats):
    """Compare the whole fits of two models (name: model): seconds of the first to those of the second."""
    X, y, X_test, y_test = data
    calls = {name: lambda model=model: model.fit(X, y) for name, model in models.items()}
    seconds = in_turn(calls, repeats * (5 if len(y) < SMALL else 1))
    beside = [
        f"{name} {middle(seconds[name], '.3f')} s, RMSE {rmse(model.predict(X_test), y_test):.4f}"
        for name, model in models.items()
    ]
    return Row(what, "times", ratios(*seconds.values()), goal, beside="; ".join(beside))


def default_fit(options):
    """Compare whole fits with the defaults and without implicit features."""
    goals = dict.fromkeys(FILES, "at most 2") | dict.fromkeys(("ml-1m", "10 M made"), "at most 1.6")
    for name, goal in goals.items():
        data = real(name, options.data) if name in FILES else generated(10_000_000)
        what = f"default fit / without implicit features, {name}"
        if data is None:
            yield left_out(what, f"not in {options.data}")
            continue
        for n in options.threads if len(data[1]) > SMALL else [1]:
            models = {
                "defaults": MatrixFactorizationRegressor(n_jobs=n, random_state=0),
                "without": MatrixFactorizationRegressor(n_jobs=n, random_state=0, **PLAIN),
            }
            yield compare_fits(f"{what}, threads: {n}", goal, data, models, options.repeats)


def one_loop(data, rank, n_threads, **parameters):
    """Give scaling.py's figures of one fit."""
    settings = {"": ("data", {"rank": rank, "n_jobs": n_threads, **parameters})}
    return scaling.runs_of({"data": data}, settings, 1, {})[""][0]


def cycles(speed):
    """Write how many cycles a rating takes at some million ratings a second."""
    return f"{_machine.rates().cycles / speed / 1e6:.1f} cycles a rating"


def loop(options):
    """Compare the loop at rank 32 with the bare loop, and with LIBMF on the larger set."""
    for n_ratings, name in (1_000_000, "1 M made"), (10_000_000, "10 M made"):
        data = generated(n_ratings)
        for n in options.threads:
            what = f"loop without implicit features, rank 32, {name}, threads: {n}"
            yield from against_bare_loop(what, data, n, options.repeats)
            if n_ratings == 10_000_000:
                yield against_libmf(what, data, n, options)


def against_bare_loop(what, data, n_threads, repeats):
    """Give the speed of the loop; with one thread also its part of the bare loop's, in turn."""
    found, bare = [], []
    for _ in range(repeats):
        found.append(one_loop(data, LIBMF_RANK, n_threads, **PLAIN))
        bare.append(_machine.bare_speed(LIBMF_RANK) / 1e6)
    speed = [figures.speed for figures in found]
    bound = n_threads * _machine.bound(LIBMF_RANK, _machine.rates()) / 1e6
    beside = f"RMSE {found[0].rmse:.4f}, {cycles(statistics.median(speed) / n_threads)}"
    yield Row(what, "million ratings/s", speed, bound=f"{bound:.0f}", beside=beside)
    if n_threads == 1:
        beside = f"bare loop {middle(bare, '.0f')} million/s, {cycles(statistics.median(bare))}"
        yield Row(f"{what} / bare loop", "part", ratios(speed, bare), "at least 0.60", "1", beside)


def against_libmf(what, data, n_threads, options):
    """Compare the loop with LIBMF's, in turn, on the same ratings."""
    what += " / LIBMF's"
    if options.libmf is None:
        return left_out(what, "name a compiled LIBMF with --libmf")
    X, y, X_test, y_test = data
    other, ours, theirs = Libmf(options.libmf, X, y), [], []
    for _ in range(options.repeats):
        ours.append(one_loop(data, LIBMF_RANK, n_threads, **PLAIN))
        factors, speed = other.speed(LIBMF_RANK, scaling.EPOCHS, n_threads)
        theirs.append(speed)
    error = rmse(np.clip(predict(factors, X_test), y.min(), y.max()), y_test)
    beside = f"LIBMF {middle(theirs, '.0f')} million/s, RMSE {error:.4f}; ours RMSE {ours[0].rmse:.4f}"
    return Row(what, "times", ratios([figures.speed for figures in ours], theirs), "at least 2.4", beside=beside)


def ranks(options):
    """Compare the loop at wider ranks with the bound of multiplications and stores."""
    data = generated(1_000_000)
    for rank in 64, 128, 256:
        found, bare, second = [], [], []
        for _ in range(options.repeats):
            found.append(one_loop(data, rank, 1, **PLAIN))
            bare.append(_machine.bare_speed(rank, n=500_000) / 1e6)
            second.append(_machine.bare_speed(rank, n=500_000, n_bytes=_machine.SECOND_CACHE) / 1e6)
        bound = _machine.bound(rank, _machine.rates()) / 1e6
        speed = [figures.speed for figures in found]
        beside = (
            f"{middle(speed, '.1f')} of {bound:.1f} million/s, RMSE {found[0].rmse:.4f}; bare loop "
            f"{middle([value / bound for value in bare])} of the bound, "
            f"{middle([value / bound for value in second])} with rows in the second cache"
        )
        parts = [value / bound for value in speed]
        yield Row(f"loop without implicit features, rank {rank}, 1 M made", "part", parts, "at least 0.85", "1", beside)


def columns(options):
    """Compare the loop of more columns with that of two: what the rows of a rating imply is m / 2 times as long."""
    data = {m: generated(1_000_000, m) for m in (2, 3, 4, 8)}
    for kind, parameters in ("without implicit features", PLAIN), ("defaults", {}):
        runs = scaling.runs_of(data, {m: (m, parameters) for m in data}, options.repeats, {})
        speeds = {m: [figures.speed for figures in runs[m]] for m in data}
        for m in (3, 4, 8):
            parts = [m / 2 * part for part in ratios(speeds[m], speeds[2])]
            beside = f"{middle(speeds[m], '.1f')} and {middle(speeds[2], '.1f')} million/s, RMSE {runs[m][0].rmse:.4f}"
            yield Row(f"loop of {m} columns, {kind}, by rows", "part of 2 columns", parts, "at least 0.95", "1", beside)


def grid_search(options):
    """Compare a search of 60 fits with scikit-surprise's; one run of each."""
    what = "60-fit search on ml-1m, two processes, against scikit-surprise's"
    is_there = real("ml-1m", options.data) is not None
    if options.processor_time or not is_there:
        yield left_out(what, "on two processes" if is_there else f"ml-1m is not in {options.data}")
        return
    n_fits = options.surprise_fits
    with tempfile.TemporaryDirectory() as folder:
        write_data(sys.executable, folder, ["ml-1m"])
        split = Path(folder) / "ml-1m-0"
        ours = {
            "defaults": search(sys.executable, "sklearn_mf", split, ALL_FITS, 2),
            "without implicit features": search(sys.executable, "sklearn_mf", split, ALL_FITS, 2, PLAIN),
        }
        other = search(ensure("surprise", options.environments), "surprise", split, n_fits, 2)
    theirs = other["seconds"] * ALL_FITS / other["fits"]
    extrapolated = "" if n_fits == ALL_FITS else f" (extrapolated from {n_fits} fits)"
    for (name, found), goal in zip(ours.items(), ("at least 18", "at least 30"), strict=True):
        beside = (
            f"{found['seconds']:.1f} s, RMSE {found['rmse']:.4f}; theirs {theirs:.0f} s{extrapolated}, "
            f"RMSE {other['rmse']:.4f}"
        )
        yield Row(f"{what}, {name}", "times", [theirs / found["seconds"]], goal, beside=beside)


def ridge(options):
    """Compare the default fit of ml-100k with biases by one-hot columns and Ridge."""
    what, data = "default fit / one-hot columns and Ridge, ml-100k", real("ml-100k", options.data)
    if data is None:
        yield left_out(what, f"not in {options.data}")
        return
    try:
        from against_sklearn import one_hot_ridge
    except ImportError as error:
        yield left_out(what, str(error))
        return
    models = {"ours": MatrixFactorizationRegressor(random_state=0), "Ridge": one_hot_ridge("auto")}
    yield compare_fits(what, "below 1", data, models, options.repeats)


def hundred_million(options):
    """Time fits of 100 million ratings; with --large only, as they need some 20 GB."""
    what = "100 M made, threads: 2"
    if not options.large or options.processor_time:
        yield left_out(what, "--large runs it, with some 20 GB" if not options.large else "on two threads")
        return
    data = scaling.split(*scaling.make(100_000_000))
    for name, goal, parameters in ("default fit", "at most 35", {}), ("fit without implicit features", "", PLAIN):
        figures = one_loop(data, 32, 2, **parameters)
        beside = f"{figures.speed:.0f} million ratings/s in the loop, RMSE {figures.rmse:.4f}"
        yield Row(f"{name}, {what}", "s", [figures.whole], goal, beside=beside)


def lists(options):
    """Compare ``recommend`` with implicit's on the same factors."""
    arguments = argparse.Namespace(users=100_000, items=20_000, rank=64)
    others = beside("implicit", [recommend.IMPLICIT, "tqdm", "threadpoolctl"], options.environments)
    for n in options.threads:
        found = recommend.run(sys.executable, n, arguments, options.repeats, others)
        ours, theirs = found["ours"], found["implicit"]
        beside_it = f"{middle(ours)} s, theirs {middle(theirs)} s; same items: {found['same']:.6f}"
        what = f"implicit's recommend / ours, 100,000 x 20,000, rank 64, threads: {n}"
        yield Row(what, "times", ratios(theirs, ours), "at least 2", beside=beside_it)


def batches(options):
    """Time calls of ``partial_fit``."""
    goals = {10_000: ("0.34", "10.2"), 1_000_000: ("0.44", "41.5")}  # half of what these calls took before
    for n_users, of_calls in goals.items():
        seconds = in_turn(streaming.calls_of(n_users)[1], 10 * options.repeats)
        predict_ms = middle([1e3 * s for s in seconds["predict"]])
        for size, goal in zip(("1", "10,000"), of_calls, strict=True):
            what = f"partial_fit, rows: {size}, users in the model: {n_users:,}"
            ms = [1e3 * s for s in seconds[size]]
            yield Row(what, "ms", ms, f"at most {goal}", beside=f"predict of a row in turn {predict_ms} ms")


def start(options):
    """Time the import and the first fit of a process."""
    what = "a fresh process: "
    try:
        from against_sklearn import IMPORTS, in_fresh_processes
    except ImportError as error:
        yield left_out(what, str(error))
        return
    programs = {"first": (MADE, "model.fit(X, y)"), "second": (f"{MADE}\nmodel.fit(X, y)", "model.fit(X, y)")}
    seconds = in_fresh_processes({**IMPORTS, **programs}, options.repeats)
    ms = {name: [1e3 * s for s in values] for name, values in seconds.items()}
    more = np.subtract(ms["ours"], ms["theirs"]).tolist()
    beside_it = f"sklearn.linear_model by itself {middle(ms['theirs'], '.0f')} ms"
    yield Row(f"{what}import, beyond sklearn.linear_model", "ms", more, beside=beside_it)
    beside_it = f"the second fit {middle(ms['second'], '.1f')} ms"
    yield Row(f"{what}first fit, of 1,000 ratings", "ms", ms["first"], beside=beside_it)


ROWS = {
    "defaults": default_fit,
    "loop": loop,
    "ranks": ranks,
    "columns": columns,
    "search": grid_search,
    "ridge": ridge,
    "large": hundred_million,
    "recommend": lists,
    "partial_fit": batches,
    "start": start,
}
FITS = [i * FITS_PER_RATE for i in (1, 2, 3)]
