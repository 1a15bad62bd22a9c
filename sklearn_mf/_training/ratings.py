"""Make ratings canonical: rows in any order become blocks, in an order that depends on the set of ratings alone.

Canonical ratings make a fit a function of the *set* of ratings: they are put into an order that depends on nothing
else, equal ones are merged and their weights added, so the order of the rows is gone and a weight of 3 is the same as
three rows.

Rows are scattered to their blocks by counting; each block is then ordered by a hash of its indices, by itself and in
the cache. That order is random, so that ratings of one row are far apart, and canonical.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sklearn_mf._kernel.grid import RatingBlocks, RatingPartitioner
from sklearn_mf._training.layout import GridLayout, assign_groups, blocks_by_group, choose_n_groups
from sklearn_mf._utils.threads import Threads, chunks

_MAX_CHUNK = 2**18  # rows a task: temporary arrays are of this length


@dataclass
class CodedRatings:
    """Hold ratings as they came, with codes for ids."""

    codes: list[np.ndarray]  # per field, int32 (n,): level of each row
    values: np.ndarray  # (n,)
    weights: np.ndarray | None  # (n,), at least 0
    n_levels: list[int]  # per field


@dataclass
class Ratings:
    """Hold canonical ratings, block after block."""

    layout: GridLayout
    index: np.ndarray  # int32 (n, n_fields): row within the group for users and items, stacked row for context fields
    values: np.ndarray  # float64 (n,)
    weights: np.ndarray | None  # float64 (n,), relative to the unit; or None when all are 1
    block_start: np.ndarray  # int64 (n_blocks + 1,)
    weight_unit: float = 1.0  # of the weights that were given: their mean after merging

    @property
    def blocks(self) -> RatingBlocks:
        """The same arrays, for work in the kernel."""
        return RatingBlocks(self.index, self.values, self.weights, self.block_start)


@dataclass
class HeldOut:
    """Hold ratings that are not trained on."""

    indices: np.ndarray  # int32 (n, n_fields): levels, -1 where unknown
    values: np.ndarray  # float64 (n,)
    weights: np.ndarray | None  # float64 (n,)


def canonical_ratings(
    coded: CodedRatings,
    rank: int,
    rng: np.random.Generator,
    threads: Threads,
    n_groups: int | None = None,
) -> Ratings:
    """Drop weights of zero, scatter ratings to blocks, order them, merge what is equal, divide weights by their mean.

    The codes are used up. ``n_groups`` is chosen unless given.
    """
    n_levels, weights = coded.n_levels, coded.weights
    permutations = [rng.permutation(n) for n in n_levels[:2]]
    seed = int(rng.integers(2**63))
    n_rows = len(coded.values) if weights is None else int(np.count_nonzero(weights))
    while True:
        layout = assign_groups(n_levels, permutations, n_groups or choose_n_groups(n_rows, *n_levels[:2], rank))
        ratings, n_equal = _scatter_ratings(coded, layout, seed, threads)
        n_rows = len(ratings.values) - n_equal
        # The number of groups must not tell merged ratings from repeated ones.
        if not n_equal or n_groups or choose_n_groups(n_rows, *n_levels[:2], rank) == layout.n_groups:
            break
        del ratings
    coded.codes.clear()  # to make room
    if n_equal:
        _merge_equal(ratings, threads)
    # Weights were multiplied by a power of two when they were scattered.
    scale = 1.0 if weights is None else _scale_of_weights(weights)
    _divide_weights(ratings)
    ratings.weight_unit /= scale
    return ratings


def hold_out(ratings: Ratings, fraction: float, rng: np.random.Generator) -> tuple[Ratings, HeldOut]:
    """Draw about ``fraction`` of the ratings; return the others and those drawn, at least one of each."""
    draws = rng.random(len(ratings.values), dtype=np.float32)
    is_held = draws < fraction
    is_held[draws.argmin()], is_held[draws.argmax()] = True, False
    held, kept = np.flatnonzero(is_held), np.flatnonzero(~is_held)

    def pick(which: np.ndarray) -> list[np.ndarray | None]:
        weights = None if ratings.weights is None else ratings.weights[which]
        return [ratings.index[which], ratings.values[which], weights]

    block_start = np.searchsorted(kept, ratings.block_start).astype(np.int64)
    training = Ratings(ratings.layout, *pick(kept), block_start)
    _divide_weights(training)
    training.weight_unit *= ratings.weight_unit
    index, values, weights = pick(held)
    block = np.searchsorted(ratings.block_start, held, side="right") - 1
    index[:, :2] += ratings.layout.first_row[block].astype(np.int32)
    level = np.empty(ratings.layout.offset[-1], dtype=np.int32)
    for row_of in ratings.layout.row_of:
        level[row_of] = np.arange(len(row_of), dtype=np.int32)
    return training, HeldOut(level[index], values, weights)


def _scatter_ratings(coded: CodedRatings, layout: GridLayout, seed: int, threads: Threads) -> tuple[Ratings, int]:
    """Scatter ratings to their blocks and order each; return them, and how many equal the one before."""
    weights, n_blocks = coded.weights, layout.n_groups**2
    pieces = chunks(len(coded.values), _MAX_CHUNK)
    partitioner = RatingPartitioner(coded.codes, layout)

    def part(array: np.ndarray | None, piece: slice) -> np.ndarray | None:
        return None if array is None else np.ascontiguousarray(array[piece], dtype=np.float64)

    next_place = np.zeros((len(pieces), n_blocks), dtype=np.int64)

    def count(task: int) -> None:
        piece = pieces[task]
        partitioner.count(piece.start, piece.stop, part(weights, piece), next_place[task])

    threads.map(count, range(len(pieces)))
    block_start = np.concatenate([[0], np.cumsum(next_place.sum(axis=0))]).astype(np.int64)
    next_place = block_start[:-1] + np.cumsum(next_place, axis=0) - next_place

    n_kept = int(block_start[-1])
    if max(layout.offset[-1], np.diff(block_start).max()) >= 2**31:
        raise ValueError(
            f"X has {layout.offset[-1]} levels in all columns together, and {n_kept} rows; 2**31 or more levels, or "
            "rows of one block of the grid, are too many."
        )
    scattered_weights = None if weights is None else np.empty(n_kept)
    index = np.empty((n_kept, len(coded.codes)), dtype=np.int32)
    ratings = Ratings(layout, index, np.empty(n_kept), scattered_weights, block_start)
    blocks = ratings.blocks
    scale = 1.0 if weights is None else _scale_of_weights(weights)

    def scatter(task: int) -> None:
        piece = pieces[task]
        values = part(coded.values, piece)
        partitioner.scatter(piece.start, piece.stop, values, part(weights, piece), scale, next_place[task], blocks)

    threads.map(scatter, range(len(pieces)))
    n_equal = threads.map(lambda of_group: blocks.order(of_group, seed), blocks_by_group(layout.n_groups, 0))
    return ratings, sum(n_equal)


def _merge_equal(ratings: Ratings, threads: Threads) -> None:
    """Merge ratings that equal the one before, in place."""
    if ratings.weights is None:
        ratings.weights = np.ones(len(ratings.values))
    blocks, n_left = ratings.blocks, np.empty(len(ratings.block_start) - 1, dtype=np.int64)
    threads.map(lambda of_group: blocks.merge(of_group, n_left), blocks_by_group(ratings.layout.n_groups, 0))
    # In place: a block at a time moves to where the block before it ends now.
    new_start = np.concatenate([[0], np.cumsum(n_left)])
    for array in (ratings.index, ratings.values, ratings.weights):
        for b in range(len(n_left)):
            lo = ratings.block_start[b]
            array[new_start[b] : new_start[b + 1]] = array[lo : lo + n_left[b]]
    n = new_start[-1]
    ratings.index, ratings.values, ratings.weights = ratings.index[:n], ratings.values[:n], ratings.weights[:n]
    ratings.block_start = new_start


def _divide_weights(ratings: Ratings) -> None:
    """Make weights relative to their mean."""
    weights = ratings.weights
    lowest, highest = (1.0, 1.0) if weights is None else (weights.min(), weights.max())
    unit = float(lowest) if lowest == highest else float(weights.mean())
    if lowest == highest:
        ratings.weights = None
    else:
        np.divide(weights, unit, out=weights)
    ratings.weight_unit = unit


def _scale_of_weights(weights: np.ndarray) -> float:
    """Give a power of two, which is exact, so that sums of weights do not overflow."""
    return math.ldexp(1.0, min(-math.frexp(float(weights.max()))[1], 1000))
