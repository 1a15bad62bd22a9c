"""Provide the threads, the storage, and the connection to other processes of the same fit.

*Shards* share a fit. Each shard runs the same code, with the same decisions, on its own groups of users. At the start
and at the end of each step, it also has the item groups of the same numbers. A fit on one machine is a single shard
that has all groups.

Users stay in their shard, and items travel. In a *sweep* over strata, a block is visited in the shard of its users. The
rows of its items come from the shard that visited them last (Gemulla et al. 2011). So each row meets the same blocks in
the same order, for any number of shards. For the same reason, numbers from all shards are put into the order of groups
before they are added.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from sklearn_mf._utils.storage import Storage
from sklearn_mf._utils.threads import Threads

_PARTS_OF_A_CHAIN = 4  # parts of the items per shard, so that other shards hardly wait


class Places(Protocol):
    """Describe where groups are; GridLayout implements it."""

    n_groups: int
    owner: np.ndarray  # int64 (n_groups,): the shard that has a group
    own_groups: range  # of this shard
    item_start: np.ndarray  # int64 (n_groups + 1,): first item of each group


class Shard:
    """Work alone on all groups.

    Parameters
    ----------
    threads : Threads
        Threads that share the work; the result does not depend on their number.

    storage : Storage, default=memory
        Storage of large arrays.
    """

    index, n_shards = 0, 1

    def __init__(self, threads: Threads, storage: Storage | None = None):
        self.threads, self.storage = threads, storage or Storage()

    def part(self, n: int) -> range:
        """Return this shard's part of n consecutive numbers."""
        return range(self.index * n // self.n_shards, (self.index + 1) * n // self.n_shards)

    def owners(self, n: int) -> np.ndarray:
        """Return the shard that has each of n consecutive numbers, int64 (n,)."""
        ends = np.arange(1, self.n_shards + 1, dtype=np.int64) * n // self.n_shards
        return np.searchsorted(ends, np.arange(n, dtype=np.int64), side="right")

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Concatenate the arrays of all shards, in their order."""
        return values

    def exchange(self, arrays: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
        """Send each shard its list of arrays; return the lists for this shard, in the order of shards."""
        return arrays

    def share(self, arrays: Sequence[np.ndarray], starts: np.ndarray) -> None:
        """Fill in the rows of other shards: shard k has written ``starts[k]:starts[k + 1]``."""

    def visit_blocks(
        self, places: Places, strata: Sequence[int], arrays: Sequence[np.ndarray], visit: Callable[[int, int], None]
    ) -> None:
        """Call ``visit`` with the stratum and the user group of each block of these strata, in order.

        ``arrays`` have a row for each item. The blocks of a stratum may be visited at the same time.
        """
        for stratum in strata:
            self.threads.map(lambda group, stratum=stratum: visit(stratum, group), places.own_groups)

    def add_to_items(
        self, places: Places, arrays: Sequence[np.ndarray], add: Callable[[np.ndarray, np.ndarray], None]
    ) -> None:
        """Set arrays with a row for each item to zero, and call ``add`` for the blocks of each item group.

        ``add`` gets strata and user groups, in the order of user groups, and writes to the rows of these items.
        Afterwards, a row is up to date in the shard where its item begins each sweep.
        """
        groups = np.arange(places.n_groups, dtype=np.int64)

        def add_group(item_group: int) -> None:
            for array in arrays:
                array[places.item_start[item_group] : places.item_start[item_group + 1]] = 0.0
            add((item_group - groups) % places.n_groups, groups)

        self.threads.map(add_group, range(places.n_groups))


class ConnectedShard(Shard, ABC):
    """Work on some of the groups. Subclasses implement ``send`` and ``receive``.

    All shards call the same methods in the same order. Each message has a unique tag.
    """

    def __init__(self, index: int, n_shards: int, threads: Threads, storage: Storage | None = None):
        super().__init__(threads, storage)
        self.index, self.n_shards = index, n_shards
        self._n_steps = 0

    @abstractmethod
    def send(self, shard: int, tag: tuple[int, ...], arrays: list[np.ndarray]) -> None:
        """Send arrays. They may still be on their way when this returns, so nobody may change them."""

    @abstractmethod
    def receive(self, shard: int, tag: tuple[int, ...]) -> list[np.ndarray]:
        """Wait for the message of a shard with this tag."""

    @property
    def _others(self) -> list[int]:
        """The other shards, the next one first."""
        return [(self.index + distance) % self.n_shards for distance in range(1, self.n_shards)]

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Concatenate the arrays of all shards, in their order."""
        lists = self.exchange([[np.array(values)]] * self.n_shards)
        filled = [arrays[0] for arrays in lists if arrays[0].size]  # the other shards do not know the number of columns
        return np.concatenate(filled) if filled else values

    def exchange(self, arrays: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
        """Send each shard its list of arrays; return the lists for this shard, in the order of shards."""
        self._n_steps += 1
        for other in self._others:
            self.send(other, (self._n_steps,), arrays[other])
        return [
            arrays[self.index] if shard == self.index else self.receive(shard, (self._n_steps,))
            for shard in range(self.n_shards)
        ]

    def share(self, arrays: Sequence[np.ndarray], starts: np.ndarray) -> None:
        """Fill in the rows of other shards: shard k has written ``starts[k]:starts[k + 1]``."""
        own = slice(starts[self.index], starts[self.index + 1])
        lists = self.exchange([[np.array(array[own]) for array in arrays]] * self.n_shards)
        for shard in self._others:
            for array, received in zip(arrays, lists[shard], strict=True):
                array[starts[shard] : starts[shard + 1]] = received

    def visit_blocks(
        self, places: Places, strata: Sequence[int], arrays: Sequence[np.ndarray], visit: Callable[[int, int], None]
    ) -> None:
        """Call ``visit`` with the stratum and the user group of each block of these strata, in order.

        The rows of an item group come from the shard that visited them last, and go to the shard that visits them next.
        """
        self._n_steps += 1
        route = _Route(places, [0, *map(int, strata), 0], self.index)

        def send(t: int) -> None:
            for shard in self._others:
                groups = route.items_between(self.index, shard, t)
                if groups:
                    self.send(shard, (self._n_steps, t), _rows_of(arrays, groups, places))

        def receive(t: int) -> None:
            for shard in self._others:
                groups = route.items_between(shard, self.index, t)
                if groups:
                    _put_rows(arrays, groups, places, self.receive(shard, (self._n_steps, t)))

        def run(t: int, users: list[int]) -> None:
            self.threads.map(lambda group: visit(route.path[t], group), users)

        send(0)
        for t in range(1, len(route.path) - 1):
            # First visit blocks whose items are here. Meanwhile the other items arrive. Of those, first visit the
            # items that another shard waits for.
            here, leaving, staying = route.users_by_way(t)
            run(t, here)
            receive(t - 1)
            run(t, leaving)
            send(t)
            run(t, staying)
        receive(len(route.path) - 2)

    def add_to_items(
        self, places: Places, arrays: Sequence[np.ndarray], add: Callable[[np.ndarray, np.ndarray], None]
    ) -> None:
        """Set arrays to zero and call ``add`` for the blocks of each item group, one shard after another.

        A shard sends a part of the item groups to the next shard while it adds to the next part.
        """
        self._n_steps += 1
        P, own = places.n_groups, np.arange(places.own_groups.start, places.own_groups.stop, dtype=np.int64)
        shards = np.unique(places.owner).tolist()  # the other shards have no groups
        n_parts = min(P, _PARTS_OF_A_CHAIN * len(shards))
        parts = [range(part * P // n_parts, (part + 1) * P // n_parts) for part in range(n_parts)]
        if self.index in shards:
            at = shards.index(self.index)
            for number, groups in enumerate(parts):
                tag = (self._n_steps, number)
                if at == 0:
                    for array in arrays:
                        array[places.item_start[groups.start] : places.item_start[groups.stop]] = 0.0
                else:
                    _put_rows(arrays, groups, places, self.receive(shards[at - 1], tag))
                self.threads.map(lambda item_group: add((item_group - own) % P, own), groups)
                if at + 1 < len(shards):
                    self.send(shards[at + 1], tag, _rows_of(arrays, groups, places))
        # The last shard has the sums. It sends each to the shard where its items begin each sweep.
        owners = places.owner
        for shard in shards[:-1]:
            groups = np.flatnonzero(owners == shard).tolist()
            if self.index == shards[-1]:
                self.send(shard, (self._n_steps, n_parts), _rows_of(arrays, groups, places))
            elif self.index == shard:
                _put_rows(arrays, groups, places, self.receive(shards[-1], (self._n_steps, n_parts)))


class _Route:
    """Describe where item groups are in a sweep, seen from one shard. Before and after it, they are as in stratum 0."""

    def __init__(self, places: Places, path: list[int], index: int):
        self.path, self._places, self._index = path, places, index
        groups = np.arange(places.n_groups)
        # The shard that has each item group at each time, (n_times, n_groups).
        self._owner = np.stack([places.owner[(groups - stratum) % places.n_groups] for stratum in path])

    def items_between(self, shard: int, other: int, t: int) -> list[int]:
        """Return the item groups that move from one shard to another after a time."""
        return np.flatnonzero((self._owner[t] == shard) & (self._owner[t + 1] == other)).tolist()

    def users_by_way(self, t: int) -> tuple[list[int], list[int], list[int]]:
        """Return three lists of this shard's user groups, by the items that they meet.

        The items of the first list are already here. Those of the second arrive, and leave after the visit. Those of
        the third arrive and stay.
        """
        users = np.array(self._places.own_groups, dtype=np.int64)
        items = (users + self.path[t]) % self._places.n_groups
        was_here = self._owner[t - 1][items] == self._index
        stays = self._owner[t + 1][items] == self._index
        return users[was_here].tolist(), users[~was_here & ~stays].tolist(), users[~was_here & stays].tolist()


def _rows_of(arrays: Sequence[np.ndarray], groups: Sequence[int], places: Places) -> list[np.ndarray]:
    """Copy the rows of item groups into one array."""
    start = places.item_start
    return [np.concatenate([array[start[group] : start[group + 1]] for group in groups]) for array in arrays]


def _put_rows(arrays: Sequence[np.ndarray], groups: Sequence[int], places: Places, received: list[np.ndarray]) -> None:
    """Copy received rows of item groups into their places."""
    start = places.item_start
    for array, rows in zip(arrays, received, strict=True):
        first = 0
        for group in groups:
            n = int(start[group + 1] - start[group])
            array[start[group] : start[group + 1]] = rows[first : first + n]
            first += n
