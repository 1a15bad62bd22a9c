"""Hold the pairs that a model was fitted on, for exclusion and for explanations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from sklearn_mf._prediction.top_items import Excluded
from sklearn_mf._utils.threads import chunks

_MAX_SHORT_WEIGHTS = 256  # number of different weights that one byte can encode
_CHUNK = 2**20  # pairs whose weights are looked up at a time


@dataclass(frozen=True)
class SeenPairs:
    """Hold the items of each user. User u has ``index[start[u]:start[u + 1]]``, in increasing order.

    A pair takes four bytes, plus one or four if weights differ. ``changed`` has the users who were added later, or who
    have more items than in ``fit``.
    """

    start: np.ndarray  # int64 (n_users + 1,)
    index: np.ndarray  # int32 (n_pairs,)
    weight: np.ndarray | None  # float32 (n_pairs,), or uint8 places in weight_table; None when all are 1
    weight_table: np.ndarray | None = None  # float32 (n_weights,)
    changed: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of_pairs(cls, start: np.ndarray, index: np.ndarray, weight: np.ndarray | None) -> SeenPairs:
        """Keep pairs. If there are at most 256 different weights, a weight takes one byte."""
        if weight is None:
            return cls(start, index, None)
        few = np.unique(weight[: 16 * _MAX_SHORT_WEIGHTS])
        if len(few) <= _MAX_SHORT_WEIGHTS:
            table = np.unique(weight)
            if len(table) <= _MAX_SHORT_WEIGHTS:
                places = [np.searchsorted(table, weight[part]).astype(np.uint8) for part in chunks(len(weight), _CHUNK)]
                return cls(start, index, np.concatenate(places), table)
        return cls(start, index, weight)

    def of_user(self, user: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the items of a user, in increasing order, and their weights, float32."""
        if user in self.changed:
            return self.changed[user]
        if user >= len(self.start) - 1:
            return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
        part = slice(self.start[user], self.start[user + 1])
        items = self.index[part]
        if self.weight is None:
            return items, np.ones(len(items), dtype=np.float32)
        weights = self.weight[part]
        return items, weights if self.weight_table is None else self.weight_table[weights]

    def count_of(self, users: np.ndarray) -> int:
        """Count the pairs of some users, each given once."""
        is_changed = np.isin(users, list(self.changed))
        old = users[~is_changed]
        old = old[old < len(self.start) - 1]
        n_old = int((self.start[old + 1] - self.start[old]).sum())
        return n_old + sum(len(self.changed[user][0]) for user in users[is_changed].tolist())

    def with_users(self, pairs: dict[int, tuple[np.ndarray, np.ndarray]]) -> SeenPairs:
        """Replace the items and weights of users."""
        return replace(self, changed={**self.changed, **pairs})

    def with_items(self, pairs: dict[int, tuple[np.ndarray, np.ndarray]]) -> SeenPairs:
        """Add new items to users, with the given weights. Their indices are higher than those of all known items."""
        added: dict[int, list[tuple[int, float]]] = {}
        for item in sorted(pairs):
            for user, weight in zip(*(column.tolist() for column in pairs[item]), strict=True):
                added.setdefault(user, []).append((item, weight))
        grown = {}
        for user, new in added.items():
            items, weights = self.of_user(user)
            later = np.array([item for item, _ in new], dtype=np.int32)
            their = np.array([weight for _, weight in new], dtype=np.float32)
            grown[user] = np.concatenate([items, later]), np.concatenate([weights, their])
        return self.with_users(grown)

    def has(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Find which pairs of indices are kept. An unknown id, -1, is in no pair."""
        found, order = np.zeros(len(users), dtype=bool), np.argsort(users, kind="stable")
        asked, first = np.unique(users[order], return_index=True)
        for user, rows in zip(asked.tolist(), np.split(order, first[1:]), strict=True):
            found[rows] = np.isin(items[rows], self.of_user(user)[0]) if user >= 0 else False
        return found

    def excluded(self, users: np.ndarray, items: np.ndarray, n_items: int) -> Excluded:
        """Return the places in ``items`` of the items that each user has seen. An unknown user, -1, has seen none."""
        if not self.changed and len(items) == n_items:
            bounds = np.append(self.start, self.start[-1])  # the last entry is for unknown users, -1
            last = len(self.start) - 1
            rows = np.where(users < 0, last, users)
            return Excluded(bounds[rows], bounds[rows + 1], self.index)
        place = np.full(n_items, -1, dtype=np.int32)
        place[items] = np.arange(len(items), dtype=np.int32)
        asked, rows = np.unique(users, return_inverse=True)
        places = [place[self.of_user(user)[0]] if user >= 0 else place[:0] for user in asked.tolist()]
        places = [some[some >= 0] for some in places]
        stop = np.cumsum([len(some) for some in places], dtype=np.int64)
        start = stop - [len(some) for some in places]
        return Excluded(start[rows], stop[rows], np.concatenate([*places, place[:0]]))

    def excluded_users(self, items: np.ndarray, users: np.ndarray, n_users: int) -> Excluded:
        """Return the places in ``users`` of the users who have seen each item. An unknown item is -1."""
        place = np.full(n_users, -1, dtype=np.int32)
        place[users] = np.arange(len(users), dtype=np.int32)
        asked, rows = np.unique(items, return_inverse=True)
        row_of = np.full(int(max(asked[-1], self.index.max(initial=-1))) + 1, -1)
        row_of[asked[asked >= 0]] = np.flatnonzero(asked >= 0)
        found = np.flatnonzero(row_of[self.index] >= 0)
        owners = np.searchsorted(self.start, found, side="right") - 1
        is_kept = ~np.isin(owners, list(self.changed))
        pairs = [(owners[is_kept], self.index[found[is_kept]])]
        for user, (own, _) in self.changed.items():
            own = own[np.isin(own, asked)]
            pairs.append((np.full(len(own), user), own))
        owners, seen = (np.concatenate(column) for column in zip(*pairs, strict=True))
        counts = place[owners] >= 0
        table = sparse.csr_array(
            (np.ones(counts.sum(), dtype=bool), (row_of[seen[counts]], place[owners[counts]])),
            shape=(len(asked), len(users)),
        )
        table.sort_indices()
        start = table.indptr.astype(np.int64)
        return Excluded(start[rows], start[rows + 1], table.indices.astype(np.int32, copy=False))
