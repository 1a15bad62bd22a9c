"""Random canonical ratings and their grid, and the way back from places in the grid to levels."""

import numpy as np

from helpers.descent import ONE
from sklearn_mf._training.grid import make_grid
from sklearn_mf._training.ratings import CodedRatings, canonical_ratings
from sklearn_mf._training.scaling import TargetScale


def random_rows(n, sizes, seed=0, n_values=4):
    rng = np.random.default_rng(seed)
    codes = [rng.integers(size, size=n).astype(np.int32) for size in sizes]
    return codes, rng.integers(n_values, size=n).astype(float), rng.integers(0, 4, n).astype(float)


def canonical(codes, values, weights=None, sizes=None, n_groups=None, shard=ONE, rank=4):
    sizes = sizes or [int(column.max()) + 1 for column in codes]
    coded = CodedRatings(list(codes), values, weights, list(sizes))
    return canonical_ratings(coded, rank, np.random.default_rng(0), shard, n_groups)


def levels(ratings):
    """The level of each rating in each field, back from the places in the grid."""
    level_of = np.empty(int(ratings.layout.offset[-1]), dtype=int)
    for row_of in ratings.layout.row_of:
        level_of[row_of] = np.arange(len(row_of))
    rows = ratings.index.astype(np.int64)
    rows[:, :2] += np.repeat(ratings.layout.first_row, np.diff(ratings.block_start), axis=0)
    return level_of[rows]


def held(ratings, weights=None):
    weights = np.ones(len(ratings.values)) if weights is None else weights
    rows = zip(levels(ratings).tolist(), ratings.values, weights, strict=True)
    return sorted(((*row, value), weight) for row, value, weight in rows)


def grid_of(sizes, n=3000, n_groups=None, seed=0, weighted=False, learning_rate=0.05):
    codes, values, weights = random_rows(n, sizes, seed, n_values=10**6)
    ratings = canonical(codes, values, weights + 1 if weighted else None, sizes, n_groups)
    before = held(ratings, ratings.weights)
    return before, make_grid(ratings, TargetScale(0.0, 1.0), ONE, learning_rate)


def stacked_rows(grid, block):
    """Stacked row numbers of the ratings of a block."""
    ratings = slice(grid.block_start[block], grid.block_start[block + 1])
    local = grid.index[ratings].astype(np.int64)
    context_rows = grid.context_rows[grid.context_start[block] : grid.context_start[block + 1]]
    return np.concatenate([local[:, :2] + grid.first_row[block], context_rows[local[:, 2:]]], axis=1)
