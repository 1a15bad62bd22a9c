"""How the cost of a fit grows with ratings, rank, columns and threads.

    python benchmarks/scaling.py [--largest 100000000] [--draw docs/scaling.svg]
    python benchmarks/scaling.py --parameters '{"implicit_features": null}'

Ratings made by make_ratings, 20 epochs, medians of alternating runs, with the RMSE on a held-out tenth. "Preparation"
is the whole fit less the training loop: ids, order and grid. 100,000,000 ratings need some 20 GB. The figure needs
matplotlib.
"""

import argparse
import json
from collections import namedtuple

import numpy as np
from _clock import timed_fit
from _real import rmse, tenth

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

SHAPES = {
    100_000: (943, 1_682),
    1_000_000: (6_040, 3_706),
    10_000_000: (70_000, 10_700),
    100_000_000: (480_000, 17_800),
}
RANKS = [8, 16, 31, 32, 33, 48, 64, 100, 128, 256]
COLUMNS = list(range(2, 9))
N_LEVELS = 50  # of each context column
EPOCHS = 20

Figures = namedtuple("Figures", "speed whole preparation rmse")


def make(n_ratings, n_columns=2):
    """Make X and y. Further columns are drawn at random: they are of no use, but cost the same."""
    X, y = make_ratings(*SHAPES[n_ratings], n_ratings, rank=10, random_state=0, return_X_y=True)
    if n_columns > 2:
        context = np.random.default_rng(0).integers(0, N_LEVELS, (n_ratings, n_columns - 2))
        X = np.column_stack([X, context])
    return X, y


def runs_of(data, settings, repeats, given):
    """Give the figures of all fits of each of ``settings`` (name: (data, parameters)), whose fits take turns.

    ``given`` parameters are the same for all. ``data`` maps the name of a set to (X_train, y_train, X_test, y_test).
    """
    runs = {name: [] for name in settings}
    for _ in range(repeats):
        for name, (which, parameters) in settings.items():
            X, y, X_test, y_test = data[which]
            model = MatrixFactorizationRegressor(max_iter=EPOCHS, random_state=0, **given, **parameters)
            model, loop, whole = timed_fit(model, X, y)
            error = rmse(model.predict(X_test), y_test)
            runs[name].append(Figures(len(y) * EPOCHS / loop / 1e6, whole, whole - loop, error))
    return runs


def measure(data, settings, repeats, given):
    """Give the medians of ``runs_of``."""
    runs = runs_of(data, settings, repeats, given)
    return {name: Figures(*np.median(figures, axis=0)) for name, figures in runs.items()}


def split(X, y):
    train, test = tenth(len(y))
    return X[train], y[train], X[test], y[test]


def print_table(title, table):
    columns = [title, "threads", "million ratings/s in the loop", "whole fit, s", "preparation, s", "test RMSE"]
    print("\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for (value, n_jobs), (speed, whole, preparation, error) in table.items():
        print(f"| {value:,} | {n_jobs} | {speed:.1f} | {whole:.3f} | {preparation:.3f} | {error:.4f} |", flush=True)


def by_ratings(sizes, threads, repeats, given):
    table = {}
    for size in sizes:
        data = {size: split(*make(size))}
        rounds = repeats if size <= 10_000_000 else 1  # a matter of minutes
        table |= measure(data, {(size, n): (size, {"n_jobs": n}) for n in threads}, rounds, given)
    return table


def by_rank(size, ranks, threads, repeats, given):
    settings = {(rank, n): (size, {"rank": rank, "n_jobs": n}) for rank in ranks for n in threads}
    return measure({size: split(*make(size))}, settings, repeats, given)


def by_columns(size, counts, threads, repeats, given):
    data = {count: split(*make(size, count)) for count in counts}
    return measure(data, {(count, n): (count, {"n_jobs": n}) for count in counts for n in threads}, repeats, given)


def lines_of(table, figure):
    """Give {threads: (values, figures)} of a table."""
    threads = sorted({n for _, n in table})
    return {
        n: tuple(np.array([(value, getattr(row, figure)) for (value, k), row in table.items() if k == n]).T)
        for n in threads
    }


def draw(path, ratings, ranks, columns, size):
    """Draw one figure: seconds against ratings; ratings a second against ratings, rank and columns."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator, StrMethodFormatter

    speed = "million ratings/s in the loop"
    panels = [  # table, figure, label and base of x, label of y
        (ratings, "whole", "ratings", 10, "whole fit, s"),
        (ratings, "speed", "ratings", 10, speed),
        (ranks, "speed", f"rank ({size:,} ratings)", 2, speed),
        (columns, "speed", f"columns ({size:,} ratings, rank 32)", None, speed),
    ]
    style = {"svg.hashsalt": "scaling", "svg.fonttype": "none", "font.size": 9}  # the same file for the same figures
    with plt.rc_context(style):
        figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), layout="constrained")
        for axis, (table, name, x_label, base, y_label) in zip(axes.flat, panels, strict=True):
            for n_jobs, (x, y) in lines_of(table, name).items():
                axis.plot(x, y, marker="o", markersize=4, label=f"{n_jobs} thread" + "s" * (n_jobs > 1))
            axis.set(xlabel=x_label, ylabel=y_label)
            if base:
                axis.set_xscale("log", base=base)
                axis.xaxis.set_minor_locator(NullLocator())
                axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            if name == "whole":
                axis.set_yscale("log")
                axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
                axis.yaxis.set_minor_locator(NullLocator())
            else:
                axis.set_ylim(bottom=0)
            axis.grid(alpha=0.3)
            axis.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=10_000_000, help="most ratings to fit")
    parser.add_argument("--size", type=int, choices=SHAPES, default=1_000_000, help="ratings for rank and columns")
    parser.add_argument("--ranks", type=int, nargs="+", default=RANKS)
    parser.add_argument("--columns", type=int, nargs="+", default=COLUMNS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--draw", metavar="FILE.svg")
    parser.add_argument("--parameters", metavar="JSON", type=json.loads, default={}, help="of the model")
    arguments = parser.parse_args()
    given = arguments.parameters
    threads, repeats, size = arguments.threads, arguments.repeats, arguments.size
    print(f"rank 32 and two columns unless said, {EPOCHS} epochs; rank and columns on {size:,} ratings")
    sizes = [n for n in SHAPES if n <= arguments.largest]
    ratings = by_ratings(sizes, threads, repeats, given)
    print_table("ratings", ratings)
    ranks = by_rank(size, arguments.ranks, threads, repeats, given)
    print_table("rank", ranks)
    columns = by_columns(size, arguments.columns, threads, repeats, given)
    print_table("columns", columns)
    if arguments.draw:
        draw(arguments.draw, ratings, ranks, columns, size)


if __name__ == "__main__":
    main()
