"""Assign users and items at random to groups: the place of each level in the block grid.

Block (a, b) holds the ratings of user group a and item group b. A stratum is a set of blocks that share no group. So
the order of their updates does not matter (Gemulla et al. 2011). With P groups, the block of user group a in stratum s
has the item group (a + s) mod P. A shard has the user groups a0, ..., a0 + A - 1. Its block ``s A + a - a0`` belongs to
user group a and stratum s. A single shard has all groups, A = P.

A section is a run of user groups, together with the item groups of the same numbers. A shard has some sections. Sums
over rows are computed section by section.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.threads import slices

_MAX_BYTES_OF_BLOCK_ROWS = 512 * 1024  # size of the factor rows of a block: half of a usual L2 cache
_BYTES_OF_BAND_ROWS = 768 * 1024  # about; a fourth less than a usual L2 cache. Here rows count with their centers
_MIN_RATINGS_OF_BLOCK = 256  # on average; with fewer, calls and cache misses cost more than they save
_MAX_RATINGS_OF_BLOCK = 2**18  # on average; with more, sorting a block needs much memory
_MIN_VISITS_OF_ROW = 6  # per block, on average; with fewer, loading rows costs more than the cache saves
_MIN_GROUPS, _MIN_LEVELS = 8, 64  # at least 8 groups if both sides have 64 levels, enough for 8 threads
# Averages. With smaller sections, small arrays and messages between shards cost more than they save.
_MIN_ROWS_OF_SECTION, _MIN_RATINGS_OF_SECTION = 2**12, 2**19


@dataclass
class GridLayout:
    """Hold the place of each level. Rows of all fields are stacked, and the rows of a group follow each other.

    A shard has rows for its own users, for all items and for all contexts.
    """

    n_groups: int
    n_levels: list[int]  # per field, of all shards
    places: list[np.ndarray]  # users and items, int32 (n_levels, 2): row within its group, group
    user_start: np.ndarray  # int64 (n_groups + 1,): first user of each group, of all shards
    item_start: np.ndarray  # int64 (n_groups + 1,): first item of each group
    section_start: np.ndarray  # int64 (n_sections + 1,): first group of each section
    own_sections: range  # of this shard
    owner: np.ndarray  # int64 (n_groups,): the shard that has a group
    n_shards: int

    @cached_property
    def own_groups(self) -> range:
        """Numbers of this shard's user groups. The item groups of the same numbers begin and end each sweep here."""
        sections = self.own_sections
        return range(int(self.section_start[sections.start]), int(self.section_start[sections.stop]))

    @property
    def is_whole(self) -> bool:
        """Whether there is no other shard."""
        return self.n_shards == 1

    @cached_property
    def own_users(self) -> slice:
        """Places of the users of this shard."""
        return slice(int(self.user_start[self.own_groups.start]), int(self.user_start[self.own_groups.stop]))

    @cached_property
    def own_items(self) -> slice:
        """Places of the items that begin and end each sweep in this shard."""
        return slice(int(self.item_start[self.own_groups.start]), int(self.item_start[self.own_groups.stop]))

    @property
    def own_pair_rows(self) -> tuple[slice, slice]:
        """Stacked rows of this shard's users, and of the items that begin and end each sweep in this shard."""
        n_users, items = int(self.offset[1]), self.own_items
        return slice(0, n_users), slice(n_users + items.start, n_users + items.stop)

    @cached_property
    def offset(self) -> np.ndarray:
        """First stacked row of each field, and the number of rows; int64 (n_fields + 1,)."""
        n_users = self.own_users.stop - self.own_users.start
        return np.concatenate([[0], np.cumsum([n_users, *self.n_levels[1:]])]).astype(np.int64)

    @property
    def places_here(self) -> list[np.ndarray]:
        """Places with groups that are counted from this shard's first group on."""
        if self.is_whole:
            return self.places
        first = self.own_groups.start
        return [np.stack([row, (group - first) % self.n_groups], axis=1) for row, group in (p.T for p in self.places)]

    @property
    def place_of(self) -> list[np.ndarray]:
        """The place of each level by field, among those of all shards; int64 (n_levels,)."""
        starts = zip((self.user_start, self.item_start), self.places, strict=True)
        places = [start[place[:, 1]] + place[:, 0] for start, place in starts]
        return places + [np.arange(n, dtype=np.int64) for n in self.n_levels[2:]]

    @cached_property
    def row_of(self) -> list[np.ndarray]:
        """The stacked row of each level by field, int64 (n_levels,). Only for a shard that has all users."""
        return [first + place for first, place in zip(self.offset[:-1], self.place_of, strict=True)]

    @cached_property
    def groups_of_blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """The user group and the item group of each block, int64 (n_blocks,) each."""
        n_own = len(self.own_groups)
        stratum, user = np.divmod(np.arange(n_own * self.n_groups, dtype=np.int64), max(n_own, 1))
        user_group = user + self.own_groups.start
        return user_group, (user_group + stratum) % self.n_groups

    @cached_property
    def numbers_of_blocks(self) -> np.ndarray:
        """The number that each block has if a single shard has all blocks, int64 (n_blocks,)."""
        stratum = np.repeat(np.arange(self.n_groups, dtype=np.int64), len(self.own_groups))
        return stratum * self.n_groups + self.groups_of_blocks[0]

    @cached_property
    def first_row(self) -> np.ndarray:
        """First user row and first item row of each block, stacked; int64 (n_blocks, 2)."""
        users, items = self.groups_of_blocks
        first_user = self.user_start[users] - self.own_users.start
        return np.stack([first_user, self.offset[1] + self.item_start[items]], axis=1)

    @cached_property
    def n_rows(self) -> np.ndarray:
        """Numbers of user rows and item rows of each block, int64 (n_blocks, 2)."""
        users, items = self.groups_of_blocks
        return np.stack([np.diff(self.user_start)[users], np.diff(self.item_start)[items]], axis=1)

    @cached_property
    def blocks_of_users(self) -> list[np.ndarray]:
        """The blocks of each user group of this shard, in the order of strata."""
        n_own = len(self.own_groups)
        return [np.arange(self.n_groups, dtype=np.int64) * n_own + group for group in range(n_own)]

    def block(self, stratum: int | np.ndarray, user_group: int | np.ndarray) -> int | np.ndarray:
        """Return the block of a user group in a stratum."""
        return stratum * len(self.own_groups) + user_group - self.own_groups.start

    def parts(self, field: int, size: int) -> list[slice]:
        """Cut the rows of users or items into slices, within sections and of at most ``size`` rows.

        Rows are counted within their field. For items, it cuts the rows that begin and end each sweep in this shard.
        """
        if (field, size) in self._parts:
            return self._parts[field, size]
        start = (self.user_start - self.own_users.start, self.item_start)[field]
        bounds = start[self.section_start[self.own_sections.start : self.own_sections.stop + 1]].tolist()
        self._parts[field, size] = [part for ends in pairwise(bounds) for part in slices(slice(*ends), size)]
        return self._parts[field, size]

    @cached_property
    def _parts(self) -> dict[tuple[int, int], list[slice]]:
        """Slices that were cut before, because a fit needs the same ones hundreds of times."""
        return {}

    def of_all_blocks(self, values: np.ndarray, shard: Shard) -> np.ndarray:
        """Collect a number for each block from all shards, in the block order of a single shard, (n_blocks, ...)."""
        if self.is_whole:
            return values
        by_group = np.moveaxis(values.reshape(self.n_groups, len(self.own_groups), *values.shape[1:]), 0, 1)
        whole = shard.gather(np.ascontiguousarray(by_group))
        return np.moveaxis(whole, 0, 1).reshape(self.n_groups**2, *values.shape[1:])

    def share_items(self, arrays: list[np.ndarray], shard: Shard) -> None:
        """Send the rows of items to all shards. Each shard sends the rows that begin each sweep there."""
        bounds = np.searchsorted(self.owner, np.arange(shard.n_shards + 1))
        shard.share(arrays, self.item_start[bounds])


