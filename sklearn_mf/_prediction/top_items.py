"""Find the top items for each of many rows. Works on indices and arrays, not on ids.

Approximate scores choose candidates, with a margin for their error. If the processor has fast products of bytes,
approximate scores are products of factors that are rounded to 8 bits. Otherwise they are matrix products, whose last
bits depend on the sizes and threads of BLAS. Then the exact kernel, which also predicts, gives the returned values and
their order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sklearn_mf._kernel.selection import CoarseItems, TileSelector, best, can_round
from sklearn_mf._prediction.deviations import Bounds
from sklearn_mf._prediction.model import Model
from sklearn_mf._utils.threads import Threads, chunks, one_blas_thread

_MAX_TILE_ROWS, _MAX_TILE_COLUMNS = 1024, 256  # the scores of a tile stay in the cache
_MAX_ROWS_OF_EVERY_ITEM = {True: 4, False: 8}  # if factors can be rounded, or not; other methods have a setup cost
_ROUNDINGS_OF_DEVIATION = 128  # largest number of roundings, each of half a unit in the last place
_N_SLACK = 128  # entries of a row's buffer, in addition to the rank and twice the wanted number
_MAX_BUFFER_ENTRIES = 2**19  # in the buffers of all rows of a task
_MAX_PLACES_OF_ROUNDING = 128  # longer lists spend most time on candidates, and rounding gives more candidates
_MAX_LENGTH, _MAX_SIZE = 1e25, 1e36  # limits of items and of scores, so that nothing overflows in the rounding
_SMALLEST_SQUARE = 1e-30  # smallest squared length that single precision can represent
_ONE_THREAD = Threads(1)


def unit_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale rows to length 1; return them and their lengths. A row of zeros stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    return rows / np.where(norms > 0, norms, 1.0).astype(np.float32)[:, None], norms


@dataclass(frozen=True)
class Excluded:
    """Hold the places of items that must not be returned. Row r has ``place[start[r]:stop[r]]``, in rising order."""

    start: np.ndarray
    stop: np.ndarray
    place: np.ndarray

    @classmethod
    def nothing(cls, n_rows: int) -> Excluded:
        """Exclude nothing for any row."""
        none = np.zeros(n_rows, dtype=np.int64)
        return cls(none, none, np.empty(0, dtype=np.int32))

    def part(self, rows: slice | np.ndarray) -> Excluded:
        """Return the exclusions of some of the rows."""
        return Excluded(self.start[rows], self.stop[rows], self.place)


@dataclass(frozen=True)
class Candidates:
    """Hold the candidate items, in order, and the levels of their own context fields."""

    items: np.ndarray  # int32 (n,)
    contexts: dict[int, np.ndarray] = field(default_factory=dict)  # by field: int32 (n,), -1 for an unknown value

    def __len__(self) -> int:
        return len(self.items)

    @property
    def levels(self) -> dict[int, np.ndarray]:
        """Levels of the items and of their contexts, by field."""
        return {1: self.items, **self.contexts}

    def have_unknown_contexts(self) -> np.ndarray:
        """Find which candidates have an unknown context level."""
        unknown = np.zeros(len(self), dtype=bool)
        for levels in self.contexts.values():
            unknown |= levels < 0
        return unknown

    def pairs(self, rows: np.ndarray, repeats: int | np.ndarray, places: np.ndarray) -> np.ndarray:
        """Repeat rows of levels, and fill in the items at these places and the contexts of these items."""
        pairs = np.repeat(rows, repeats, axis=0)
        for of_field, levels in self.levels.items():
            pairs[:, of_field] = levels[places]
        return pairs


def top_items(
    model: Model | Bounds, indices: np.ndarray, candidates: Candidates, excluded: Excluded, k: int, threads: Threads
) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``k`` items with the highest scores for each row, best first. Of equal items, the lower index is first.

    ``indices``, int32 (n_rows, n_fields), has the levels of each row, or -1. The fields of ``candidates`` are ignored.
    Returns indices (n_rows, k) and scores. If there are fewer items, the rest is -1 and NaN.
    """
    found = np.full((len(indices), k), -1, dtype=np.int32)
    values = np.full((len(indices), k), np.nan)
    can_be_rounded = isinstance(model, Model) and can_round(model.rank) and k <= _MAX_PLACES_OF_ROUNDING
    is_short = len(indices) <= _MAX_ROWS_OF_EVERY_ITEM[can_be_rounded]
    if is_short or (isinstance(model, Bounds) and indices.shape[1] > 2):
        _rank(_EveryItem(model, candidates), indices, excluded, found, values, threads)
        return found, values
    rows = np.arange(len(indices))
    if can_be_rounded:
        rows = _rank(_Rounding(model, candidates), indices, excluded, found, values, threads)
    if len(rows):
        own = found[rows], values[rows]
        with one_blas_thread():  # threads already share the rows
            _rank(_Products(model, candidates), indices[rows], excluded.part(rows), *own, threads)
        found[rows], values[rows] = own
    return found, values


