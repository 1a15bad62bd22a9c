"""Assign users and items at random to groups: where each level lies in the block grid.

Block (a, b) holds the ratings of user group a and item group b; a stratum is a set of blocks with no group in common,
whose updates commute (Gemulla et al. 2011). Of P groups, block ``s P + a`` is that of user group a in stratum s, whose
item group is (a + s) mod P.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_MAX_BYTES_OF_BLOCK_ROWS = 512 * 1024  # factor rows of one block: half of a usual L2 cache
_MIN_RATINGS_OF_BLOCK = 256  # in the mean; below, calls and cache misses cost more than they save
_MAX_RATINGS_OF_BLOCK = 2**18  # in the mean; above, what ordering a block needs beside it is much memory
_MIN_VISITS_OF_ROW = 6  # in a block, in the mean; below, fetching rows for a block costs more than the cache saves
_MIN_GROUPS, _MIN_LEVELS = 8, 64  # at least 8 groups where both sides have 64 levels: room for 8 threads


@dataclass
class GridLayout:
    """Hold where each level lies. Rows of all fields are stacked, those of one group side by side."""

    n_groups: int
    offset: np.ndarray  # int64 (n_fields + 1,): first stacked row of each field
    row_of: list[np.ndarray]  # per field, int64 (n_levels,): the stacked row of each level
    group_start: list[np.ndarray]  # users and items, int64 (n_groups + 1,): first stacked row of each group
    places: list[np.ndarray]  # users and items, int32 (n_levels, 2): row within its group, group

    @cached_property
    def first_row(self) -> np.ndarray:
        """First user row and first item row of each block, stacked; int64 (n_blocks, 2)."""
        groups = groups_of_blocks(self.n_groups)
        return np.stack([start[group] for start, group in zip(self.group_start, groups, strict=True)], axis=1)

    @cached_property
    def n_rows(self) -> np.ndarray:
        """Numbers of user rows and item rows of each block, int64 (n_blocks, 2)."""
        groups = groups_of_blocks(self.n_groups)
        return np.stack([np.diff(start)[group] for start, group in zip(self.group_start, groups, strict=True)], axis=1)


def groups_of_blocks(n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the user group and the item group of each block, int64 (n_blocks,) each."""
    stratum, user_group = np.divmod(np.arange(n_groups**2, dtype=np.int64), n_groups)
    return user_group, (user_group + stratum) % n_groups


def blocks_by_group(n_groups: int, field: int) -> list[np.ndarray]:
    """Give the blocks of each group of users (field 0) or of items (field 1), in order."""
    stratum, group = np.arange(n_groups, dtype=np.int64), np.arange(n_groups, dtype=np.int64)[:, None]
    user_group = group if field == 0 else (group - stratum) % n_groups
    return list(stratum * n_groups + user_group)


def choose_n_groups(n_ratings: int, n_users: int, n_items: int, rank: int) -> int:
    """Choose the number of user and of item groups; a function of the data and the rank, never of the machine."""
    fewest = min(n_users, n_items)
    row_bytes = 4 * rank + 8  # factors, bias, damping
    max_for_cache = -(-(n_users + n_items) * row_bytes // _MAX_BYTES_OF_BLOCK_ROWS)
    max_for_size = int((n_ratings / _MIN_RATINGS_OF_BLOCK) ** 0.5)
    max_for_visits = n_ratings // ((n_users + n_items) * _MIN_VISITS_OF_ROW)
    min_for_memory = math.ceil((n_ratings / _MAX_RATINGS_OF_BLOCK) ** 0.5)
    min_for_threads = _MIN_GROUPS if fewest >= _MIN_LEVELS else 1
    return min(max(min(max_for_cache, max_for_size, max_for_visits), min_for_memory, min_for_threads), fewest)


def assign_groups(n_levels: list[int], permutations: list[np.ndarray], n_groups: int) -> GridLayout:
    """Assign users and items to groups: the place of a level is drawn, its group follows from the place."""
    offset = np.concatenate([[0], np.cumsum(n_levels)]).astype(np.int64)
    group_start, row_of, places = [], [], []
    for f, place in enumerate(permutations):
        start = -(-np.arange(n_groups + 1, dtype=np.int64) * n_levels[f] // n_groups)
        group = np.repeat(np.arange(n_groups), np.diff(start))[place]
        group_start.append(offset[f] + start)
        row_of.append(offset[f] + place)
        places.append(np.stack([place - start[group], group], axis=1).astype(np.int32))
    row_of += [offset[f] + np.arange(n_levels[f], dtype=np.int64) for f in range(2, len(n_levels))]
    return GridLayout(n_groups, offset, row_of, group_start, places)
