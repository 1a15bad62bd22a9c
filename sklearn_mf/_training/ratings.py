"""Make ratings canonical: rows in any order become blocks, in an order that depends only on the set of ratings.

With canonical ratings, a fit depends only on the *set* of ratings. Equal ratings (same ids and value) are merged, and
their weights are added. So a weight of 3 is the same as three rows.

Each row goes to the shard of its user, and a counting sort moves it to its block. Then each block is sorted in the
cache: by band if it has several (``Bands`` in layout.py), then by a hash of the indices. The order by hash is
pseudo-random, so ratings of the same user or item are far apart. The order depends on nothing but the set of ratings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sklearn_mf._kernel.grid import RatingBlocks, RatingPartitioner
from sklearn_mf._training.layout import (
    Bands,
    GridLayout,
    assign_groups,
    choose_bands,
    choose_n_groups,
    choose_n_sections,
)
from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.threads import chunks

_MAX_CHUNK = 2**18  # rows per task, the length of temporary arrays


@dataclass
class CodedRatings:
    """Hold ratings in their original order, with codes for ids."""

    codes: list[np.ndarray]  # per field, int32 (n,): level of each row
    values: np.ndarray  # (n,)
    weights: np.ndarray | None  # (n,), at least 0
    n_levels: list[int]  # per field

    def let_go(self) -> None:
        """Drop the arrays, to free memory."""
        self.codes, self.values, self.weights = [], np.empty(0), None


@dataclass
class Ratings:
    """Hold canonical ratings of a shard, block after block."""

    layout: GridLayout
    index: np.ndarray  # int32 (n, n_fields): row within the group for users and items, stacked row for context fields
    values: np.ndarray  # float64 (n,)
    weights: np.ndarray | None  # float64 (n,), relative to the unit; or None when all are 1
    block_start: np.ndarray  # int64 (n_blocks + 1,)
    weight_unit: float = 1.0  # mean of the weights of the caller, after merging

    @property
    def blocks(self) -> RatingBlocks:
        """The same arrays, for the kernel."""
        return RatingBlocks(self.index, self.values, self.weights, self.block_start)

    @property
    def average(self) -> BlockAverage:
        """Average of numbers over the ratings of all shards."""
        return BlockAverage(self.layout, self.block_start, self.weights)


@dataclass(frozen=True)
class BlockAverage:
    """Compute weighted averages over the ratings of all shards, one block after another.

    Without a layout, all ratings are one block.
    """

    layout: GridLayout | None
    block_start: np.ndarray  # int64 (n_blocks + 1,)
    weights: np.ndarray | None  # (n,)

    def of(self, function: Callable[[slice], np.ndarray], shard: Shard) -> float:
        """Average the result of ``function``, which gets runs of ratings."""
        total, weight = self.sums(function, shard)
        return total / weight

    def sums(self, function: Callable[[slice], np.ndarray], shard: Shard) -> tuple[float, float]:
        """Sum weights times the result of ``function``, which gets runs of ratings; also return the summed weights."""

        def sums_of(run: slice) -> np.ndarray:
            ratings = slice(self.block_start[run.start], self.block_start[run.stop])
            starts = self.block_start[run] - ratings.start
            numbers = function(ratings)
            if self.weights is None:
                weights = np.diff(self.block_start[run.start : run.stop + 1]).astype(np.float64)
                return np.stack([_sum_each(numbers, starts), weights], axis=1)
            weights = self.weights[ratings]
            return np.stack([_sum_each(numbers * weights, starts), _sum_each(weights, starts)], axis=1)

        parts = shard.threads.map(sums_of, self._runs())
        own = np.concatenate([np.empty((0, 2)), *parts])
        total, weight = (own if self.layout is None else self.layout.of_all_blocks(own, shard)).sum(axis=0)
        return float(total), float(weight)

    def _runs(self) -> list[slice]:
        """Cut the blocks into runs of about ``_MAX_CHUNK`` ratings."""
        ends = np.searchsorted(self.block_start, np.arange(_MAX_CHUNK, self.block_start[-1], _MAX_CHUNK))
        bounds = np.unique([0, *ends, len(self.block_start) - 1])
        return [slice(int(a), int(b)) for a, b in pairwise(bounds)]


def _sum_each(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sum the numbers from each start to the next."""
    sums, ends = np.zeros(len(starts)), np.append(starts[1:], len(values))
    filled = starts < ends
    if filled.any():
        sums[filled] = np.add.reduceat(values, starts[filled], dtype=np.float64)
    return sums


@dataclass
class HeldOut:
    """Hold ratings that are not trained on."""

    indices: np.ndarray  # int32 (n, n_fields): levels, or stacked rows; -1 where unknown
    values: np.ndarray  # float64 (n,)
    weights: np.ndarray | None  # float64 (n,)
    layout: GridLayout | None = None  # if drawn from canonical ratings; indices are then stacked rows
    block_start: np.ndarray | None = None  # int64 (n_blocks + 1,), if there is a layout

    @property
    def average(self) -> BlockAverage:
        """Average of numbers over the ratings of all shards."""
        start = np.array([0, len(self.values)]) if self.block_start is None else self.block_start
        return BlockAverage(self.layout, start, self.weights)

    def rows_of(self, layout: GridLayout) -> np.ndarray:
        """Return the stacked rows, int32 (n, n_fields)."""
        if self.layout is not None:
            return self.indices
        rows = np.empty_like(self.indices)
        for f, row_of in enumerate(layout.row_of):
            rows[:, f] = np.where(self.indices[:, f] < 0, -1, row_of[self.indices[:, f]] - layout.offset[f])
        return rows


