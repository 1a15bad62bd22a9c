"""What it costs to merge rows of context columns between the blocks of a stratum, against a single block.

    python benchmarks/context_merge.py

ml-100k, five folds, with columns made from the time of the rating and from the film's year and genres. "mean" is what
the package does: a row's changes are averaged, weighted by the block's share of its ratings. The number of groups and
the other merges are no settings of the public interface: _inner_fit.py fits them.
"""

import argparse
import dataclasses
import time

import numpy as np
from _inner_fit import InnerFit
from _real import FOLDER, film_context, rmse, splits

from sklearn_mf.datasets import load_ratings

MERGES = {  # number of groups; what becomes of the shares of blocks
    "single block": (1, lambda share: share),
    "8 groups, mean": (8, lambda share: share),
    "16 groups, mean": (16, lambda share: share),
    "8 groups, share ** 0.5": (8, np.sqrt),
    "8 groups, sum": (8, np.ones_like),
}


def load():
    """Load X and y, and the context columns by name."""
    ratings = load_ratings(FOLDER / "ml-100k" / "u.data", columns=(0, 1, 3, 2))
    X, when = ratings.data[:, :2], ratings.data[:, 2]
    weeks = (when - when.min()) // (7 * 24 * 3600)
    return X, ratings.target, {"none": [], "year, genres": [film_context("ml-100k", X)[:, 2:]], "week": [weeks]}


def with_shares(change):
    """Make a function that changes the shares which a grid merges the rows of contexts with."""
    return lambda grid: dataclasses.replace(grid, context_merge_weight=change(grid.context_merge_weight))


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    X, y, contexts = load()
    print("| context columns | " + " | ".join(MERGES) + " |\n|---|" + "---|" * len(MERGES))
    for name, columns in contexts.items():
        table = np.column_stack([X, *columns])
        cells = []
        for n_groups, change in MERGES.values():
            scores, start = [], time.perf_counter()
            for train, test in splits("ml-100k", len(y)):
                model = InnerFit(n_groups=n_groups, change_grid=with_shares(change), random_state=0)
                scores.append(rmse(model.fit(table[train], y[train]).predict(table[test]), y[test]))
            cells.append(f"{np.mean(scores):.4f}, {(time.perf_counter() - start) / len(scores):.2f} s")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
