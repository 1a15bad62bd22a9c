"""How the cost of a fit grows with ratings, rank and columns, with the defaults and without implicit features.

    python benchmarks/scaling.py [--largest 100000000] [--threads 1 2] [--save FILE.json]
    python benchmarks/scaling.py --processor-time --fastest --draw docs/pictures/scaling.svg
    python benchmarks/scaling.py --figures FILE.json --draw docs/pictures/scaling.svg

Ratings are made by make_ratings; fits have 20 epochs; the RMSE is that of a held-out tenth. "Preparation" is the whole
fit without the training loop: ids, order and blocks. Settings take turns. A figure is the median of the runs, or the
fastest run with --fastest. --processor-time measures processor seconds of fits on one thread: use it with --fastest if
other programs run. --figures draws what --save has kept, and measures nothing. 100,000,000 ratings need about 20 GB of
memory. The figure needs matplotlib.
"""

import argparse
import json
import os
from collections import namedtuple
from itertools import product

import numpy as np
from _clock import PROCESSOR_TIME, timed_fit
from _real import PICTURE_STYLE, rmse, tenth

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

# What is measured, and how it is drawn: the parameters; a color, a line and a marker.
SETTINGS = {
    "defaults": {},
    "without implicit features": {"implicit_features": None, "alpha": 0.04, "learning_rate": 0.05},
}
STYLES = {"defaults": ("C0", "-", "o"), "without implicit features": ("C1", "--", "s")}

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


def measure(data, values, threads, repeats, fastest):
    """Give the figures of each of ``values`` (value: (data, parameters)): {(value, setting, threads): Figures}."""
    settings = {
        (value, setting, n_jobs): (which, {"n_jobs": n_jobs, **SETTINGS[setting], **parameters})
        for (value, (which, parameters)), setting, n_jobs in product(values.items(), SETTINGS, threads)
    }
    runs = runs_of(data, settings, repeats, {})
    if fastest:
        return {name: min(figures, key=lambda run: run.whole) for name, figures in runs.items()}
    return {name: Figures(*np.median(figures, axis=0).tolist()) for name, figures in runs.items()}


def split(X, y):
    train, test = tenth(len(y))
    return X[train], y[train], X[test], y[test]


