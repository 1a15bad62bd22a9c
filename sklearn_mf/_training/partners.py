"""Sum over the partners of a row. Partners are the users who rated an item, or the items that a user rated."""

from __future__ import annotations

import numpy as np

from sklearn_mf._kernel.partners import PartnerRuns
from sklearn_mf._training.grid import BlockGrid
from sklearn_mf._training.shard import Shard


class Partners:
    """Sum over the distinct pairs of user and item. A pair counts once, however often it is rated."""

    def __init__(self, grid: BlockGrid, shard: Shard):
        self._layout, self._shard = grid.layout, shard
        self.n_rows = [grid.n_users, grid.n_pair_rows - grid.n_users]  # users of this shard, and items
        self._runs = PartnerRuns(grid, self._layout.n_rows, shard.storage.empty)
        shard.threads.map(self._runs.find, self._layout.blocks_of_users)

    def sum(self, to_field: int, given: np.ndarray, out: np.ndarray) -> None:
        """Fill each row of ``out`` with the sum of the rows of its partners in ``given``.

        A row of an item is read and written in the shard where it begins each sweep.
        """
        layout = self._layout
        if to_field == 0:
            layout.share_items([given], self._shard)
            out[: self.n_rows[0]] = 0.0
            self._shard.threads.map(lambda blocks: self._runs.sum(blocks, 0, given, out), layout.blocks_of_users)
            return
        self._shard.add_to_items(
            layout, [out], lambda strata, groups: self._runs.sum(layout.block(strata, groups), 1, given, out)
        )
