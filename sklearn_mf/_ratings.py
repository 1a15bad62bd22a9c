"""Canonical ratings and their block grid: index arrays in, arrays for the kernel out.

Canonical ratings make a fit a function of the *set* of ratings: they are sorted, equal ones are merged and their
weights added, so the order of the rows is gone and a weight of 3 is the same as three rows.

The grid deals users and items at random into ``n_groups`` groups each. Block (a, b) holds the ratings of user group a
and item group b; a stratum is a set of blocks with no group in common, whose updates commute (Gemulla et al. 2011).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BLOCK_ROWS_BYTES = 512 * 1024  # factor rows of one block: half of a usual L2 cache
_MIN_BLOCK_RATINGS = 256  # mean per block; below, calls and cache misses cost more than they save
_MIN_GROUPS, _MIN_LEVELS = 8, 64  # at least 8 groups where both sides have 64 levels: room for 8 threads


@dataclass(frozen=True)
class Ratings:
    """Ratings in canonical order: by indices, then by value; no two with equal indices and value."""

    indices: np.ndarray  # int32 (n, n_fields)
    values: np.ndarray  # float64 (n,)
    weights: np.ndarray | None  # float64 (n,) with mean 1, or None when all are equal


@dataclass(frozen=True)
class BlockGrid:
    """Standardised ratings by block. Block ``s * n_groups + a`` holds user group a in stratum s."""

    n_groups: int
    index: np.ndarray  # int32 (n, n_fields): row within the block's tables
    target: np.ndarray  # float32 (n,)
    weight: np.ndarray | None  # float32 (n,)
    block_start: np.ndarray  # int64 (n_blocks + 1,)
    first_row: np.ndarray  # int64 (n_blocks, 2): first user row and first item row of a block, in stacked rows
    row_of: list[np.ndarray]  # per field, int64 (n_levels,): the stacked row of each level
    touched: np.ndarray  # int32 (n_touched,): stacked rows of further fields, block after block
    touched_start: np.ndarray  # int64 (n_blocks + 1,)
    share: np.ndarray  # float32 (n_touched,): the block's part of that row's weight within its stratum


def canonical_ratings(indices: np.ndarray, values: np.ndarray, weights: np.ndarray | None) -> Ratings:
    """Drop weights of zero, sort by indices, value and weight, merge what is equal, divide weights by their mean."""
    if weights is not None and not weights.all():
        kept = weights > 0  # a weight of zero is absence
        indices, values, weights = indices[kept], values[kept], weights[kept]
    key = _sort_key(indices)
    order = np.argsort(key)
    key = key[order]
    same_indices = key[1:] == key[:-1]
    if same_indices.any():
        # Only rows that share their indices need the slower sort by three keys.
        tied = np.zeros(len(key), dtype=bool)
        tied[1:] |= same_indices
        tied[:-1] |= same_indices
        rows = order[tied]
        keys = (values[rows], key[tied]) if weights is None else (weights[rows], values[rows], key[tied])
        order[tied] = rows[np.lexsort(keys)]
    indices, values = indices[order], values[order]
    weights = None if weights is None else weights[order]

    first = np.ones(len(values), dtype=bool)
    first[1:] = ~same_indices | (values[1:] != values[:-1])
    if not first.all():
        starts = np.flatnonzero(first)
        weights = np.ones(len(values)) if weights is None else weights
        weights = np.add.reduceat(weights, starts)
        indices, values = indices[starts], values[starts]
    if weights is not None:
        weights = None if weights.min() == weights.max() else weights / weights.mean()
    return Ratings(indices, values, weights)


def _sort_key(indices: np.ndarray) -> np.ndarray:
    """One int64 per row that sorts as the rows of ``indices`` do, column 0 first."""
    key = indices[:, 0].astype(np.int64)
    for column in indices.T[1:]:
        n_levels = int(column.max()) + 1
        if (int(key.max()) + 1) * n_levels >= 2**63:
            key = np.unique(key, return_inverse=True)[1]
        key = key * n_levels + column
    return key


def choose_n_groups(n_ratings: int, n_users: int, n_items: int, rank: int) -> int:
    """Number of user and of item groups; a function of the data and the rank, never of the machine."""
    fewest = min(n_users, n_items)
    row_bytes = 4 * rank + 8  # factors, bias, damping
    for_cache = -(-(n_users + n_items) * row_bytes // _BLOCK_ROWS_BYTES)
    for_size = int((n_ratings / _MIN_BLOCK_RATINGS) ** 0.5)
    at_least = _MIN_GROUPS if fewest >= _MIN_LEVELS else 1
    return min(max(min(for_cache, for_size), at_least), fewest)


def make_grid(
    ratings: Ratings,
    target: np.ndarray,
    n_levels: list[int],
    rank: int,
    rng: np.random.Generator,
    n_groups: int | None = None,
) -> BlockGrid:
    """Deal users and items into groups and lay the ratings out block by block, in random order within a block."""
    if n_groups is None:
        n_groups = choose_n_groups(len(target), n_levels[0], n_levels[1], rank)
    offset = np.concatenate([[0], np.cumsum(n_levels)])
    # Rows of one group lie side by side: a level's place is drawn, its group follows from the place.
    starts, row_of, groups = [], [], []
    for f in range(2):
        place = rng.permutation(n_levels[f])
        start = -(-np.arange(n_groups + 1) * n_levels[f] // n_groups)
        group = np.repeat(np.arange(n_groups), np.diff(start))[place]
        starts.append(offset[f] + start)
        row_of.append(offset[f] + place)
        groups.append(group[ratings.indices[:, f]])
    row_of += [offset[f] + np.arange(n_levels[f]) for f in range(2, len(n_levels))]

    user_group, item_group = groups
    block = (item_group - user_group) % n_groups * n_groups + user_group
    n_blocks = n_groups**2
    block = block.astype(np.uint16 if n_blocks <= 2**16 else np.int32)  # NumPy sorts 16 bits in linear time
    # Ratings of one row one after another would wait for each other, so they come in random order.
    order = rng.permutation(len(target))
    order = order[np.argsort(block[order], kind="stable")]
    block = block[order].astype(np.int64)
    block_start = _starts(block, n_blocks)

    stratum, a = np.divmod(np.arange(n_blocks), n_groups)
    first_row = np.stack([starts[0][a], starts[1][(a + stratum) % n_groups]], axis=1)
    index = np.empty((len(target), len(n_levels)), dtype=np.int32)
    for f in range(2):
        index[:, f] = row_of[f][ratings.indices[order, f]] - first_row[block, f]
    weight = None if ratings.weights is None else ratings.weights[order].astype(np.float32)
    touched = _touched_rows(ratings.indices[order, 2:] + offset[2:-1], block, weight, n_groups, index)
    return BlockGrid(
        n_groups,
        index,
        target[order].astype(np.float32),
        weight,
        block_start,
        np.ascontiguousarray(first_row, dtype=np.int64),
        row_of,
        *touched,
    )


def _touched_rows(
    rows: np.ndarray, block: np.ndarray, weight: np.ndarray | None, n_groups: int, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the rows of further fields that each block works on, and number them within the block into ``index``."""
    n_blocks, n_further = n_groups**2, rows.shape[1]
    if n_further == 0:
        return np.empty(0, np.int32), np.zeros(n_blocks + 1, np.int64), np.empty(0, np.float32)
    n_rows = int(rows.max()) + 1
    key, inverse = np.unique((block[:, None] * n_rows + rows).ravel(), return_inverse=True)
    touched_block, touched = np.divmod(key, n_rows)
    touched_start = _starts(touched_block, n_blocks)
    index[:, 2:] = inverse.reshape(rows.shape) - touched_start[block][:, None]

    count = np.bincount(inverse, None if weight is None else np.repeat(weight, n_further).astype(np.float64))
    stratum_row = np.unique(touched_block // n_groups * n_rows + touched, return_inverse=True)[1]
    share = count / np.bincount(stratum_row, count)[stratum_row]
    return touched.astype(np.int32), touched_start, share.astype(np.float32)


def _starts(sorted_numbers: np.ndarray, n: int) -> np.ndarray:
    """Where each of the numbers 0..n-1 begins in a sorted array, and the end."""
    return np.searchsorted(sorted_numbers, np.arange(n + 1)).astype(np.int64)