def canonical_ratings(
    coded: CodedRatings, rank: int, rng: np.random.Generator, shard: Shard, n_groups: int | None = None
) -> Ratings:
    """Drop ratings of weight 0, scatter the others to blocks, sort, merge equal ones, divide weights by their mean.

    The input is used up. If ``n_groups`` is None, it is chosen here.
    """
    n_levels = coded.n_levels
    permutations = [rng.permutation(n) for n in n_levels[:2]]
    seed = int(rng.integers(2**63))
    own = np.array([len(coded.values) if coded.weights is None else np.count_nonzero(coded.weights)])
    n_rows = int(shard.gather(own).sum())
    # Weights are multiplied by a power of two when they are scattered.
    scale = 1.0 if coded.weights is None else _scale_of_weights(coded.weights, shard)
    while True:
        P = n_groups or choose_n_groups(n_rows, *n_levels[:2], rank)
        n_sections = choose_n_sections(n_rows, *n_levels[:2], P)
        layout = assign_groups(n_levels, permutations, P, n_sections, shard)
        bands = choose_bands(*n_levels[:2], P, rank)
        ratings, n_equal = _scatter_ratings(_to_their_shards(coded, layout, shard), layout, bands, seed, scale, shard)
        n_rows = int(shard.gather(np.array([len(ratings.values) - n_equal])).sum())
        # Merged and repeated ratings must give the same numbers of groups and sections.
        P = n_groups or choose_n_groups(n_rows, *n_levels[:2], rank)
        if (P, choose_n_sections(n_rows, *n_levels[:2], P)) == (layout.n_groups, n_sections):
            break
        del ratings
    coded.let_go()
    if shard.gather(np.array([n_equal])).any():
        _merge_equal(ratings, shard)
    _divide_weights(ratings, shard)
    ratings.weight_unit /= scale
    return ratings


def hold_out(ratings: Ratings, fraction: float, rng: np.random.Generator, shard: Shard) -> tuple[Ratings, HeldOut]:
    """Draw about ``fraction`` of the ratings. Return the others and the drawn ratings, at least one of each."""
    layout, seed = ratings.layout, int(rng.integers(2**63))
    is_held = _draw(ratings, fraction, seed, shard)
    n_held = [np.count_nonzero(is_held[lo:hi]) for lo, hi in pairwise(ratings.block_start.tolist())]
    held_start = np.concatenate([[0], np.cumsum(n_held)]).astype(np.int64)
    kept, (index, values, weights) = _split(ratings, is_held, int(held_start[-1]), shard)
    training = Ratings(layout, *kept, ratings.block_start - held_start)
    _divide_weights(training, shard)
    training.weight_unit *= ratings.weight_unit
    of_block = layout.first_row - layout.offset[:2]
    for b, (lo, hi) in enumerate(pairwise(held_start.tolist())):
        index[lo:hi, :2] += of_block[b].astype(np.int32)
    index[:, 2:] -= layout.offset[2:-1].astype(np.int32)
    return training, HeldOut(index, values, weights, layout, held_start)


def _split(ratings: Ratings, is_held: np.ndarray, n_held: int, shard: Shard) -> list[list[np.ndarray | None]]:
    """Copy index, values and weights: first of the ratings that are kept, then of those that are held out."""
    given = [ratings.index, ratings.values, ratings.weights]
    copies = [
        [None if array is None else shard.storage.empty((n, *array.shape[1:]), array.dtype) for array in given]
        for n in (len(is_held) - n_held, n_held)
    ]
    ends = [0, 0]
    for part in chunks(len(is_held), _MAX_CHUNK):
        for side, is_side in enumerate((~is_held[part], is_held[part])):
            rows = part.start + np.flatnonzero(is_side)
            start, ends[side] = ends[side], ends[side] + len(rows)
            for array, copy in zip(given, copies[side], strict=True):
                if array is not None:
                    copy[start : ends[side]] = array[rows]
    return copies


def _draw(ratings: Ratings, fraction: float, seed: int, shard: Shard) -> np.ndarray:
    """Draw ratings, with a generator for each block; bool (n,). In total, at least one is drawn and one is not."""
    layout, start = ratings.layout, ratings.block_start
    numbers = layout.numbers_of_blocks
    is_held = shard.storage.empty(len(ratings.values), np.bool_)
    extremes = np.full((len(numbers), 2), [np.inf, -np.inf])

    def draw(blocks: np.ndarray) -> None:
        for b in blocks[start[blocks] < start[blocks + 1]]:
            draws = np.random.default_rng([seed, numbers[b]]).random(int(start[b + 1] - start[b]), dtype=np.float32)
            is_held[start[b] : start[b + 1]] = draws < fraction
            extremes[b] = draws.min(), draws.max()
            places[b] = start[b] + draws.argmin(), start[b] + draws.argmax()

    places = np.zeros((len(numbers), 2), dtype=np.int64)
    shard.threads.map(draw, layout.blocks_of_users)
    of_all = layout.of_all_blocks(extremes, shard)
    for column, best, value in ((0, of_all[:, 0].argmin(), True), (1, of_all[:, 1].argmax(), False)):
        own = np.flatnonzero(numbers == best)
        if len(own):
            is_held[places[own[0], column]] = value
    return is_held


