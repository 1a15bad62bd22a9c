"""Hold the distinct observed pairs of users and items, by user and by item."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse

from sklearn_mf._training.confidence import ConfidenceRule, levels_and_masses
from sklearn_mf._training.sections import Sections, add_in_order
from sklearn_mf._training.shard import Shard

_CHUNK = 2**20  # pairs that are merged at a time
_LARGEST_WEIGHT = 1e12  # relative to the mean of the fit; with more, single precision overflows


@dataclass(frozen=True)
class PairsBySide:
    """Hold the pairs of each row of one side. Row r has the pairs ``start[r]:start[r + 1]``, in increasing order."""

    start: np.ndarray  # int64 (n_rows + 1,)
    index: np.ndarray  # int32 (n_pairs,): rows of the other side
    weight: np.ndarray | None  # float32 (n_pairs,); None when all are 1

    @classmethod
    def joined(cls, parts: list[PairsBySide]) -> PairsBySide:
        """Concatenate the pairs of all shards, in their order."""
        n_pairs = np.cumsum([0, *(len(part.index) for part in parts)])
        start = np.concatenate([[0], *(part.start[1:] + before for part, before in zip(parts, n_pairs, strict=False))])
        index, weight = np.concatenate([part.index for part in parts]), None
        if any(part.weight is not None for part in parts):
            weight = np.concatenate([part.weights for part in parts])
        return cls(start, index, weight)

    @classmethod
    def of_table(cls, table: sparse.csr_array | sparse.csc_array) -> PairsBySide:
        """Use the arrays of a compressed table; weights are None if all are 1."""
        weight = None if (table.data == 1).all() else table.data
        return cls(table.indptr.astype(np.int64), table.indices.astype(np.int32, copy=False), weight)

    def table(self, n_other: int) -> sparse.csr_array:
        """Return the pairs as a table with ``n_other`` columns."""
        # SciPy needs one dtype for both index arrays.
        start = self.start.astype(np.int32) if len(self.index) < 2**31 else self.start
        return sparse.csr_array((self.weights, self.index, start), shape=(self.n_rows, n_other))

    @property
    def n_rows(self) -> int:
        """Number of rows of this side."""
        return len(self.start) - 1

    @property
    def weights(self) -> np.ndarray:
        """Weights of the pairs, float32 (n_pairs,)."""
        return np.ones(len(self.index), dtype=np.float32) if self.weight is None else self.weight

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
    """Hold rows of X as codes, with their confidence. All rows count."""

    codes: list[np.ndarray]  # int32 (n_rows,) of users and of items; emptied when used up
    confidence: np.ndarray | None  # float64 (n_rows,), at least 0; None is 1 everywhere
    n_levels: list[int]

    def of_rows(self, rows: np.ndarray, field: int) -> CodedPairs:
        """Return some of the rows, with the codes of a field first."""
        confidence = None if self.confidence is None else self.confidence[rows]
        order = [field, 1 - field]
        return CodedPairs([self.codes[f][rows] for f in order], confidence, [self.n_levels[f] for f in order])


def weigh_pairs(
    codes: list[np.ndarray],
    ratings: np.ndarray | None,
    weights: np.ndarray | None,
    n_levels: list[int],
    strength: float,
    shard: Shard,
) -> tuple[CodedPairs, ConfidenceRule | None, float]:
    """Return the pairs of this shard with their confidence, the rule of confidence, and the largest weight.

    Either all shards have ratings or none, and the same for weights. A shard without rows has empty arrays.
    """
    rule, confidence, weight_scale = None, None, 1.0
    if weights is not None:
        weight_scale = _largest(weights, shard)
        confidence = weights = weights / weight_scale
    if ratings is not None:
        rule = ConfidenceRule.fit(strength, *levels_and_masses(ratings, weights, shard))
        confidence = rule.of_rows(ratings, weights)
    return CodedPairs(codes, confidence, n_levels), rule, weight_scale


def distinct_pairs(pairs: CodedPairs, shard: Shard) -> tuple[PairsBySide, float]:
    """Add up the confidence of each pair over all shards; return this shard's pairs by user, and the unit of weights.

    Weights are divided by the unit, which is their mean over all pairs. The result does not depend on the order of the
    rows or on the shards. ``pairs`` are used up, to free memory.
    """
    users = Sections(pairs.n_levels[0])
    rows = users.own_rows(shard)
    scale = 1.0 if pairs.confidence is None else _largest(pairs.confidence, shard)
    codes, n_items = pairs.codes, pairs.n_levels[1]
    given = users.send_to_owners(codes[0], [*codes, _relative_weights(pairs, scale)], shard)
    codes.clear()
    by_user = _merged(given, rows.start, (rows.stop - rows.start, n_items))
    mean = _mean_weight(by_user, users.own_slices(shard), shard)
    by_user.data /= np.float32(mean)
    return PairsBySide.of_table(by_user), mean * scale


def pairs_in_unit(pairs: CodedPairs, unit: float) -> PairsBySide:
    """Add up the confidence of each pair, and divide it by ``unit``; return the pairs by their first code."""
    is_alike = pairs.confidence is None
    weights = _relative_weights(pairs, 1.0 if is_alike else unit)
    table = _merged([*pairs.codes, weights], 0, (pairs.n_levels[0], pairs.n_levels[1]))
    if is_alike:
        table.data /= np.float32(unit)
    return PairsBySide.of_table(table)


def pairs_of_items(by_user: PairsBySide, n_levels: list[int], shard: Shard) -> PairsBySide:
    """Return this shard's pairs by item, from the pairs by user of all shards."""
    users, items = (Sections(n).starts(shard) for n in n_levels)
    table, parts = by_user.table(n_levels[1]).tocsc(), []
    for first, last in pairwise(items):
        part = slice(table.indptr[first], table.indptr[last])
        parts.append([table.indptr[first : last + 1] - part.start, table.indices[part], table.data[part]])
    del table
    n_items = int(items[shard.index + 1] - items[shard.index])
    of_shards = [
        sparse.csr_array((weight, index, start), shape=(n_items, int(n_users)))
        for n_users, (start, index, weight) in zip(np.diff(users), shard.exchange(parts), strict=True)
    ]
    return PairsBySide.of_table(sparse.hstack(of_shards, format="csr"))


