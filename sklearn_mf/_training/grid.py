"""Make the block grid: standardized ratings, one block after another, in the form for the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sklearn_mf._kernel.grid import BATCH
from sklearn_mf._training.layout import GridLayout
from sklearn_mf._training.ratings import BlockAverage, Ratings
from sklearn_mf._training.scaling import TargetScale
from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.threads import chunks

_MAX_CHUNK = 2**18  # ratings per task, the length of temporary arrays
_MAX_CONTEXT_STEPS_PER_EPOCH = 2.0  # largest sum of the steps of a context row: number of visits times step


@dataclass
class BlockGrid:
    """Hold standardized ratings of a shard in the form for the kernel. A block works on the rows of its two groups.

    All blocks share the rows of context columns. The context rows of a block are those of its ratings. Each block
    numbers its context rows.
    """

    layout: GridLayout
    index: np.ndarray  # int32 (n, n_fields): row within the group for users and items, number among the context rows
    target: np.ndarray  # float32 (n,)
    weight: np.ndarray | None  # float32 (n,), or None when all are 1
    batch_kinds: np.ndarray  # uint8 (n // BATCH + n_blocks,): how each batch of ratings can be visited
    block_start: np.ndarray  # int64 (n_blocks + 1,): first rating of each block
    first_row: np.ndarray  # int64 (n_blocks, 2): first user row and first item row of each block, stacked
    context_rows: np.ndarray  # int32 (n_context_rows,): stacked rows of the context columns, block after block
    context_start: np.ndarray  # int64 (n_blocks + 1,): a block's part of context_rows
    context_merge_weight: np.ndarray  # float32 (n_context_rows,): the block's part of the row's weight in its stratum
    context_step_factor: np.ndarray  # float32 (n_context_rows,): the part of each step that the row takes
    row_weights: np.ndarray  # float64 (n_rows,): summed weight of the ratings of each stacked row, over all shards
    total_weight: float  # of the ratings of all shards
    n_ratings: int  # of all shards
    n_rated_rows: int  # of users and items of all shards: those that have ratings

    @property
    def n_groups(self) -> int:
        """Number of item groups, which is also the number of user groups of all shards."""
        return self.layout.n_groups

    @property
    def own_groups(self) -> range:
        """The user groups of this shard."""
        return self.layout.own_groups

    @property
    def row_of(self) -> list[np.ndarray]:
        """The stacked row of each level by field, int64 (n_levels,). Only for a shard that has all users."""
        return self.layout.row_of

    @property
    def n_users(self) -> int:
        """Number of users of this shard."""
        return int(self.layout.offset[1])

    @property
    def n_pair_rows(self) -> int:
        """Number of rows of users and items together. They come before the rows of context columns."""
        return int(self.layout.offset[2])

    @property
    def sides(self) -> tuple[slice, slice]:
        """The rows of users, and the rows of items."""
        return slice(0, self.n_users), slice(self.n_users, self.n_pair_rows)

    @property
    def own_rows(self) -> list[slice]:
        """The rows that are up to date in this shard between sweeps: all except the items of other shards."""
        return [*self.layout.own_pair_rows, slice(self.n_pair_rows, len(self.row_weights))]

    @property
    def rows_by_field(self) -> list[slice]:
        """The stacked rows of each field that this shard owns."""
        offset = self.layout.offset.tolist()
        return [*self.layout.own_pair_rows, *(slice(*ends) for ends in pairwise(offset[2:]))]

    def parts(self, field: int, size: int) -> list[slice]:
        """Cut the rows of users or items that this shard sums over into slices; rows are counted within their field."""
        return self.layout.parts(field, size)


def make_grid(ratings: Ratings, scale: TargetScale, shard: Shard, learning_rate: float) -> BlockGrid:
    """Number context rows, move ratings of the same row apart, and standardize. ``ratings`` are used up."""
    layout, block_start = ratings.layout, ratings.block_start
    context_rows, context_start, context_merge_weight, row_weights = _number_context_rows(ratings)
    context_step_factor = _step_factor(row_weights[context_rows] / layout.n_groups, learning_rate)
    batch_kinds = _spread_and_weigh(ratings, np.diff(context_start), context_step_factor, row_weights, shard)
    target = _in_single_precision(ratings.values, scale, shard)
    ratings.values = None  # to free memory
    weight = None
    if ratings.weights is not None:
        weight = _in_single_precision(ratings.weights, TargetScale(0.0, 1.0), shard)
    ratings.weights = None
    n_rated = sum(np.count_nonzero(row_weights[part]) for part in layout.own_pair_rows)
    n_ratings, n_rated = shard.gather(np.array([[len(target), n_rated]])).sum(axis=0).tolist()
    total_weight = float(n_ratings)
    if weight is not None:
        of_blocks = BlockAverage(layout, block_start, None)
        total_weight, _ = of_blocks.sums(lambda part: weight[part].astype(np.float64), shard)
    return BlockGrid(
        layout,
        ratings.index,
        target,
        weight,
        batch_kinds,
        block_start,
        layout.first_row,
        context_rows,
        context_start,
        context_merge_weight,
        context_step_factor,
        row_weights,
        total_weight,
        n_ratings,
        n_rated,
    )


def _step_factor(visits: np.ndarray, learning_rate: float) -> np.ndarray:
    """Return the part of each step that context rows with this many visits per epoch take, float32.

    A context has far more ratings than a user or an item. With whole steps it would follow the last of these ratings.
    Instead, the blocks of a stratum work on copies of a context row, and the row moves by the weighted mean of their
    changes. So an epoch moves the row like ``row_weights / n_groups`` visits.
    """
    steps = np.maximum(visits * learning_rate, 1e-300)
    return np.minimum(_MAX_CONTEXT_STEPS_PER_EPOCH / steps, 1.0).astype(np.float32)


def _spread_and_weigh(
    ratings: Ratings, n_context_rows: np.ndarray, context_step_factor: np.ndarray, row_weights: np.ndarray, shard: Shard
) -> np.ndarray:
    """Move ratings of the same row apart, fill in ``row_weights``, and return ``batch_kinds`` of the grid."""
    layout, blocks = ratings.layout, ratings.blocks
    blocks.set_rows(np.column_stack([layout.n_rows, n_context_rows]))
    batch_kinds = shard.storage.empty(len(ratings.values) // BATCH + len(n_context_rows), np.uint8)
    shard.threads.map(
        lambda of_group: blocks.spread(of_group, context_step_factor, batch_kinds), layout.blocks_of_users
    )
    # The weights of a row are added in the same order for any number of threads and shards.
    first_row, items = layout.first_row, row_weights[layout.offset[1] : layout.offset[2]]
    shard.threads.map(
        lambda of_group: blocks.add_row_weights(of_group, first_row, 0, row_weights), layout.blocks_of_users
    )
    shard.add_to_items(
        layout,
        [items],
        lambda strata, groups: blocks.add_row_weights(layout.block(strata, groups), first_row, 1, row_weights),
    )
    layout.share_items([items], shard)
    return batch_kinds


def _in_single_precision(values: np.ndarray, scale: TargetScale, shard: Shard) -> np.ndarray:
    """Return standardized values as float32, converted part by part."""
    out = shard.storage.empty(len(values), np.float32)

    def convert(part: slice) -> None:
        out[part] = scale.standardize(values[part])

    shard.threads.map(convert, chunks(len(values), _MAX_CHUNK))
    return out


def _number_context_rows(ratings: Ratings) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """List the context rows of each block, and write their numbers within the block to ``index``.

    Return ``context_rows``, ``context_start`` and ``context_merge_weight`` of the grid, and the summed weights of all
    stacked rows, which are zero for users and items.
    """
    n_groups, n_rows = ratings.layout.n_groups, int(ratings.layout.offset[-1])
    n_blocks = len(ratings.block_start) - 1
    context_start, row_weights = np.zeros(n_blocks + 1, np.int64), np.zeros(n_rows)
    if ratings.index.shape[1] == 2:
        return np.empty(0, np.int32), context_start, np.empty(0, np.float32), row_weights
    blocks = ratings.blocks
    rows_of_block, weights_of_block = np.empty(n_rows, dtype=np.int32), np.empty(n_rows)
    rows, weights = [], []
    for b in range(n_blocks):
        n_numbered = blocks.number_context_rows(b, rows_of_block, weights_of_block)
        rows.append(rows_of_block[:n_numbered].copy())
        weights.append(weights_of_block[:n_numbered].astype(np.float32))
        context_start[b + 1] = context_start[b] + n_numbered
    context_rows = np.concatenate(rows)  # one array after the other, to save memory
    share = np.concatenate(weights)
    weights.clear()
    for lo, hi in zip(context_start[:-1:n_groups], context_start[n_groups::n_groups], strict=True):
        in_stratum = np.bincount(context_rows[lo:hi], share[lo:hi], minlength=n_rows)
        share[lo:hi] /= in_stratum[context_rows[lo:hi]]
        row_weights += in_stratum
    return context_rows, context_start, share, row_weights
