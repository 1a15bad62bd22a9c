"""Sum over the partners of a row: the users who rated an item, the items that a user rated."""

from __future__ import annotations

import numpy as np

from sklearn_mf._kernel.partners import PartnerRuns
from sklearn_mf._training.grid import BlockGrid
from sklearn_mf._training.layout import blocks_by_group, groups_of_blocks
from sklearn_mf._utils.threads import Threads


class Partners:
    """Sum over the distinct pairs of user and item; a pair counts once, however often it is rated."""

    def __init__(self, grid: BlockGrid, threads: Threads):
        self.n_rows = [len(place) for place in grid.row_of[:2]]  # users, items
        groups = groups_of_blocks(grid.n_groups)
        self._blocks_of = [blocks_by_group(grid.n_groups, field) for field in range(2)]
        firsts = [grid.first_row[[blocks[0] for blocks in self._blocks_of[f]], f] for f in range(2)]
        self._group_start = [
            np.append(first, end) - first[0] for first, end in zip(firsts, np.cumsum(self.n_rows), strict=True)
        ]
        n_rows = np.stack([np.diff(self._group_start[f])[groups[f]] for f in range(2)], axis=1)
        self._runs = PartnerRuns(grid, n_rows)
        threads.map(self._runs.find, self._blocks_of[0])

    def sum(self, to_field: int, given: np.ndarray, out: np.ndarray, threads: Threads) -> None:
        """Fill ``out`` with the sums over each row's partners of their rows in ``given``."""
        start = self._group_start[to_field]

        def sum_group(g: int) -> None:  # all of a row's partners, always in the same order
            out[start[g] : start[g + 1]] = 0.0
            self._runs.sum(self._blocks_of[to_field][g], to_field, given, out)

        threads.map(sum_group, range(len(self._blocks_of[to_field])))
