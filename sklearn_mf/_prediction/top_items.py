"""Find the top items for each of many rows, from a model: indices and arrays, no ids.

Scores of a tile of rows and items come from one product of matrices. BLAS gives other last bits for other sizes and
threads, so they only choose candidates, with a margin for what they may be off by; the values returned, and their
order, are those of the kernel that predicts.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np

from sklearn_mf._kernel.selection import TileSelector, best
from sklearn_mf._prediction.deviations import Bounds
from sklearn_mf._prediction.model import Model
from sklearn_mf._utils.threads import Threads, chunks, one_blas_thread

_MAX_TILE_ROWS, _MAX_TILE_COLUMNS = 1024, 256  # the scores of a tile stay in the cache
_MAX_ROWS_WITHOUT_TILES = 8  # every item is predicted: the product would not pay for what it needs
_ROUNDINGS_OF_DEVIATION = 128  # at most, each of half a unit in the last place
_N_SLACK = 128  # entries of a row's buffer beyond twice those that are wanted
_MAX_BUFFER_ENTRIES = 2**20  # of all rows of a task
_ONE_THREAD = Threads(1)


def unit_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale rows to length 1; return them and the lengths that they had. A row of zeros stays one."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    return rows / np.where(norms > 0, norms, 1.0).astype(np.float32)[:, None], norms


@dataclass(frozen=True)
class Excluded:
    """Hold places among the items that are not to be returned: for row r ``place[start[r]:stop[r]]``, in order."""

    start: np.ndarray
    stop: np.ndarray
    place: np.ndarray

    @classmethod
    def nothing(cls, n_rows: int) -> Excluded:
        """Exclude nothing for any row."""
        none = np.zeros(n_rows, dtype=np.int64)
        return cls(none, none, np.empty(0, dtype=np.int32))

    def part(self, rows: slice) -> Excluded:
        """Give what is excluded for some of the rows."""
        return Excluded(self.start[rows], self.stop[rows], self.place)


@dataclass(frozen=True)
class Candidates:
    """Hold the items to choose from, in order, and the levels of the context fields that go with them."""

    items: np.ndarray  # int32 (n,)
    contexts: dict[int, np.ndarray] = field(default_factory=dict)  # by field: int32 (n,), -1 for none

    def __len__(self) -> int:
        return len(self.items)

    @property
    def levels(self) -> dict[int, np.ndarray]:
        """Levels of the items and of what goes with them, by field."""
        return {1: self.items, **self.contexts}

    def have_unknown_contexts(self) -> np.ndarray:
        """Tell which have a context level that is not known."""
        unknown = np.zeros(len(self), dtype=bool)
        for levels in self.contexts.values():
            unknown |= levels < 0
        return unknown

    def pairs(self, rows: np.ndarray, repeats: int | np.ndarray, places: np.ndarray) -> np.ndarray:
        """Repeat rows of levels, and put the items at these places, and what goes with them, into them."""
        pairs = np.repeat(rows, repeats, axis=0)
        for of_field, levels in self.levels.items():
            pairs[:, of_field] = levels[places]
        return pairs


def top_items(
    model: Model | Bounds, indices: np.ndarray, candidates: Candidates, excluded: Excluded, k: int, threads: Threads
) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``k`` items of highest score for each row, best first, of equal ones the lower index.

    ``indices`` (n_rows, n_fields) int32: a row's level of each field, -1 for none; those of fields that ``candidates``
    have are not looked at. Returns indices (n_rows, k), -1 where there are fewer, and the scores, NaN there.
    """
    found = np.full((len(indices), k), -1, dtype=np.int32)
    values = np.full((len(indices), k), np.nan)
    is_short = len(indices) <= _MAX_ROWS_WITHOUT_TILES or (isinstance(model, Bounds) and indices.shape[1] > 2)
    tiles = None if is_short else _Tiles(model, candidates)

    def rank_rows(part: slice) -> None:
        own, out = indices[part], excluded.part(part)
        if is_short:
            kept = [_best_of_all(model, row, candidates, out.part(slice(r, r + 1)), k) for r, row in enumerate(own)]
        else:
            kept = tiles.places(own, out, k)
        start = np.cumsum([0, *map(len, kept)], dtype=np.int64)
        pairs = candidates.pairs(own, np.diff(start), np.concatenate(kept))
        best(k, start, pairs[:, 1].copy(), model.scores(pairs, _ONE_THREAD), found[part], values[part])

    # Rows of a task: all threads get some, and their buffers stay small for a large k. It changes no result.
    n_wanted = min(k, len(candidates))
    per_thread, per_buffer = -(-len(indices) // threads.n), _MAX_BUFFER_ENTRIES // (2 * n_wanted + _N_SLACK)
    n_rows = max(1, min(_MAX_TILE_ROWS, per_thread, per_buffer))
    with nullcontext() if is_short else one_blas_thread():  # the threads are those of the rows
        threads.map(rank_rows, chunks(len(indices), n_rows))
    return found, values


def _best_of_all(
    model: Model | Bounds, row: np.ndarray, candidates: Candidates, excluded: Excluded, k: int
) -> np.ndarray:
    """Find the places of the k best items of one row, in no order, from the scores of all."""
    places = np.arange(len(candidates), dtype=np.int32)
    places = np.delete(places, excluded.place[excluded.start[0] : excluded.stop[0]])
    values = model.scores(candidates.pairs(row[None], len(places), places), _ONE_THREAD)
    _check_finite(values)
    if len(places) <= k:
        return places
    limit = np.partition(values, len(values) - k)[len(values) - k]
    above, tied = places[values > limit], places[values == limit]
    return np.concatenate([above, tied[: k - len(above)]])  # of equal ones those that come first


class _Tiles:
    """Choose candidates from scores that a product of matrices gives, a tile of rows and items at a time."""

    def __init__(self, given: Model | Bounds, candidates: Candidates):
        self._given, self._bounds = given, given if isinstance(given, Bounds) else None
        model = given.model if isinstance(given, Bounds) else given
        self._model, self._candidates, self._right = model, candidates, _Sums(model, len(candidates))
        for of_field, levels in candidates.levels.items():
            self._right.add(of_field, levels)
        # (q, b), so that one product with (s, 1) gives the score <s, q> + b
        with np.errstate(over="ignore"):
            self._rows = np.column_stack([self._right.rows, self._right.constants.astype(np.float32)])
        _check_finite(self._rows)
        if self._bounds is not None:
            self._parts = self._bounds.variance_parts(1, candidates.items)
            _check_finite(self._parts)

    def places(self, indices: np.ndarray, excluded: Excluded, k: int) -> list[np.ndarray]:
        """Find for each row the places of the items that may be among its k best."""
        n_rows, n_items, k = len(indices), len(self._candidates), min(k, len(self._candidates))
        left, margin = self._left_and_margin(indices)
        _check_finite(margin)
        if self._bounds is not None:
            own_parts = self._bounds.variance_parts(0, indices[:, 0])
            margin += self._margin_of_bounds(own_parts)
        selector = TileSelector(k, margin, excluded, _N_SLACK)
        scores = np.empty(n_rows * min(n_items, _MAX_TILE_COLUMNS), dtype=np.float32)
        for part in chunks(n_items, _MAX_TILE_COLUMNS):
            n_columns = part.stop - part.start
            tile = scores[: n_rows * n_columns].reshape(n_rows, n_columns)
            np.matmul(left, self._rows[part].T, out=tile)
            if self._bounds is not None:
                deviations = np.sqrt(np.maximum(own_parts @ self._parts[part].T, 0.0))
                tile += np.float32(self._bounds.n_deviations * self._bounds.uncertainty.scale) * deviations
            selector.take(tile)
        kept = selector.finish()
        for r, places in enumerate(kept):
            if places is None:
                kept[r] = _best_of_all(self._given, indices[r], self._candidates, excluded.part(slice(r, r + 1)), k)
        return kept

    def _margin_of_bounds(self, own_parts: np.ndarray) -> np.ndarray:
        """Give four times what deviations may be off by; each is made of some dozens of numbers above 0."""
        with np.errstate(over="ignore"):
            largest = np.sqrt(own_parts @ self._parts.max(axis=0))
            unit = abs(self._bounds.n_deviations) * self._bounds.uncertainty.scale
            off = 4 * _ROUNDINGS_OF_DEVIATION * np.finfo(np.float32).eps * unit * largest
        _check_finite(off)
        return off.astype(np.float32)

    def _left_and_margin(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give rows (s, 1), s the sum of the factors of the other fields, and four times what scores may be off by.

        Four times: two scores are compared, and each is computed in two ways.
        """
        model, n_fields, right = self._model, indices.shape[1], self._right
        left = _Sums(model, len(indices))
        for of_field in range(n_fields):
            if of_field not in self._candidates.levels:
                left.add(of_field, indices[:, of_field])
        # A sum of n products in single precision is off by at most n eps sum |a b| (Higham 2002, section 3.1); the
        # products are those of rows of one side with each other, with those of the other side, and of biases with 1.
        n_terms = (model.rank + 1) * n_fields + 8
        size = left.norms * right.norms.max(initial=0.0) + right.sizes.max(initial=0.0) + left.sizes
        error = n_terms * np.finfo(np.float32).eps * size
        error += 4 * np.spacing(abs(model.intercept) + size)  # it is added in double precision
        rows = np.column_stack([left.rows, np.ones(len(indices), dtype=np.float32)])
        _check_finite(rows)
        with np.errstate(over="ignore", under="ignore"):  # a margin of 0 would leave out what is as good as the k-th
            return rows, np.maximum((4 * error).astype(np.float32), np.finfo(np.float32).tiny)


class _Sums:
    """Add up what levels of several fields bring to scores, and how large the numbers are that are added."""

    def __init__(self, model: Model, n_rows: int):
        self._model = model
        self.rows = np.zeros((n_rows, model.rank), dtype=np.float32)  # sum of the factors
        self.constants = np.zeros(n_rows)  # of the biases, and of the products of factors with each other
        self.norms = np.zeros(n_rows)  # of the lengths of the factors
        self.sizes = np.zeros(n_rows)  # as the constants, of absolute values

    def add(self, of_field: int, levels: np.ndarray) -> None:
        """Add a level of a field to each row; -1 adds nothing."""
        known = np.flatnonzero(levels >= 0)
        factors, biases = self._model.factors[of_field][levels[known]], self._model.biases[of_field][levels[known]]
        norms = np.sqrt(np.einsum("ij,ij->i", factors, factors, dtype=np.float64))
        _check_finite(norms + biases)
        self.constants[known] += biases + np.einsum("ij,ij->i", self.rows[known], factors, dtype=np.float64)
        self.sizes[known] += np.abs(biases) + self.norms[known] * norms
        with np.errstate(over="ignore"):  # sums are checked where they are used
            self.rows[known] += factors
        self.norms[known] += norms


def _check_finite(values: np.ndarray) -> None:
    """Raise a ValueError if scores cannot be compared."""
    if not np.isfinite(values).all():
        raise ValueError(
            "factors_ or biases_ are not finite, or too large for single precision: nothing can be ranked."
        )