def _largest(values: np.ndarray, shard: Shard) -> float:
    """Return the largest number of all shards; numbers are at least 0."""
    return float(shard.gather(np.array([values.max(initial=0.0)])).max())


def _relative_weights(pairs: CodedPairs, scale: float) -> np.ndarray:
    """Return confidences divided by ``scale``, float32, and remove them from ``pairs``."""
    given = np.ones(len(pairs.codes[0]), dtype=np.float32)
    if pairs.confidence is not None:
        with np.errstate(over="ignore", under="ignore"):
            np.divide(pairs.confidence, scale, out=given, casting="same_kind")
        np.minimum(given, _LARGEST_WEIGHT, out=given)
        pairs.confidence = None
    return given


def _merged(given: list[np.ndarray], first: int, shape: tuple[int, int]) -> sparse.csr_array:
    """Turn codes and weights into a table of distinct pairs, whose row 0 is code ``first``. ``given`` is used up."""
    rows, columns, weights = given
    given.clear()
    if first:
        rows = rows - np.int32(first)
    table = sparse.coo_array((weights, (rows, columns)), shape=shape)
    del rows, columns, weights
    table.has_canonical_format = True  # not true, but it keeps SciPy from adding up repeated pairs
    by_column = table.tocsc()
    del table
    return _merge_repeated(by_column.tocsr())  # by counting; this also sorts the columns of each row


def _mean_weight(by_user: sparse.csr_array, sections: list[slice], shard: Shard) -> float:
    """Return the mean weight over the pairs of all shards."""
    data, start = by_user.data, by_user.indptr
    extremes = shard.gather(np.array([[data.min(initial=np.inf), data.max(initial=-np.inf)]]))
    smallest, largest = float(extremes[:, 0].min()), float(extremes[:, 1].max())
    if smallest == largest:  # rounding could change the mean of equal weights
        return smallest
    parts = [data[start[rows.start] : start[rows.stop]] for rows in sections]
    sums = np.array([[part.sum(dtype=np.float64), len(part)] for part in parts]).reshape(-1, 2)
    total, n_pairs = add_in_order(sums, shard)
    return float(total / n_pairs)


def _merge_repeated(table: sparse.csr_array) -> sparse.csr_array:
    """Add up the numbers of repeated pairs, which are adjacent, from the smallest number on, in place."""
    n_kept, counts = 0, np.zeros(table.shape[0], dtype=np.int64)
    for rows in _chunks_of_rows(table.indptr):
        part = slice(table.indptr[rows.start], table.indptr[rows.stop])
        own = np.repeat(
            np.arange(rows.start, rows.stop, dtype=np.int32), np.diff(table.indptr[rows.start : rows.stop + 1])
        )
        first, sums = _sums_of_repeated(own, table.indices[part], table.data[part])
        counts[rows] = np.bincount(own[first] - rows.start, minlength=rows.stop - rows.start)
        # The part that is written never reaches beyond the part that was read.
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
    """Cut rows into chunks of about ``_CHUNK`` pairs. A row with more pairs is a chunk of its own."""
    ends = np.searchsorted(start, np.arange(_CHUNK, start[-1], _CHUNK), side="left")
    bounds = np.unique([0, *ends, len(start) - 1]).tolist()
    return [slice(a, b) for a, b in pairwise(bounds)]
