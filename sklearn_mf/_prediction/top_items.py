"""Find the top items for each of many rows, from a model: indices and arrays, no ids.

Scores of a tile of rows and items come from one product of matrices. BLAS gives other last bits for other sizes and
threads, so they only choose candidates, with a margin for what they may be off by; the values returned, and their
order, are those of the kernel that predicts.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from sklearn_mf._kernel.selection import TileSelector, best
from sklearn_mf._prediction.model import Model
from sklearn_mf._utils.threads import Threads, chunks, one_blas_thread

_MAX_TILE_ROWS, _MAX_TILE_COLUMNS = 1024, 256  # the scores of a tile stay in the cache
_MAX_ROWS_WITHOUT_TILES = 8  # every item is predicted: the product would not pay for what it needs
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


def top_items(
    model: Model, indices: np.ndarray, items: np.ndarray, excluded: Excluded, k: int, threads: Threads
) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``k`` items of highest score for each row, best first, of equal ones the lower index.

    ``indices`` (n_rows, n_fields) int32: a row's level of each field, -1 for none; that of the item is not looked at.
    ``items``: indices of the items to choose from, in order. Returns indices (n_rows, k), -1 where there are fewer, and
    the scores, NaN there.
    """
    found = np.full((len(indices), k), -1, dtype=np.int32)
    values = np.full((len(indices), k), np.nan)
    is_short = len(indices) <= _MAX_ROWS_WITHOUT_TILES
    tiles = None if is_short else _Tiles(model, items)

    def rank_rows(part: slice) -> None:
        own, out = indices[part], excluded.part(part)
        if is_short:
            kept = [_best_of_all(model, row, items, out.part(slice(r, r + 1)), k) for r, row in enumerate(own)]
        else:
            kept = tiles.candidates(own, out, k)
        start = np.cumsum([0, *map(len, kept)], dtype=np.int64)
        pairs = np.repeat(own, np.diff(start), axis=0)
        pairs[:, 1] = items[np.concatenate(kept)]
        best(k, start, pairs[:, 1].copy(), model.scores(pairs, _ONE_THREAD), found[part], values[part])

    # Rows of a task: all threads get some, and their buffers stay small for a large k. It changes no result.
    per_thread, per_buffer = -(-len(indices) // threads.n), _MAX_BUFFER_ENTRIES // (2 * min(k, len(items)) + _N_SLACK)
    n_rows = max(1, min(_MAX_TILE_ROWS, per_thread, per_buffer))
    with nullcontext() if is_short else one_blas_thread():  # the threads are those of the rows
        threads.map(rank_rows, chunks(len(indices), n_rows))
    return found, values


def _best_of_all(model: Model, row: np.ndarray, items: np.ndarray, excluded: Excluded, k: int) -> np.ndarray:
    """Find the places of the k best items of one row, in no order, from the scores of all."""
    places = np.delete(np.arange(len(items), dtype=np.int32), excluded.place[excluded.start[0] : excluded.stop[0]])
    pairs = np.repeat(row[None], len(places), axis=0)
    pairs[:, 1] = items[places]
    values = model.scores(pairs, _ONE_THREAD)
    _check_finite(values)
    if len(places) <= k:
        return places
    limit = np.partition(values, len(values) - k)[len(values) - k]
    above, tied = places[values > limit], places[values == limit]
    return np.concatenate([above, tied[: k - len(above)]])  # of equal ones those that come first


class _Tiles:
    """Choose candidates from scores that a product of matrices gives, a tile of rows and items at a time."""

    def __init__(self, model: Model, items: np.ndarray):
        self._model, self._items = model, items
        # (q_i, b_i), so that one product with (s, 1) gives the score <s, q_i> + b_i
        self._right = np.column_stack([model.factors[1][items], model.biases[1][items]])
        norms = np.sqrt(np.einsum("ij,ij->i", self._right, self._right, dtype=np.float64))
        self._largest_norm = norms.max(initial=0.0)

    def candidates(self, indices: np.ndarray, excluded: Excluded, k: int) -> list[np.ndarray]:
        """Find for each row the places of the items that may be among its k best."""
        n_rows, n_items, k = len(indices), len(self._items), min(k, len(self._items))
        left, margin = _left_and_margin(self._model, indices, self._largest_norm)
        _check_finite(margin)
        selector = TileSelector(k, margin, excluded, _N_SLACK)
        scores = np.empty(n_rows * min(n_items, _MAX_TILE_COLUMNS), dtype=np.float32)
        for part in chunks(n_items, _MAX_TILE_COLUMNS):
            n_columns = part.stop - part.start
            tile = scores[: n_rows * n_columns].reshape(n_rows, n_columns)
            np.matmul(left, self._right[part].T, out=tile)
            selector.take(tile)
        kept = selector.finish()
        for r, places in enumerate(kept):
            if places is None:
                kept[r] = _best_of_all(self._model, indices[r], self._items, excluded.part(slice(r, r + 1)), k)
        return kept


def _left_and_margin(model: Model, indices: np.ndarray, largest_norm: float) -> tuple[np.ndarray, np.ndarray]:
    """Give rows (s, 1), s the sum of the factors of all fields but the item, and four times what scores may be off by.

    ``largest_norm`` is that of a row (q, b) of an item. Four times: two scores are compared, and each is computed in
    two ways.
    """
    rank = model.rank
    left = np.zeros((len(indices), rank + 1), dtype=np.float32)
    left[:, -1] = 1.0
    norms, squares, biases = np.zeros((3, len(indices)))  # of the rows that are summed
    for field in range(indices.shape[1]):
        if field == 1:
            continue
        known = np.flatnonzero(indices[:, field] >= 0)
        levels = indices[known, field]
        rows = model.factors[field][levels]
        left[known, :-1] += rows
        square = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
        norms[known] += np.sqrt(square)
        squares[known] += square
        biases[known] += np.abs(model.biases[field][levels])
    # A sum of n products in single precision is off by at most n eps sum |a b| (Higham 2002, section 3.1); the products
    # are those of the item's row with the others, of these with each other, and of biases with 1.
    n_terms = (rank + 1) * indices.shape[1] + 8
    size = (norms + 1) * largest_norm + (norms**2 - squares) / 2 + biases
    error = n_terms * np.finfo(np.float32).eps * size
    error += 4 * np.spacing(abs(model.intercept) + size)  # it is added in double precision
    with np.errstate(over="ignore"):
        return left, (4 * error).astype(np.float32)


def _check_finite(values: np.ndarray) -> None:
    """Raise a ValueError if scores cannot be compared."""
    if not np.isfinite(values).all():
        raise ValueError(
            "factors_ or biases_ are not finite, or too large for single precision: nothing can be ranked."
        )
