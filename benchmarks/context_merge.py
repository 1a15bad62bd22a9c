"""What it costs to merge rows of context columns between the blocks of a stratum, against a single block.

    python benchmarks/context_merge.py

ml-100k, five folds, with columns made from the time of the rating and from the film's year and genres. "mean" is what
the package does: a row's changes are averaged, weighted by the block's share of its ratings.
"""

import argparse
import dataclasses
import time
from functools import partial

import numpy as np
from _real import FOLDER, film_context, rmse, splits

import sklearn_mf._training.fit as fitting
from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import load_ratings

MERGES = {
    "single block": (1, lambda share: share),
    "8 groups, mean": (8, lambda share: share),
    "16 groups, mean": (16, lambda share: share),
    "8 groups, share ** 0.5": (8, np.sqrt),
    "8 groups, sum": (8, np.ones_like),
}


def load():
    """(X, y) and the context columns by name."""
    ratings = load_ratings(FOLDER / "ml-100k" / "u.data", columns=(0, 1, 3, 2))
    X, when = ratings.data[:, :2], ratings.data[:, 2]
    weeks = (when - when.min()) // (7 * 24 * 3600)
    return X, ratings.target, {"none": [], "year, genres": [film_context("ml-100k", X)[:, 2:]], "week": [weeks]}


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    X, y, contexts = load()
    make_grid, canonical_ratings = fitting.make_grid, fitting.canonical_ratings
    print("| context columns | " + " | ".join(MERGES) + " |\n|---|" + "---|" * len(MERGES))
    for name, columns in contexts.items():
        table = np.column_stack([X, *columns])
        cells = []
        for n_groups, change in MERGES.values():

            def changed_grid(*arguments, change=change):
                grid = make_grid(*arguments)
                return dataclasses.replace(grid, share=change(grid.share))

            fitting.canonical_ratings = partial(canonical_ratings, n_groups=n_groups)
            fitting.make_grid = changed_grid
            scores, start = [], time.perf_counter()
            for train, test in splits("ml-100k", len(y)):
                model = MatrixFactorizationRegressor(random_state=0).fit(table[train], y[train])
                scores.append(rmse(model.predict(table[test]), y[test]))
            cells.append(f"{np.mean(scores):.4f}, {(time.perf_counter() - start) / 5:.2f} s")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    fitting.make_grid, fitting.canonical_ratings = make_grid, canonical_ratings


if __name__ == "__main__":
    main()
