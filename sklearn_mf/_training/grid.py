"""Make the block grid: standardized ratings, block after block, in the form that the kernel takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_mf._kernel.grid import BATCH
from sklearn_mf._training.layout import blocks_by_group
from sklearn_mf._training.ratings import Ratings
from sklearn_mf._training.scaling import TargetScale
from sklearn_mf._utils.threads import Threads, chunks

_MAX_CHUNK = 2**18  # ratings a task: temporary arrays are of this length


@dataclass
class BlockGrid:
    """Hold standardized ratings as the kernel takes them. A block works on the rows of its two groups.

    Rows of context columns are shared by all blocks. A block numbers those that it has ratings of; they are its
    context rows.
    """

    n_groups: int
    index: np.ndarray  # int32 (n, n_fields): row within the group for users and items, number among the context rows
    target: np.ndarray  # float32 (n,)
    weight: np.ndarray | None  # float32 (n,), or None when all are 1
    batch_kinds: np.ndarray  # uint8 (n // BATCH + n_blocks,): how each batch of ratings can be visited
    block_start: np.ndarray  # int64 (n_blocks + 1,): first rating of each block
    first_row: np.ndarray  # int64 (n_blocks, 2): first user row and first item row of each block, stacked
    context_rows: np.ndarray  # int32 (n_context_rows,): stacked rows of the context columns, block after block
    context_start: np.ndarray  # int64 (n_blocks + 1,): a block's part of context_rows
    context_merge_weight: np.ndarray  # float32 (n_context_rows,): the block's part of the row's weight in its stratum
    row_of: list[np.ndarray]  # per field, int64 (n_levels,): the stacked row of each level
    row_weights: np.ndarray  # float64 (n_rows,): summed weight of the ratings of each stacked row

    @property
    def n_pair_rows(self) -> int:
        """Number of rows of users and items together; they come before those of context columns."""
        return len(self.row_of[0]) + len(self.row_of[1])


def make_grid(ratings: Ratings, scale: TargetScale, threads: Threads) -> BlockGrid:
    """Number the context rows of each block, move ratings of one row apart, standardize. Uses ``ratings`` up."""
    layout, block_start = ratings.layout, ratings.block_start
    context_rows, context_start, context_merge_weight, row_weights = _number_context_rows(ratings)
    batch_kinds = _spread_and_weigh(ratings, np.diff(context_start), row_weights, threads)
    target = _in_single_precision(ratings.values, scale, threads)
    ratings.values = None  # to make room
    weight = None
    if ratings.weights is not None:
        weight = _in_single_precision(ratings.weights, TargetScale(0.0, 1.0), threads)
    ratings.weights = None
    return BlockGrid(
        layout.n_groups,
        ratings.index,
        target,
        weight,
        batch_kinds,
        block_start,
        layout.first_row,
        context_rows,
        context_start,
        context_merge_weight,
        layout.row_of,
        row_weights,
    )


def _spread_and_weigh(
    ratings: Ratings, n_context_rows: np.ndarray, row_weights: np.ndarray, threads: Threads
) -> np.ndarray:
    """Move ratings of one row apart, add their weights to ``row_weights``, return ``batch_kinds`` of the grid."""
    layout, blocks = ratings.layout, ratings.blocks
    blocks.set_rows(np.column_stack([layout.n_rows, n_context_rows]))
    batch_kinds = np.empty(len(ratings.values) // BATCH + layout.n_groups**2, dtype=np.uint8)
    threads.map(lambda of_group: blocks.spread(of_group, batch_kinds), blocks_by_group(layout.n_groups, 0))
    # Always in the same order, whatever the threads: one task has all ratings of a user, or of an item.
    first_row = layout.first_row
    for field in range(2):
        threads.map(
            lambda of_group, field=field: blocks.add_row_weights(of_group, first_row, field, row_weights),
            blocks_by_group(layout.n_groups, field),
        )
    return batch_kinds


def _in_single_precision(values: np.ndarray, scale: TargetScale, threads: Threads) -> np.ndarray:
    """Give standardized values as float32, converted a part at a time."""
    out = np.empty(len(values), dtype=np.float32)

    def convert(part: slice) -> None:
        out[part] = scale.standardize(values[part])

    threads.map(convert, chunks(len(values), _MAX_CHUNK))
    return out


def _number_context_rows(ratings: Ratings) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """List the context rows that each block works on, and number them within the block into ``index``.

    Return ``context_rows``, ``context_start`` and ``context_merge_weight`` of the grid, and the summed weights of all
    stacked rows, which are zero for users and items.
    """
    n_groups, n_rows = ratings.layout.n_groups, int(ratings.layout.offset[-1])
    n_blocks = n_groups**2
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
    context_rows = np.concatenate(rows)  # one after the other, for memory
    share = np.concatenate(weights)
    weights.clear()
    for lo, hi in zip(context_start[:-1:n_groups], context_start[n_groups::n_groups], strict=True):
        in_stratum = np.bincount(context_rows[lo:hi], share[lo:hi], minlength=n_rows)
        share[lo:hi] /= in_stratum[context_rows[lo:hi]]
        row_weights += in_stratum
    return context_rows, context_start, share, row_weights