def _rank(
    way: _EveryItem, indices: np.ndarray, excluded: Excluded, found: np.ndarray, values: np.ndarray, threads: Threads
) -> np.ndarray:
    """Fill in the results of rows from the candidates of a method. Return the rows that have too many candidates."""
    k, has_too_many = found.shape[1], np.zeros(len(indices), dtype=bool)

    def rank_rows(part: slice) -> None:
        places, counts = way.places(indices[part], excluded.part(part), min(k, len(way.candidates)))
        has_too_many[part] = counts < 0
        start = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(np.maximum(counts, 0), out=start[1:])
        pairs = way.candidates.pairs(indices[part], np.diff(start), places)
        best(k, start, pairs[:, 1].copy(), way.given.scores(pairs, _ONE_THREAD), found[part], values[part])

    # Choose the rows per task so that all threads get some, and buffers stay small. Results do not depend on it.
    n_wanted = min(k, len(way.candidates))
    per_thread, per_buffer = -(-len(indices) // threads.n), _MAX_BUFFER_ENTRIES // (2 * n_wanted + way.n_slack)
    threads.map(rank_rows, chunks(len(indices), max(1, min(_MAX_TILE_ROWS, per_thread, per_buffer))))
    return np.flatnonzero(has_too_many)


class _EveryItem:
    """Choose candidates by the exact scores of all items. The other methods use cheaper scores."""

    def __init__(self, given: Model | Bounds, candidates: Candidates):
        self.given, self.candidates = given, candidates
        self._model = given.model if isinstance(given, Bounds) else given
        self.n_slack = _N_SLACK + self._model.rank

    def places(self, indices: np.ndarray, excluded: Excluded, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the places of the items that may be among the k best of each row, one row after another.

        Also returns the number of places of each row, or -1 if there are too many.
        """
        kept = [self._best(row, excluded.part(slice(r, r + 1)), k) for r, row in enumerate(indices)]
        return np.concatenate(kept), np.array([len(places) for places in kept])

    def _best(self, row: np.ndarray, excluded: Excluded, k: int) -> np.ndarray:
        """Find the places of the k best items of one row, unordered."""
        places = np.arange(len(self.candidates), dtype=np.int32)
        places = np.delete(places, excluded.place[excluded.start[0] : excluded.stop[0]])
        values = self.given.scores(self.candidates.pairs(row[None], len(places), places), _ONE_THREAD)
        _check_finite(values)
        if len(places) <= k:
            return places
        limit = np.partition(values, len(values) - k)[len(values) - k]
        above, tied = places[values > limit], places[values == limit]
        return np.concatenate([above, tied[: k - len(above)]])  # of equal items, keep the first ones


class _Tiles(_EveryItem):
    """Hold the sums of factors and constants for scores of many rows and items."""

    def __init__(self, given: Model | Bounds, candidates: Candidates):
        super().__init__(given, candidates)
        self._bounds = given if isinstance(given, Bounds) else None
        self._right = _Sums(self._model, len(candidates))
        for of_field, levels in candidates.levels.items():
            self._right.add(of_field, levels)
        with np.errstate(over="ignore"):
            self._constants = self._right.constants.astype(np.float32)
        _check_finite(self._right.rows)
        _check_finite(self._constants)

    def _left(self, indices: np.ndarray) -> tuple[_Sums, np.ndarray, np.ndarray]:
        """Add up the factors of the other fields. Also return the margin for errors of scores, and the size of scores.

        The margin is four times the error of one score: two scores are compared, and each is computed in two ways.
        """
        model, n_fields, right = self._model, indices.shape[1], self._right
        left = _Sums(model, len(indices))
        for of_field in range(n_fields):
            if of_field not in self.candidates.levels:
                left.add(of_field, indices[:, of_field])
        _check_finite(left.rows)
        # The error of a sum of n products in single precision is at most n eps sum |a b| (Higham 2002, section 3.1).
        # There are products of rows within a side, products of rows of both sides, and products of biases with 1.
        n_terms = (model.rank + 1) * n_fields + 8
        size = left.norms * right.norms.max(initial=0.0) + right.sizes.max(initial=0.0) + left.sizes
        error = n_terms * np.finfo(np.float32).eps * size
        error += 4 * np.spacing(abs(model.intercept) + size)  # of the intercept, added in double precision
        with np.errstate(over="ignore", under="ignore"):  # a margin of 0 would leave out items that equal the k-th
            margin = np.maximum((4 * error).astype(np.float32), np.finfo(np.float32).tiny)
        _check_finite(margin)
        return left, margin, size


class _Rounding(_Tiles):
    """Choose candidates by bounds of scores, from factors that are rounded to 8-bit integers."""

    def __init__(self, model: Model, candidates: Candidates):
        super().__init__(model, candidates)
        self._items = None
        if self._right.norms.max() <= _MAX_LENGTH:
            # The mean of the items adds the same number to all scores of a row. Without it, bounds are tighter.
            rows = self._right.rows
            rows -= rows.mean(axis=0)
            self._items = CoarseItems(rows, self._constants)
            del self._right.rows

    def places(self, indices: np.ndarray, excluded: Excluded, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the places of candidates, as `_EveryItem` does."""
        left, margin, size = self._left(indices)
        if self._items is None or size.max() > _MAX_SIZE:
            return np.empty(0, dtype=np.int32), np.full(len(indices), -1)
        # The bounds leave out the rounding in single precision. The margin is much larger than this rounding.
        selector = TileSelector(k, margin, excluded, self.n_slack)
        selector.take_all(left.rows, self._items)
        return selector.finish()


class _Products(_Tiles):
    """Choose candidates by scores from a matrix product, one tile of rows and items at a time."""

    def __init__(self, given: Model | Bounds, candidates: Candidates):
        super().__init__(given, candidates)
        # (q, b), so that one product with (s, 1) gives the score <s, q> + b
        self._rows = np.column_stack([self._right.rows, self._constants])
        if self._bounds is not None:
            self._parts = self._bounds.variance_parts(1, candidates.items)
            _check_finite(self._parts)

    def places(self, indices: np.ndarray, excluded: Excluded, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the places of candidates, as `_EveryItem` does. No row has too many places."""
        n_rows, n_items = len(indices), len(self.candidates)
        sums, margin, _ = self._left(indices)
        left = np.column_stack([sums.rows, np.ones(n_rows, dtype=np.float32)])
        if self._bounds is not None:
            own_parts = self._bounds.variance_parts(0, indices[:, 0])
            margin += self._margin_of_bounds(own_parts)
        selector = TileSelector(k, margin, excluded, self.n_slack)
        scores = np.empty(n_rows * min(n_items, _MAX_TILE_COLUMNS), dtype=np.float32)
        for part in chunks(n_items, _MAX_TILE_COLUMNS):
            n_columns = part.stop - part.start
            tile = scores[: n_rows * n_columns].reshape(n_rows, n_columns)
            np.matmul(left, self._rows[part].T, out=tile)
            if self._bounds is not None:
                deviations = np.sqrt(np.maximum(own_parts @ self._parts[part].T, 0.0))
                tile += np.float32(self._bounds.n_deviations * self._bounds.uncertainty.scale) * deviations
            selector.take(tile)
        places, counts = selector.finish()
        if (counts >= 0).all():
            return places, counts
        kept = np.split(places, np.cumsum(np.maximum(counts, 0))[:-1])
        for r in np.flatnonzero(counts < 0):
            kept[r] = self._best(indices[r], excluded.part(slice(r, r + 1)), k)
        return np.concatenate(kept), np.array([len(places) for places in kept])

    def _margin_of_bounds(self, own_parts: np.ndarray) -> np.ndarray:
        """Return four times the largest error of deviations. Each is computed from some dozens of positive numbers."""
        with np.errstate(over="ignore"):
            largest = np.sqrt(own_parts @ self._parts.max(axis=0))
            unit = abs(self._bounds.n_deviations) * self._bounds.uncertainty.scale
            off = 4 * _ROUNDINGS_OF_DEVIATION * np.finfo(np.float32).eps * unit * largest
        _check_finite(off)
        return off.astype(np.float32)


class _Sums:
    """Add up the contributions of several fields to scores, and the sizes of these contributions."""

    def __init__(self, model: Model, n_rows: int):
        self._model = model
        self.rows = np.zeros((n_rows, model.rank), dtype=np.float32)  # sum of the factors
        self.constants = np.zeros(n_rows)  # sums of biases and of products of factors
        self.norms = np.zeros(n_rows)  # sums of the lengths of factors
        self.sizes = np.zeros(n_rows)  # the same as the constants, but with absolute values
        self._is_empty = True

    def add(self, of_field: int, levels: np.ndarray) -> None:
        """Add a level of a field to each row; -1 adds nothing."""
        known = slice(None) if levels.min(initial=0) >= 0 else np.flatnonzero(levels >= 0)
        factors, biases = self._model.factors[of_field][levels[known]], self._model.biases[of_field][levels[known]]
        norms = _lengths(factors)
        _check_finite(norms + biases)
        self.constants[known] += biases
        self.sizes[known] += np.abs(biases)
        if self._is_empty:
            self.rows[known], self.norms[known], self._is_empty = factors, norms, False
            return
        self.constants[known] += np.einsum("ij,ij->i", self.rows[known], factors, dtype=np.float64)
        self.sizes[known] += self.norms[known] * norms
        with np.errstate(over="ignore"):  # sums are checked where they are used
            self.rows[known] += factors
        self.norms[known] += norms


def _lengths(rows: np.ndarray) -> np.ndarray:
    """Return the length of each row, or slightly more."""
    with np.errstate(over="ignore", under="ignore"):
        squares = np.einsum("ij,ij->i", rows, rows)  # the error is at most one rounding per factor
    if (squares > _SMALLEST_SQUARE).all() and (squares < 1.0 / _SMALLEST_SQUARE).all():
        return np.sqrt(squares * (1.0 + rows.shape[1] * float(np.finfo(np.float32).eps)), dtype=np.float64)
    return np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))


def _check_finite(values: np.ndarray) -> None:
    """Raise a ValueError if scores cannot be compared."""
    if not np.isfinite(values).all():
        raise ValueError(
            "factors_ or biases_ are not finite, or too large for single precision. So nothing can be ranked."
        )