def print_table(title, table):
    columns = [title, "setting", "threads", "million ratings/s in the loop", "whole fit, s", "preparation, s", "RMSE"]
    print("\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for (value, setting, n_jobs), (speed, whole, preparation, error) in table.items():
        cells = f"{speed:.1f} | {whole:.3f} | {preparation:.3f} | {error:.4f}"
        print(f"| {value:,} | {setting} | {n_jobs} | {cells} |", flush=True)


def by_ratings(sizes, threads, repeats, fastest):
    table = {}
    for size in sizes:
        data = {size: split(*make(size))}
        rounds = repeats if size <= 10_000_000 else 1  # a matter of minutes
        table |= measure(data, {size: (size, {})}, threads, rounds, fastest)
    return table


def by_rank(size, ranks, threads, repeats, fastest):
    values = {rank: (size, {"rank": rank}) for rank in ranks}
    return measure({size: split(*make(size))}, values, threads, repeats, fastest)


def by_columns(size, counts, threads, repeats, fastest):
    data = {count: split(*make(size, count)) for count in counts}
    return measure(data, {count: (count, {}) for count in counts}, threads, repeats, fastest)


def lines_of(table, figure):
    """Give {(setting, threads): (values, figures)} of a table."""
    lines = {}
    for (value, *series), row in table.items():
        lines.setdefault(tuple(series), []).append((value, getattr(row, figure)))
    return {series: tuple(zip(*points, strict=True)) for series, points in lines.items()}


def draw(path, tables, size):
    """Draw four panels: seconds against ratings; ratings a second against ratings, rank and columns.

    They stand one below the other, so that the text can be read on a phone.
    """
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator, StrMethodFormatter

    speed = "million ratings/s in the loop"
    panels = [  # table, figure, title, label and base of x, label of y
        ("ratings", "whole", "Time of a fit by ratings", "ratings", 10, "whole fit, s"),
        ("ratings", "speed", "Speed of the loop by ratings", "ratings", 10, speed),
        ("rank", "speed", "Speed of the loop by rank", f"rank ({size:,} ratings)", 2, speed),
        ("columns", "speed", "Speed of the loop by columns", f"columns of X ({size:,} ratings)", None, speed),
    ]
    with plt.style.context(["default", PICTURE_STYLE]):
        figure, axes = plt.subplots(4, 1, figsize=(4.8, 14))
        several = len({n for *_, n in tables["ratings"]}) > 1
        for axis, (table, name, title, x_label, base, y_label) in zip(axes, panels, strict=True):
            for (setting, n_jobs), (x, y) in lines_of(tables[table], name).items():
                color, line, marker = STYLES[setting]
                face = color if n_jobs == 1 else "white"  # markers of more threads are open
                label = setting + several * (f", {n_jobs} thread" + "s" * (n_jobs > 1))
                axis.plot(x, y, color=color, linestyle=line, marker=marker, markerfacecolor=face, label=label)
            axis.set(title=title, xlabel=x_label, ylabel=y_label)
            if base:
                axis.set_xscale("log", base=base)
                axis.xaxis.set_minor_locator(NullLocator())
                axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            if name == "whole":
                seconds = [row.whole for row in tables[table].values()]
                axis.set_yscale("log")
                axis.set_ylim(10 ** np.floor(np.log10(min(seconds))), 10 ** np.ceil(np.log10(max(seconds))))
                axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
                axis.yaxis.set_minor_locator(NullLocator())
            else:
                axis.set_ylim(bottom=0)
            axis.grid(True)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", frameon=False)
        figure.savefig(path, metadata={"Date": None})


def save(path, tables, size):
    """Keep all figures in a file."""
    rows = {title: [[*name, *row] for name, row in table.items()] for title, table in tables.items()}
    with open(path, "w") as file:
        json.dump({"size": size, **rows}, file)


def load(path):
    """Give what ``save`` has kept: tables and the number of ratings for rank and columns."""
    with open(path) as file:
        kept = json.load(file)
    size = kept.pop("size")
    return {title: {tuple(row[:3]): Figures(*row[3:]) for row in rows} for title, rows in kept.items()}, size


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=10_000_000, help="most ratings to fit")
    parser.add_argument("--size", type=int, choices=SHAPES, default=1_000_000, help="ratings for rank and columns")
    parser.add_argument("--ranks", type=int, nargs="+", default=RANKS)
    parser.add_argument("--columns", type=int, nargs="+", default=COLUMNS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--fastest", action="store_true", help="the fastest run, not the median")
    parser.add_argument("--processor-time", action="store_true", help="seconds of the processor, one thread")
    parser.add_argument("--draw", metavar="FILE.svg")
    parser.add_argument("--save", metavar="FILE.json")
    parser.add_argument("--figures", metavar="FILE.json", help="draw these, and measure nothing")
    options = parser.parse_args()
    if options.processor_time and options.threads != [1]:
        parser.error("--processor-time needs --threads 1")
    return options


def main():
    options = parse()
    if options.figures:
        tables, size = load(options.figures)
    else:
        if options.processor_time:
            os.environ[PROCESSOR_TIME] = "1"
        size, rest = options.size, (options.threads, options.repeats, options.fastest)
        print(f"rank 32 and two columns unless said, {EPOCHS} epochs; rank and columns on {size:,} ratings")
        sizes = [n for n in SHAPES if n <= options.largest]
        steps = [
            ("ratings", lambda: by_ratings(sizes, *rest)),
            ("rank", lambda: by_rank(size, options.ranks, *rest)),
            ("columns", lambda: by_columns(size, options.columns, *rest)),
        ]
        tables = {}
        for title, step in steps:
            tables[title] = step()
            print_table(title, tables[title])
    if options.save:
        save(options.save, tables, size)
    if options.draw:
        draw(options.draw, tables, size)


if __name__ == "__main__":
    main()
