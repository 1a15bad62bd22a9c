"""RMSE on MovieLens 100K with context columns, and of the mean of models with different seeds; five folds.

    python benchmarks/seeds_and_context.py FOLDER [--draw docs/pictures/seeds_and_context.svg]

FOLDER is that of ml-100k, with u.data and u.item. Columns: the year of the film, its combination of genres, the week of
the rating.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.ensemble import BaggingRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import KFold

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import load_ratings

SETTINGS = {
    "defaults": {},
    "rank 64, 30 epochs, alpha 0.1": {"rank": 64, "max_iter": 30, "alpha": 0.1},
    "without implicit features": {"implicit_features": None, "alpha": 0.04},
}
SEEDS = [1, 2, 4, 8]
STYLE = Path(__file__).parents[1] / "docs" / "pictures" / "sklearn_mf.mplstyle"


def load(folder):
    """The ratings and tables of X: user and item, and with them the year, the genres, the week, or several."""
    ratings = load_ratings(folder / "u.data", columns=(0, 1, 3, 2))
    X, when = ratings.data[:, :2], ratings.data[:, 2]
    films = [line.split("|") for line in (folder / "u.item").read_text(encoding="latin-1").splitlines()]
    year = {int(film[0]): int(film[2][-4:] or 0) for film in films}
    genres = {int(film[0]): int("".join(film[5:]), 2) for film in films}
    columns = {
        "year": [year[item] for item in X[:, 1].tolist()],
        "genres": [genres[item] for item in X[:, 1].tolist()],
        "week": (when - when.min()) // (7 * 24 * 3600),
    }
    choices = [[], ["year"], ["genres"], ["week"], ["year", "genres"], ["year", "genres", "week"]]
    tables = {
        " + ".join(names) or "user, item": np.column_stack([X, *(columns[n] for n in names)]) for names in choices
    }
    return tables, ratings.target


def scores(X, y, parameters):
    """RMSE of the mean of the first 1, 2, 4 and 8 of eight seeds; means over the folds."""
    found = []
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        seeds = BaggingRegressor(MatrixFactorizationRegressor(**parameters), SEEDS[-1], bootstrap=False, random_state=0)
        seeds.fit(X[train], y[train])
        each = np.array([model.predict(X[test]) for model in seeds.estimators_])
        found.append([root_mean_squared_error(y[test], each[:n].mean(axis=0)) for n in SEEDS])
    return np.mean(found, axis=0)


def draw(found, path):
    """Draw a panel for each setting: by how many percent the RMSE changes, against one model of user and item alone."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    lines_of_tables = ["-", "--", ":", "-.", (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (1, 3))]
    styles = [{"marker": marker, "linestyle": line} for marker, line in zip("os^DvP", lines_of_tables, strict=True)]
    with plt.style.context(["default", STYLE]):
        figure, axes = plt.subplots(len(found), 1, figsize=(4.8, 3.1 * len(found) + 0.8), sharey=True)
        for axis, (setting, lines) in zip(axes, found.items(), strict=True):
            without = lines["user, item"][0]
            for style, (table, values) in zip(styles, lines.items(), strict=True):
                axis.plot(SEEDS, 100 * (np.array(values) / without - 1), label=table, **style)
            axis.axhline(0, color="black", linewidth=0.8, zorder=1)
            axis.set(title=f"{setting}\n(0 is a test RMSE of {without:.4f})", ylabel="change of RMSE (%)", xscale="log")
            axis.set_xticks(SEEDS, map(str, SEEDS))
            axis.minorticks_off()
            axis.set_xlabel("models with different seeds in the mean")
        kw = {"ncols": 2, "title": "columns of X", "handlelength": 3.5}
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", **kw)
        figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("--draw", metavar="FILE.svg")
    arguments = parser.parse_args()
    tables, y = load(arguments.folder)
    found = {}
    for setting, parameters in SETTINGS.items():
        print(f"\n{setting}\n| columns of X | " + " | ".join(f"{n} seeds" for n in SEEDS) + " |\n|---|---|---|---|---|")
        found[setting] = {}
        for table, X in tables.items():
            found[setting][table] = scores(X, y, parameters)
            print(f"| {table} | " + " | ".join(f"{value:.4f}" for value in found[setting][table]) + " |", flush=True)
    if arguments.draw:
        draw(found, arguments.draw)


if __name__ == "__main__":
    main()
