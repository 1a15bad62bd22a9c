"""Test RMSE over learning_rate (three decades) and rank (4 to 256) on real ratings: none worse than a constant.

    python benchmarks/heat_maps.py [--n-jobs 2] [--draw docs/pictures/heat_maps.svg]

A table for each set, everything else at its default; the best constant has the standard deviation of the test ratings.
"""

import argparse
import warnings

import numpy as np
from _real import PICTURE_STYLE, real_sets, rmse
from sklearn.exceptions import ConvergenceWarning

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.plotting import SearchHeatMapDisplay

LEARNING_RATES = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
RANKS = [4, 8, 16, 32, 64, 128, 256]


def measure(X, y, train, test, n_jobs):
    """Give the RMSE, an array (ranks, learning rates), and how many fits warned."""
    scores, n_warned = np.empty((len(RANKS), len(LEARNING_RATES))), 0
    for i, rank in enumerate(RANKS):
        for j, learning_rate in enumerate(LEARNING_RATES):
            model = MatrixFactorizationRegressor(rank, learning_rate=learning_rate, n_jobs=n_jobs, random_state=0)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ConvergenceWarning)
                scores[i, j] = rmse(model.fit(X[train], y[train]).predict(X[test]), y[test])
            n_warned += bool(caught)
    return scores, n_warned


def draw(maps, path):
    """Draw a panel for each of ``maps`` (name, RMSEs, best constant), one below the other."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.use("svg")
    with plt.style.context(["default", PICTURE_STYLE]):
        figure, axes = plt.subplots(len(maps), 1, figsize=(4.8, 3.6 * len(maps)))
        for axis, (name, scores, constant) in zip(axes, maps, strict=True):
            axis.set_title(f"{name}: test RMSE\n(the best constant has {constant:.3f})")
            given = {"x_values": LEARNING_RATES, "x_name": "learning_rate", "y_values": RANKS, "y_name": "rank"}
            display = SearchHeatMapDisplay(scores=scores, score_name="RMSE", greater_is_better=False, **given)
            kw = {"imshow_kw": {"vmin": 0.7 * constant, "vmax": constant}, "text_kw": {"fontweight": "normal"}}
            display.plot(axis, colorbar=False, values_format=".3f", best_kw={"visible": False}, **kw)
        colors = mpl.cm.ScalarMappable(mpl.colors.Normalize(0.7, 1.0), display.im_.cmap)
        label = "RMSE / RMSE of the best constant"
        figure.colorbar(colors, ax=axes, location="bottom", aspect=30, pad=0.01, label=label)
        figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--draw", metavar="FILE", help="a figure of the tables")
    arguments = parser.parse_args()
    maps = []
    for name, X, y, splits in real_sets():
        train, test = splits[0]
        scores, n_warned = measure(X, y, train, test, arguments.n_jobs)
        constant = float(y[test].std())
        maps.append((name, scores, constant))
        print(f"\n{name}: standard deviation of the test ratings {constant:.4f}; {n_warned} fits warned\n")
        print("| rank | " + " | ".join(map(str, LEARNING_RATES)) + " |\n|---|" + "---|" * len(LEARNING_RATES))
        for rank, row in zip(RANKS, scores, strict=True):
            print(f"| {rank} | " + " | ".join(f"{score:.4f}" for score in row) + " |")
        print(f"worst {scores.max():.4f}, NaN {np.isnan(scores).sum()}", flush=True)
    if arguments.draw:
        draw(maps, arguments.draw)


if __name__ == "__main__":
    main()