def choose_n_groups(n_ratings: int, n_users: int, n_items: int, rank: int) -> int:
    """Choose the number of user groups and of item groups. It depends on the data and the rank, not on the machine."""
    fewest = min(n_users, n_items)
    row_bytes = 4 * rank + 8  # factors, bias, damping
    max_for_cache = -(-(n_users + n_items) * row_bytes // _MAX_BYTES_OF_BLOCK_ROWS)
    max_for_size = int((n_ratings / _MIN_RATINGS_OF_BLOCK) ** 0.5)
    max_for_visits = n_ratings // ((n_users + n_items) * _MIN_VISITS_OF_ROW)
    min_for_memory = math.ceil((n_ratings / _MAX_RATINGS_OF_BLOCK) ** 0.5)
    min_for_threads = _MIN_GROUPS if fewest >= _MIN_LEVELS else 1
    return min(max(min(max_for_cache, max_for_size, max_for_visits), min_for_memory, min_for_threads), fewest)


@dataclass(frozen=True)
class Bands:
    """Cut the users or the items of each group into runs of rows. The ratings of a block are visited band by band.

    So the rows of a band stay in the cache, even if the block has too many rows for it.
    """

    field: int  # 0 for users, 1 for items
    n_rows: int  # of each band
    n_bands: int


def choose_bands(n_users: int, n_items: int, n_groups: int, rank: int) -> Bands:
    """Choose bands for the side with more rows. If the rows need less than twice the size of a band, there is one."""
    sizes = [-(-n // n_groups) for n in (n_users, n_items)]
    row_bytes = 8 * rank + 40  # factors and their center, bias and damping, the part of the pair itself
    n_bands = max(1, sum(sizes) * row_bytes // _BYTES_OF_BAND_ROWS)
    field = int(sizes[1] > sizes[0])
    n_rows = -(-sizes[field] // n_bands)
    return Bands(field, n_rows, -(-sizes[field] // n_rows))


def choose_n_sections(n_ratings: int, n_users: int, n_items: int, n_groups: int) -> int:
    """Choose the number of sections, which is the largest number of shards that can share a fit."""
    for_rows, for_ratings = (n_users + n_items) // _MIN_ROWS_OF_SECTION, n_ratings // _MIN_RATINGS_OF_SECTION
    return min(max(for_rows, for_ratings, 1), n_groups)


def assign_groups(
    n_levels: list[int], permutations: list[np.ndarray], n_groups: int, n_sections: int, shard: Shard
) -> GridLayout:
    """Assign users and items to groups. ``permutations`` has the drawn place of each level, which gives its group."""
    starts, places = [], []
    for f, place in enumerate(permutations):
        start = -(-np.arange(n_groups + 1, dtype=np.int64) * n_levels[f] // n_groups)
        group = np.repeat(np.arange(n_groups), np.diff(start))[place]
        starts.append(start)
        places.append(np.stack([place - start[group], group], axis=1).astype(np.int32))
    section_start = np.arange(n_sections + 1, dtype=np.int64) * n_groups // n_sections
    owner = np.repeat(shard.owners(n_sections), np.diff(section_start))
    return GridLayout(n_groups, n_levels, places, *starts, section_start, shard.part(n_sections), owner, shard.n_shards)
