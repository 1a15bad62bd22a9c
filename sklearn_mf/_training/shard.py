"""Hold what one process works with: threads, room for arrays, and the way to the processes that share a fit with it.

A fit is shared by *shards*. Each of them runs the same code, with the same decisions, on its own groups of users; at
the start and at the end of each step the item groups of the same numbers lie with it. A fit on one machine is one
shard that has all groups.

Users stay, items travel: in a *sweep* over strata, a block is visited where its users are, and the rows of its items
come from where they were visited last (Gemulla et al. 2011). So each row sees the same blocks in the same order, for
any number of shards. For the same reason, numbers of all shards are put in the order of groups before they are added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from sklearn_mf._utils.storage import Storage
from sklearn_mf._utils.threads import Threads


class Places(Protocol):
    """Say where groups lie, as a layout of a grid does."""

    n_groups: int
    owner: np.ndarray  # int64 (n_groups,): the shard that has a group
    own_groups: range  # of this shard
    item_start: np.ndarray  # int64 (n_groups + 1,): first item of each group


class Shard:
    """Work alone on all groups.

    Parameters
    ----------
    threads : Threads
        They share the work; the result is that of one.

    storage : Storage, default=memory
        Where large arrays lie.
    """

    index, n_shards = 0, 1

    def __init__(self, threads: Threads, storage: Storage | None = None):
        self.threads, self.storage = threads, storage or Storage()

    def part(self, n: int) -> range:
        """Give those of n things in a row that are this shard's."""
        return range(self.index * n // self.n_shards, (self.index + 1) * n // self.n_shards)

    def owners(self, n: int) -> np.ndarray:
        """Give the shard of each of n things in a row, int64 (n,)."""
        ends = np.arange(1, self.n_shards + 1, dtype=np.int64) * n // self.n_shards
        return np.searchsorted(ends, np.arange(n, dtype=np.int64), side="right")

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Put the arrays of all shards below each other, in their order."""
        return values

    def exchange(self, arrays: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
        """Give each shard its list of arrays; return the lists that are for this one, in the order of shards."""
        return arrays

    def share(self, arrays: Sequence[np.ndarray], starts: np.ndarray) -> None:
        """Fill in the rows that other shards have: shard k has written ``starts[k]:starts[k + 1]``."""

    def visit_blocks(
        self, places: Places, strata: Sequence[int], arrays: Sequence[np.ndarray], visit: Callable[[int, int], None]
    ) -> None:
        """Call ``visit`` with stratum and user group of each block of these strata, in order.

        ``arrays`` have a row for each item. The blocks of a stratum may be visited at once.
        """
        for stratum in strata:
            self.threads.map(lambda group, stratum=stratum: visit(stratum, group), places.own_groups)

    def add_to_items(
        self, places: Places, arrays: Sequence[np.ndarray], add: Callable[[np.ndarray, np.ndarray], None]
    ) -> None:
        """Call ``add`` with strata and user groups of the blocks of an item group, in the order of strata.

        ``arrays`` have a row for each item, and only rows of these items are written to.
        """
        strata = np.arange(places.n_groups, dtype=np.int64)
        self.threads.map(
            lambda item_group: add(strata, (item_group - strata) % places.n_groups), range(places.n_groups)
        )


class ConnectedShard(Shard):
    """Work on some of the groups; subclasses bring ``send`` and ``receive``.

    Shards call the same methods in the same order. A message has a tag that tells it from all others.
    """

    def __init__(self, index: int, n_shards: int, threads: Threads, storage: Storage | None = None):
        super().__init__(threads, storage)
        self.index, self.n_shards = index, n_shards
        self._n_steps = 0

    def send(self, shard: int, tag: tuple[int, ...], arrays: list[np.ndarray]) -> None:
        """Send arrays, which may still be on their way when this returns: nobody may change them any more."""
        raise NotImplementedError

    def receive(self, shard: int, tag: tuple[int, ...]) -> list[np.ndarray]:
        """Wait for what a shard has sent with a tag."""
        raise NotImplementedError

    @property
    def _others(self) -> list[int]:
        """The other shards, the next one first."""
        return [(self.index + distance) % self.n_shards for distance in range(1, self.n_shards)]

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Put the arrays of all shards below each other, in their order."""
        lists = self.exchange([[np.array(values)]] * self.n_shards)
        filled = [arrays[0] for arrays in lists if arrays[0].size]  # the others do not know how many columns there are
        return np.concatenate(filled) if filled else values

    def exchange(self, arrays: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
        """Give each shard its list of arrays; return the lists that are for this one, in the order of shards."""
        self._n_steps += 1
        for other in self._others:
            self.send(other, (self._n_steps,), arrays[other])
        return [
            arrays[self.index] if shard == self.index else self.receive(shard, (self._n_steps,))
            for shard in range(self.n_shards)
        ]

    def share(self, arrays: Sequence[np.ndarray], starts: np.ndarray) -> None:
        """Fill in the rows that other shards have: shard k has written ``starts[k]:starts[k + 1]``."""
        own = slice(starts[self.index], starts[self.index + 1])
        lists = self.exchange([[np.array(array[own]) for array in arrays]] * self.n_shards)
        for shard in self._others:
            for array, received in zip(arrays, lists[shard], strict=True):
                array[starts[shard] : starts[shard + 1]] = received

    def visit_blocks(
        self, places: Places, strata: Sequence[int], arrays: Sequence[np.ndarray], visit: Callable[[int, int], None]
    ) -> None:
        """Call ``visit`` with stratum and user group of each block of these strata, in order.

        The rows of a group of items come from where they were visited last, and go where they are visited next.
        """
        self._n_steps += 1
        step, P, path = self._n_steps, places.n_groups, [0, *strata, 0]  # at home, items are as in stratum 0

        def owner_of(item_group: int, t: int) -> int:
            return int(places.owner[(item_group - path[t]) % P])

        def rows_of(item_group: int) -> slice:
            return slice(places.item_start[item_group], places.item_start[item_group + 1])

        def take(item_group: int, t: int) -> None:
            before = owner_of(item_group, t - 1)
            if before != self.index:
                for array, received in zip(arrays, self.receive(before, (step, t, item_group)), strict=True):
                    array[rows_of(item_group)] = received

        def pass_on(item_group: int, t: int) -> None:
            after = owner_of(item_group, t + 1)
            if after != self.index:
                rows = rows_of(item_group)
                self.send(after, (step, t + 1, item_group), [np.array(array[rows]) for array in arrays])

        for item_group in places.own_groups:
            pass_on(item_group, 0)
        for t in range(1, len(path) - 1):

            def run(group: int, t: int = t) -> None:
                item_group = (group + path[t]) % P
                take(item_group, t)
                visit(path[t], group)
                pass_on(item_group, t)

            # First what is here: while it is visited, the others come.
            is_here = {group: owner_of((group + path[t]) % P, t - 1) == self.index for group in places.own_groups}
            self.threads.map(run, sorted(places.own_groups, key=lambda group: not is_here[group]))
        for item_group in places.own_groups:
            take(item_group, len(path) - 1)

    def add_to_items(
        self, places: Places, arrays: Sequence[np.ndarray], add: Callable[[np.ndarray, np.ndarray], None]
    ) -> None:
        """Call ``add`` with stratum and user group of one block after another."""
        self.visit_blocks(
            places,
            range(places.n_groups),
            arrays,
            lambda stratum, group: add(np.array([stratum], dtype=np.int64), np.array([group], dtype=np.int64)),
        )