def _to_their_shards(coded: CodedRatings, layout: GridLayout, shard: Shard) -> CodedRatings:
    """Send ratings to the shards of their users, and receive those of this shard."""
    if layout.is_whole:
        return coded
    owner = layout.owner[layout.places[0][coded.codes[0], 1]]
    columns = [*coded.codes, coded.values, *([] if coded.weights is None else [coded.weights])]
    rows = [np.flatnonzero(owner == k) for k in range(shard.n_shards)]
    received = shard.exchange([[np.ascontiguousarray(column[own]) for column in columns] for own in rows])
    columns = [np.concatenate(parts) for parts in zip(*received, strict=True)]
    n_fields = len(coded.codes)
    weights = None if coded.weights is None else columns[n_fields + 1]
    return CodedRatings(columns[:n_fields], columns[n_fields], weights, coded.n_levels)


def _scatter_ratings(
    coded: CodedRatings, layout: GridLayout, bands: Bands, seed: int, scale: float, shard: Shard
) -> tuple[Ratings, int]:
    """Scatter ratings to their blocks, and sort each block. Return them, and how many equal the previous rating."""
    weights, n_blocks, threads = coded.weights, len(layout.own_groups) * layout.n_groups, shard.threads
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
    if max(layout.offset[-1], np.diff(block_start).max(initial=0)) >= 2**31:
        raise ValueError(
            f"X has {layout.offset[-1]} levels in all columns together, and {n_kept} rows. That is too many: a fit "
            "needs fewer than 2**31 levels, and fewer than 2**31 rows in each block of the grid."
        )
    empty = shard.storage.empty
    scattered_weights = None if weights is None else empty(n_kept, np.float64)
    index = empty((n_kept, len(coded.codes)), np.int32)
    ratings = Ratings(layout, index, empty(n_kept, np.float64), scattered_weights, block_start)
    blocks = ratings.blocks

    def scatter(task: int) -> None:
        piece = pieces[task]
        values = part(coded.values, piece)
        partitioner.scatter(piece.start, piece.stop, values, part(weights, piece), scale, next_place[task], blocks)

    threads.map(scatter, range(len(pieces)))
    n_equal = threads.map(lambda of_group: blocks.order(of_group, seed, bands), layout.blocks_of_users)
    return ratings, sum(n_equal)


def _merge_equal(ratings: Ratings, shard: Shard) -> None:
    """Merge ratings that equal the previous rating, in place."""
    if ratings.weights is None:
        ratings.weights = shard.storage.empty(len(ratings.values), np.float64)
        ratings.weights[:] = 1.0
    blocks, n_left = ratings.blocks, np.zeros(len(ratings.block_start) - 1, dtype=np.int64)
    shard.threads.map(lambda of_group: blocks.merge(of_group, n_left), ratings.layout.blocks_of_users)
    # One block after another moves to the new end of the previous block.
    new_start = np.concatenate([[0], np.cumsum(n_left)])
    for array in (ratings.index, ratings.values, ratings.weights):
        for b in range(len(n_left)):
            lo = ratings.block_start[b]
            array[new_start[b] : new_start[b + 1]] = array[lo : lo + n_left[b]]
    n = new_start[-1]
    ratings.index, ratings.values, ratings.weights = ratings.index[:n], ratings.values[:n], ratings.weights[:n]
    ratings.block_start = new_start


def _divide_weights(ratings: Ratings, shard: Shard) -> None:
    """Make weights relative to their mean."""
    weights = ratings.weights
    lowest, highest = extremes(np.ones(1) if weights is None else weights, shard)
    if lowest == highest:
        ratings.weights, ratings.weight_unit = None, lowest
        return
    unit = BlockAverage(ratings.layout, ratings.block_start, None).of(lambda part: weights[part], shard)
    for part in chunks(len(weights), _MAX_CHUNK):
        weights[part] /= unit
    ratings.weight_unit = unit


def extremes(values: np.ndarray, shard: Shard) -> tuple[float, float]:
    """Find the smallest and the largest number of all shards."""
    own = np.array([[values.min(), values.max()] if len(values) else [np.inf, -np.inf]], dtype=np.float64)
    ends = shard.gather(own)
    return float(ends[:, 0].min()), float(ends[:, 1].max())


def _scale_of_weights(weights: np.ndarray, shard: Shard) -> float:
    """Return a power of two as a factor, which is exact and keeps sums of weights from overflowing."""
    return math.ldexp(1.0, min(-math.frexp(extremes(weights, shard)[1])[1], 1000))
