"""Canonical ratings in a block grid: index arrays in, arrays for the kernel out.

Canonical ratings make a fit a function of the *set* of ratings: they are put into an order that depends on nothing
else, equal ones are merged and their weights added, so the order of the rows is gone and a weight of 3 is the same as
three rows.

The grid deals users and items at random into ``n_groups`` groups each. Block (a, b) holds the ratings of user group a
and item group b; a stratum is a set of blocks with no group in common, whose updates commute (Gemulla et al. 2011).
Rows are dealt to their blocks by counting; each block is then ordered by a hash of its indices, by itself and in the
cache. That order is random, so that ratings of one row are far apart, and canonical.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sklearn_mf._kernel.kernels import (
    GROUP,
    add_row_weights,
    count_blocks,
    deal_rows,
    merge_blocks,
    number_rows,
    order_blocks,
    spread_blocks,
)
from sklearn_mf._utils.threads import Threads, chunks

_BLOCK_ROWS_BYTES = 512 * 1024  # factor rows of one block: half of a usual L2 cache
_MIN_BLOCK_RATINGS = 256  # mean per block; below, calls and cache misses cost more than they save
_MAX_BLOCK_RATINGS = 2**18  # mean per block; above, what ordering a block needs beside it is much memory
_MIN_VISITS = 6  # mean of a row in a block; below, fetching rows for a block costs more than the cache saves
_MIN_GROUPS, _MIN_LEVELS = 8, 64  # at least 8 groups where both sides have 64 levels: room for 8 threads
_CHUNK = 2**18  # rows a task: temporary arrays are of this length


@dataclass
class Deal:
    """Where each level lies. Rows of all fields are stacked, those of one group side by side."""

    n_groups: int
    offset: np.ndarray  # int64 (n_fields + 1,): first stacked row of each field
    row_of: list[np.ndarray]  # per field, int64 (n_levels,): the stacked row of each level
    group_start: list[np.ndarray]  # users and items, int64 (n_groups + 1,): first stacked row of each group
    places: list[np.ndarray]  # users and items, int32 (n_levels, 2): row within its group, group


@dataclass
class Ratings:
    """Canonical ratings, block after block. Block ``s * n_groups + a`` holds user group a in stratum s."""

    deal: Deal
    index: np.ndarray  # int32 (n, n_fields): row within the group for users and items, stacked row for further fields
    values: np.ndarray  # float64 (n,)
    weights: np.ndarray | None  # float64 (n,), relative to the unit; or None when all are 1
    block_start: np.ndarray  # int64 (n_blocks + 1,)
    weight_unit: float = 1.0  # of the weights that were given: their mean after merging, if not given too

    @property
    def first_row(self) -> np.ndarray:
        """First user row and first item row of each block, stacked; int64 (n_blocks, 2)."""
        n_groups = self.deal.n_groups
        stratum, a = np.divmod(np.arange(n_groups**2, dtype=np.int64), n_groups)
        starts = self.deal.group_start
        return np.stack([starts[0][a], starts[1][(a + stratum) % n_groups]], axis=1)


@dataclass
class HeldOut:
    """Ratings that are not trained on."""

    index: np.ndarray  # int32 (n, n_fields): levels, -1 where unknown
    values: np.ndarray  # float64 (n,)
    weights: np.ndarray | None  # float64 (n,)


@dataclass
class BlockGrid:
    """Standardized ratings as the kernel takes them; the comments of ``run_strata`` have the shapes."""

    n_groups: int
    index: np.ndarray  # row within the block's tables
    target: np.ndarray
    weight: np.ndarray | None
    group: np.ndarray
    block_start: np.ndarray
    first_row: np.ndarray
    touched: np.ndarray  # stacked rows of further fields, block after block
    touched_start: np.ndarray
    share: np.ndarray  # the block's part of that row's weight within its stratum
    row_of: list[np.ndarray]  # per field, int64 (n_levels,): the stacked row of each level
    row_weights: np.ndarray  # float64 (n_rows,): summed weight of the ratings of each stacked row


def choose_n_groups(n_ratings: int, n_users: int, n_items: int, rank: int) -> int:
    """Number of user and of item groups; a function of the data and the rank, never of the machine."""
    fewest = min(n_users, n_items)
    row_bytes = 4 * rank + 8  # factors, bias, damping
    for_cache = -(-(n_users + n_items) * row_bytes // _BLOCK_ROWS_BYTES)
    for_size = int((n_ratings / _MIN_BLOCK_RATINGS) ** 0.5)
    for_visits = n_ratings // ((n_users + n_items) * _MIN_VISITS)
    for_memory = math.ceil((n_ratings / _MAX_BLOCK_RATINGS) ** 0.5)
    at_least = _MIN_GROUPS if fewest >= _MIN_LEVELS else 1
    return min(max(min(for_cache, for_size, for_visits), for_memory, at_least), fewest)


def canonical_ratings(
    codes: list[np.ndarray],
    values: np.ndarray,
    weights: np.ndarray | None,
    n_levels: list[int],
    rank: int,
    rng: np.random.Generator,
    threads: Threads,
    n_groups: int | None = None,
    weight_unit: float | None = None,
) -> Ratings:
    """Drop weights of zero, deal the ratings to blocks, order them, merge what is equal, divide weights by their unit.

    ``codes`` has an int32 array (n,) of levels for each field, and is used up; ``n_groups`` is chosen unless given, and
    the unit of the weights is their mean.
    """
    permutations = [rng.permutation(n) for n in n_levels[:2]]
    seed = int(rng.integers(2**63))
    n_rows = len(values) if weights is None else int(np.count_nonzero(weights))
    while True:
        deal = _deal_levels(n_levels, permutations, n_groups or choose_n_groups(n_rows, *n_levels[:2], rank))
        ratings, n_equal = _dealt_ratings(codes, values, weights, deal, seed, threads)
        n_rows = len(ratings.values) - n_equal
        # The number of groups must not tell merged ratings from repeated ones.
        if not n_equal or n_groups or choose_n_groups(n_rows, *n_levels[:2], rank) == deal.n_groups:
            break
        del ratings
    codes.clear()  # to make room
    if n_equal:
        _merge(ratings, threads)
    # Weights were multiplied by a power of two when they were dealt.
    scale = 1.0 if weights is None else _scale_of_weights(weights)
    _divide_weights(ratings, None if weight_unit is None else weight_unit * scale)
    ratings.weight_unit /= scale
    return ratings


def _divide_weights(ratings: Ratings, unit: float | None) -> None:
    """Make weights relative to ``unit``, or to their mean."""
    weights = ratings.weights
    lowest, highest = (1.0, 1.0) if weights is None else (weights.min(), weights.max())
    if unit is None:
        unit = float(lowest) if lowest == highest else float(weights.mean())
    if lowest == highest == unit:
        ratings.weights = None
    elif weights is None:
        ratings.weights = np.full(len(ratings.values), 1.0 / unit)
    else:
        np.divide(weights, unit, out=weights)
    ratings.weight_unit = unit


def _scale_of_weights(weights: np.ndarray) -> float:
    """A power of two, which is exact, so that sums of weights do not overflow."""
    return math.ldexp(1.0, min(-math.frexp(float(weights.max()))[1], 1000))


def hold_out(ratings: Ratings, fraction: float, rng: np.random.Generator) -> tuple[Ratings, HeldOut]:
    """Draw about ``fraction`` of the ratings; return the others and those drawn, at least one of each."""
    n = len(ratings.values)
    draws = rng.random(n, dtype=np.float32)
    is_held = draws < fraction
    is_held[draws.argmin()], is_held[draws.argmax()] = True, False
    held, kept = np.flatnonzero(is_held), np.flatnonzero(~is_held)

    def pick(which: np.ndarray) -> list[np.ndarray | None]:
        weights = None if ratings.weights is None else ratings.weights[which]
        return [ratings.index[which], ratings.values[which], weights]

    block_start = np.searchsorted(kept, ratings.block_start).astype(np.int64)
    training = Ratings(ratings.deal, *pick(kept), block_start)
    _divide_weights(training, None)
    training.weight_unit *= ratings.weight_unit
    index, values, weights = pick(held)
    block = np.searchsorted(ratings.block_start, held, side="right") - 1
    index[:, :2] += ratings.first_row[block].astype(np.int32)
    level = np.empty(ratings.deal.offset[-1], dtype=np.int32)
    for row_of in ratings.deal.row_of:
        level[row_of] = np.arange(len(row_of), dtype=np.int32)
    return training, HeldOut(level[index], values, weights)


def _deal_levels(n_levels: list[int], permutations: list[np.ndarray], n_groups: int) -> Deal:
    """Deal users and items into groups: a level's place is drawn, its group follows from the place."""
    offset = np.concatenate([[0], np.cumsum(n_levels)]).astype(np.int64)
    group_start, row_of, places = [], [], []
    for f, place in enumerate(permutations):
        start = -(-np.arange(n_groups + 1, dtype=np.int64) * n_levels[f] // n_groups)
        group = np.repeat(np.arange(n_groups), np.diff(start))[place]
        group_start.append(offset[f] + start)
        row_of.append(offset[f] + place)
        places.append(np.stack([place - start[group], group], axis=1).astype(np.int32))
    row_of += [offset[f] + np.arange(n_levels[f], dtype=np.int64) for f in range(2, len(n_levels))]
    return Deal(n_groups, offset, row_of, group_start, places)


def _dealt_ratings(
    codes: list[np.ndarray], values: np.ndarray, weights: np.ndarray | None, deal: Deal, seed: int, threads: Threads
) -> tuple[Ratings, int]:
    """Ratings in their blocks, ordered, and how many of them equal the one before."""
    n, n_blocks = len(values), deal.n_groups**2
    pieces = chunks(n, _CHUNK)

    def part(array: np.ndarray | None, start: int, stop: int) -> np.ndarray | None:
        return None if array is None else np.ascontiguousarray(array[start:stop], dtype=np.float64)

    next_place = np.zeros((len(pieces), n_blocks), dtype=np.int64)

    def count(task: int) -> None:
        start, stop = pieces[task]
        count_blocks(codes, part(weights, start, stop), *deal.places, deal.n_groups, start, stop, next_place[task])

    threads.map(count, range(len(pieces)))
    block_start = np.concatenate([[0], np.cumsum(next_place.sum(axis=0))]).astype(np.int64)
    next_place = block_start[:-1] + np.cumsum(next_place, axis=0) - next_place

    n_kept = int(block_start[-1])
    if max(deal.offset[-1], np.diff(block_start).max()) >= 2**31:
        raise ValueError(
            f"X has {deal.offset[-1]} levels in all columns together, and {n_kept} rows; 2**31 or more levels, or rows "
            "of one block of the grid, are too many."
        )
    index = np.empty((n_kept, len(codes)), dtype=np.int32)
    dealt_values = np.empty(n_kept)
    dealt_weights = None if weights is None else np.empty(n_kept)
    scale = 1.0 if weights is None else _scale_of_weights(weights)

    def deal_out(task: int) -> None:
        start, stop = pieces[task]
        deal_rows(
            codes, part(values, start, stop), part(weights, start, stop), scale, *deal.places, deal.offset,
            deal.n_groups, start, stop, next_place[task], index, dealt_values, dealt_weights,
        )  # fmt: skip

    threads.map(deal_out, range(len(pieces)))
    ratings = Ratings(deal, index, dealt_values, dealt_weights, block_start)
    n_equal = threads.map(
        lambda blocks: order_blocks(blocks, block_start, seed, index, dealt_values, dealt_weights),
        _blocks_by_user_group(deal.n_groups),
    )
    return ratings, sum(n_equal)


def _blocks_by_user_group(n_groups: int) -> list[np.ndarray]:
    return [np.arange(a, n_groups**2, n_groups, dtype=np.int64) for a in range(n_groups)]


def _merge(ratings: Ratings, threads: Threads) -> None:
    if ratings.weights is None:
        ratings.weights = np.ones(len(ratings.values))
    n_left = np.empty(len(ratings.block_start) - 1, dtype=np.int64)
    threads.map(
        lambda blocks: merge_blocks(
            blocks, ratings.block_start, ratings.index, ratings.values, ratings.weights, n_left
        ),
        _blocks_by_user_group(ratings.deal.n_groups),
    )
    # In place: a block at a time moves to where the block before it ends now.
    new_start = np.concatenate([[0], np.cumsum(n_left)])
    for array in (ratings.index, ratings.values, ratings.weights):
        for b in range(len(n_left)):
            lo = ratings.block_start[b]
            array[new_start[b] : new_start[b + 1]] = array[lo : lo + n_left[b]]
    n = new_start[-1]
    ratings.index, ratings.values, ratings.weights = ratings.index[:n], ratings.values[:n], ratings.weights[:n]
    ratings.block_start = new_start


def location_and_scale(ratings: Ratings, fit_bias: bool, threads: Threads) -> tuple[float, float, tuple[float, float]]:
    """Weighted mean and standard deviation (without biases 0 and the root mean square), and the range of ratings."""
    pieces = [slice(*piece) for piece in chunks(len(ratings.values), _CHUNK)]

    def mean(of: Callable[[np.ndarray], np.ndarray]) -> float:
        def partial(piece: slice) -> np.ndarray:
            x = of(ratings.values[piece])
            return np.array([x.sum(), len(x)] if ratings.weights is None else _weighted(x, ratings.weights[piece]))

        total, weight = np.sum(threads.map(partial, pieces), axis=0)
        return float(total / weight)

    ends = np.array(threads.map(lambda piece: (ratings.values[piece].min(), ratings.values[piece].max()), pieces))
    bounds = float(ends[:, 0].min()), float(ends[:, 1].max())
    largest = max(-bounds[0], bounds[1])
    if largest == 0:
        return 0.0, 1e-30, bounds
    # Divided, so that squares neither overflow nor vanish.
    location = mean(lambda values: values / largest) if fit_bias else 0.0
    scale = mean(lambda values: (values / largest - location) ** 2) ** 0.5
    rounding = 4 * np.finfo(np.float64).eps * abs(location)
    constant = scale <= rounding
    location, scale = location * largest, max(scale, rounding) * largest or 1e-30
    if not constant and not 1e-30 < scale < 1e30:
        raise ValueError(
            f"The ratings in y spread by {scale:.3g}, beyond what factors in single precision hold. Rescale y, for "
            "example with sklearn's TransformedTargetRegressor."
        )
    return location, scale, bounds


def _weighted(x: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    return (x * weights).sum(), weights.sum()


def make_grid(ratings: Ratings, location: float, scale: float, threads: Threads) -> BlockGrid:
    """Number the rows of further fields by block, move ratings of one row apart, standardize. Uses ``ratings`` up."""
    deal, block_start = ratings.deal, ratings.block_start
    first_row = ratings.first_row
    n_blocks = len(first_row)
    touched, touched_start, share, row_weights = _number_further_rows(ratings)

    n_group_rows = [np.diff(start) for start in deal.group_start]
    stratum, a = np.divmod(np.arange(n_blocks, dtype=np.int64), deal.n_groups)
    b = (a + stratum) % deal.n_groups
    n_rows = np.stack([n_group_rows[0][a], n_group_rows[1][b], np.diff(touched_start)], axis=1)
    group = np.empty(len(ratings.values) // GROUP + n_blocks, dtype=np.uint8)
    threads.map(
        lambda blocks: spread_blocks(
            blocks, block_start, n_rows, ratings.index, ratings.values, ratings.weights, group
        ),
        _blocks_by_user_group(deal.n_groups),
    )
    # Always in the same order, whatever the threads: one task has all ratings of a user, or of an item.
    for field, group_of_block in enumerate((a, b)):
        threads.map(
            lambda blocks, field=field: add_row_weights(
                blocks, block_start, first_row, field, ratings.index, ratings.weights, row_weights
            ),
            [np.flatnonzero(group_of_block == g).astype(np.int64) for g in range(deal.n_groups)],
        )

    def single(array: np.ndarray, location: float, scale: float) -> np.ndarray:
        out = np.empty(len(array), dtype=np.float32)

        def convert(piece: tuple[int, int]) -> None:
            part = slice(*piece)
            out[part] = (array[part] - location) / scale

        threads.map(convert, chunks(len(array), _CHUNK))
        return out

    target = single(ratings.values, location, scale)
    ratings.values = None  # to make room
    weight = None if ratings.weights is None else single(ratings.weights, 0.0, 1.0)
    ratings.weights = None
    return BlockGrid(
        deal.n_groups, ratings.index, target, weight, group, block_start, first_row,
        touched, touched_start, share, deal.row_of, row_weights,
    )  # fmt: skip


def _number_further_rows(ratings: Ratings) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """List the rows of further fields that each block works on, and number them within the block into ``index``."""
    n_groups, n_rows = ratings.deal.n_groups, int(ratings.deal.offset[-1])
    n_blocks = n_groups**2
    touched_start, row_weights = np.zeros(n_blocks + 1, np.int64), np.zeros(n_rows)
    if ratings.index.shape[1] == 2:
        return np.empty(0, np.int32), touched_start, np.empty(0, np.float32), row_weights
    number = np.full(n_rows, -1, dtype=np.int32)
    rows_of_block, weights_of_block = np.empty(n_rows, dtype=np.int32), np.empty(n_rows)
    touched, weight = [], []
    for b in range(n_blocks):
        lo, hi = ratings.block_start[b : b + 2]
        n_touched = 0
        if lo < hi:
            n_touched = number_rows(lo, hi, ratings.index, ratings.weights, rows_of_block, weights_of_block, number)
        touched.append(rows_of_block[:n_touched].copy())
        weight.append(weights_of_block[:n_touched].astype(np.float32))
        touched_start[b + 1] = touched_start[b] + n_touched
    touched = np.concatenate(touched)  # one after the other, for memory
    share = np.concatenate(weight)
    weight.clear()
    for lo, hi in zip(touched_start[:-1:n_groups], touched_start[n_groups::n_groups], strict=True):
        in_stratum = np.bincount(touched[lo:hi], share[lo:hi], minlength=n_rows)
        share[lo:hi] /= in_stratum[touched[lo:hi]]
        row_weights += in_stratum
    return touched, touched_start, share, row_weights
