"""Learn the levels of all columns batch by batch, with the same result as from all rows at once.

The sorted ids of each batch are a *run*. Runs of about the same size are merged, as in a merge sort. So all runs
together have fewer than twice as many ids as there are distinct ids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_mf._ids.batches import Categorical, Column
from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.kinds import (
    ZONED,
    datetime_array,
    kind_of_column,
    number_levels,
    object_array,
    raise_mixed,
    raise_mixed_zones,
)
from sklearn_mf._ids.levels import Levels
from sklearn_mf._utils.threads import Threads


@dataclass(frozen=True)
class _Run:
    """Hold sorted ids of some batches of one column."""

    ids: np.ndarray
    is_used: np.ndarray  # bool: whether a row of positive weight has the id
    are_floats: bool  # whether all ids were given as floats


class GrowingLevels:
    """Learn levels from one batch after another.

    Parameters
    ----------
    labels : list of str
        Names of the columns in messages.

    threads : Threads
        Threads that share the columns.
    """

    def __init__(self, labels: list[str], threads: Threads):
        self._columns, self._threads = [_GrowingColumn(label) for label in labels], threads

    def add(self, columns: list[Column], weights: np.ndarray | None) -> None:
        """Add the ids of a batch."""
        given = zip(self._columns, columns, strict=True)
        self._threads.map(lambda pair: pair[0].add(pair[1], weights), given)

    def join(self, other: GrowingLevels) -> None:
        """Add the ids that another object has learned."""
        for own, given in zip(self._columns, other._columns, strict=True):
            own.join(given)

    def finish(self) -> Levels:
        """Return the levels of rows of positive weight."""
        runs = self._threads.map(_GrowingColumn.merge_all, self._columns)
        kinds = [column.kind for column in self._columns]
        return Levels([run.ids[run.is_used] for run in runs], [None] * len(runs), kinds)


class _GrowingColumn:
    """Learn the levels of one column."""

    def __init__(self, label: str):
        self.label, self.kind = label, ""
        self._runs: list[_Run] = []

    def add(self, column: Column, weights: np.ndarray | None) -> None:
        """Add the ids of a batch."""
        ids, codes = factorize(column)
        self._check_kind(kind_of_column(column, ids), ids, earlier=self.kind)
        is_used = np.ones(len(ids), dtype=bool)
        if weights is not None:
            is_used = np.bincount(codes, weights > 0, minlength=len(ids)) > 0
        self._take(_Run(ids, is_used, ids.dtype.kind in "if" and _are_floats(column.values)))

    def join(self, other: _GrowingColumn) -> None:
        """Add the ids that another object has learned."""
        if other._runs:
            run = other.merge_all()
            self._check_kind(other.kind, run.ids)
            self._take(run)

    def _take(self, run: _Run) -> None:
        """Keep a run, and merge runs of about the same size."""
        self._runs.append(run)
        while len(self._runs) > 1 and 2 * len(self._runs[-1].ids) >= len(self._runs[-2].ids):
            self._merge_last()

    def merge_all(self) -> _Run:
        """Merge all runs."""
        while len(self._runs) > 1:
            self._merge_last()
        return self._runs[0]

    def _check_kind(self, kind: str, ids: np.ndarray, earlier: str = "") -> None:
        """Reject ids of another kind than before. ``earlier`` is the kind of the earlier rows, for the message."""
        self.kind = self.kind or kind
        if kind == self.kind:
            return
        if {kind, self.kind} == {"datetime", ZONED}:
            raise_mixed_zones(self.label)
        examples = {self.kind: self._runs[0].ids[0], kind: ids[0]}
        examples = {name.replace(ZONED, "datetime"): example for name, example in examples.items()}
        raise_mixed(self.label, examples, earlier)

    def _merge_last(self) -> None:
        """Merge the last two runs."""
        newer, older = self._runs.pop(), self._runs.pop()
        are_floats = older.are_floats and newer.are_floats
        ids = _joined(self.label, older.ids, newer.ids, are_floats)
        is_used = np.concatenate([older.is_used, newer.is_used])
        if ids.dtype.kind == "O":
            order = np.array(sorted(range(len(ids)), key=ids.tolist().__getitem__), dtype=np.intp)
        else:
            order = np.argsort(ids, kind="stable")
        ids = ids[order]
        starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        is_used = np.logical_or.reduceat(is_used[order], starts)
        ids = ids[starts]
        are_ints = older.ids.dtype == newer.ids.dtype and ids.dtype.kind in "iu"
        if self.kind == "number" and not are_floats and not are_ints:
            ids = number_levels(self.label, ids.tolist())
        self._runs.append(_Run(ids, is_used, are_floats))


def _joined(label: str, older: np.ndarray, newer: np.ndarray, are_floats: bool) -> np.ndarray:
    """Concatenate ids into an array in which comparisons are exact."""
    if older.dtype == newer.dtype or are_floats:
        return np.concatenate([older, newer])
    if older.dtype.kind == "M":
        return datetime_array(label, [*older, *newer])
    return object_array([*older.tolist(), *newer.tolist()])


def _are_floats(values: np.ndarray | list | Categorical) -> bool:
    """Check whether all ids were given as floats."""
    if isinstance(values, Categorical):
        return _are_floats(values.categories[np.unique(values.codes)])
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values.dtype.kind == "f"
    return set(map(type, values)) == {float}
