"""Hold the distinct pairs of user and item that were observed, by user and by item."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse

_CHUNK = 2**20  # pairs that are merged at a time
_LARGEST_WEIGHT = 1e12  # relative to the mean of the fit: beyond, single precision overflows


@dataclass(frozen=True)
class PairsBySide:
    """Hold the pairs of each row of one side: those of row r are ``start[r]:start[r + 1]``, in rising order."""

    start: np.ndarray  # int64 (n_rows + 1,)
    index: np.ndarray  # int32 (n_pairs,): rows of the other side
    weight: np.ndarray | None  # float32 (n_pairs,); None when all are 1

    @classmethod
    def of_table(cls, table: sparse.csr_array | sparse.csc_array) -> PairsBySide:
        """Take the arrays of a compressed table, with None for weights that are all 1."""
        weight = None if (table.data == 1).all() else table.data
        return cls(table.indptr.astype(np.int64), table.indices.astype(np.int32, copy=False), weight)

    def table(self, n_other: int) -> sparse.csr_array:
        """Give the pairs as a table with ``n_other`` columns."""
        n_pairs = len(self.index)
        weight = np.ones(n_pairs, dtype=np.float32) if self.weight is None else self.weight
        start = self.start.astype(np.int32) if n_pairs < 2**31 else self.start  # SciPy gives all indices one type
        return sparse.csr_array((weight, self.index, start), shape=(self.n_rows, n_other))

    def by_other_side(self, n_other: int) -> PairsBySide:
        """Give the pairs by the rows of the other side."""
        return PairsBySide.of_table(self.table(n_other).tocsc())

    @property
    def n_rows(self) -> int:
        """Number of rows of this side."""
        return len(self.start) - 1

    @property
    def masses(self) -> np.ndarray:
        """Summed weight of each row, float64 (n_rows,)."""
        if self.weight is None or len(self.index) == 0:
            return np.diff(self.start).astype(np.float64)
        masses = np.zeros(self.n_rows)
        filled = np.flatnonzero(np.diff(self.start))
        masses[filled] = np.add.reduceat(self.weight, self.start[filled], dtype=np.float64)
        return masses


@dataclass
class CodedPairs:
    """Hold rows of X as codes, and how much each counts. Each row counts."""

    codes: list[np.ndarray]  # int32 (n_rows,) of users and of items; cleared by what uses them up
    confidence: np.ndarray | None  # float64 (n_rows,), at least 0; None is 1 everywhere
    n_levels: list[int]

    def of_rows(self, rows: np.ndarray) -> CodedPairs:
        """Give some of the rows."""
        confidence = None if self.confidence is None else self.confidence[rows]
        return CodedPairs([column[rows] for column in self.codes], confidence, self.n_levels)


def distinct_pairs(pairs: CodedPairs, unit: float | None = None) -> tuple[PairsBySide, float]:
    """Add up what is said of each pair; return the pairs by user, and the unit of their weights.

    Weights are divided by their mean, or by ``unit``. The result is the same for any order of the rows. ``pairs`` are
    used up, to make room.
    """
    codes, largest, is_alike = pairs.codes, 1.0, pairs.confidence is None
    if is_alike:
        given = np.ones(len(codes[0]), dtype=np.float32)
    else:
        largest = float(pairs.confidence.max()) if unit is None else unit
        given = np.empty(len(codes[0]), dtype=np.float32)
        with np.errstate(over="ignore", under="ignore"):
            np.divide(pairs.confidence, largest, out=given, casting="same_kind")
        np.minimum(given, _LARGEST_WEIGHT, out=given)
        pairs.confidence = None
    table = sparse.coo_array((given, (codes[0], codes[1])), shape=tuple(pairs.n_levels))
    table.has_canonical_format = True  # it is not, but SciPy's sums of repeated pairs would depend on their order
    codes.clear()
    by_item = table.tocsc()
    del table, given
    by_user = _merge_repeated(by_item.tocsr())  # in counting passes; rows are in order now
    del by_item
    # Of weights that are all 1 the mean is not exactly 1 in every order of the sum.
    mean = float(by_user.data.mean(dtype=np.float64)) if by_user.data.min() < by_user.data.max() else by_user.data[0]
    if unit is None:
        by_user.data /= np.float32(mean)
        unit = float(mean) * largest
    elif is_alike:
        by_user.data /= np.float32(unit)
    return PairsBySide.of_table(by_user), unit


def _merge_repeated(table: sparse.csr_array) -> sparse.csr_array:
    """Add up pairs that are there several times, which follow each other, from the smallest number on; in place."""
    n_kept, counts = 0, np.zeros(table.shape[0], dtype=np.int64)
    for rows in _chunks_of_rows(table.indptr):
        part = slice(table.indptr[rows.start], table.indptr[rows.stop])
        own = np.repeat(
            np.arange(rows.start, rows.stop, dtype=np.int32), np.diff(table.indptr[rows.start : rows.stop + 1])
        )
        first, sums = _sums_of_repeated(own, table.indices[part], table.data[part])
        counts[rows] = np.bincount(own[first] - rows.start, minlength=rows.stop - rows.start)
        # What is kept never reaches beyond what was read.
        kept = slice(n_kept, n_kept + len(first))
        table.indices[kept], table.data[kept] = table.indices[part][first], sums
        n_kept = kept.stop
    if n_kept == len(table.data):
        return table
    start = np.concatenate([[0], np.cumsum(counts)]).astype(table.indptr.dtype)
    return sparse.csr_array((table.data[:n_kept], table.indices[:n_kept], start), shape=table.shape)


def _sums_of_repeated(rows: np.ndarray, index: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the place of each distinct pair among sorted ones, and the sum of its numbers, float32."""
    is_first = np.ones(len(rows), dtype=bool)
    is_first[1:] = (rows[1:] != rows[:-1]) | (index[1:] != index[:-1])
    first = np.flatnonzero(is_first)
    if len(first) == len(rows):
        return first, data
    pair = np.cumsum(is_first) - 1
    repeated = np.flatnonzero((np.diff(np.append(first, len(rows))) > 1)[pair])
    numbers = data.astype(np.float64)
    numbers[repeated] = numbers[repeated[np.lexsort((numbers[repeated], pair[repeated]))]]
    return first, np.add.reduceat(numbers, first).astype(np.float32)


def _chunks_of_rows(start: np.ndarray) -> list[slice]:
    """Cut rows into chunks of some number of pairs, or of one row that has more."""
    ends = np.searchsorted(start, np.arange(_CHUNK, start[-1], _CHUNK), side="left")
    bounds = np.unique([0, *ends, len(start) - 1]).tolist()
    return [slice(a, b) for a, b in pairwise(bounds)]
