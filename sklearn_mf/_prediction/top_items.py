"""The best items for each of many rows, from factors: indices and arrays, no ids.

Scores of a tile of rows and items come from one product of matrices. BLAS gives other last bits for other sizes and
threads, so they only choose candidates, with a margin for what they may be off by; the values returned, and their
order, are those of the kernel that predicts.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from sklearn_mf._kernel.kernels import predict as predict_kernel
from sklearn_mf._kernel.selection import TOO_MANY, best, finish, take_tile
from sklearn_mf._utils.threads import Threads, chunks, one_blas_thread

_ROWS, _COLUMNS = 1024, 256  # of a tile: its scores stay in the cache
_FEW = 8  # rows for which every item is predicted: the product would not pay for what it needs
CHUNK = 2**16  # rows that a thread predicts at a time
_ALONE = Threads(1)
_ROOM = 128  # entries of a row's buffer beyond twice those that are wanted
_ENTRIES = 2**20  # of the buffers of a task's rows


@dataclass(frozen=True)
class Tables:
    """A fitted model: what predictions are made of."""

    factors: list[np.ndarray]
    biases: list[np.ndarray]
    intercept: float


def predict_indices(tables: Tables, indices: np.ndarray, threads: Threads) -> np.ndarray:
    """Scores of the rows of indices, (n_rows, n_fields) int32; -1 is a level never seen."""
    out = np.empty(len(indices))

    def predict_rows(piece: tuple[int, int]) -> None:
        part = slice(*piece)
        predict_kernel(indices[part], tables.factors, tables.biases, tables.intercept, out[part])

    threads.map(predict_rows, chunks(len(out), CHUNK))
    return out


def unit_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of length 1, and the lengths that they had; a row of zeros stays one."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    return rows / np.where(norms > 0, norms, 1.0).astype(np.float32)[:, None], norms


@dataclass(frozen=True)
class Excluded:
    """Places among the items that are not to be returned: for row r ``place[start[r]:stop[r]]``, in order."""

    start: np.ndarray
    stop: np.ndarray
    place: np.ndarray

    @classmethod
    def nothing(cls, n_rows: int) -> Excluded:
        none = np.zeros(n_rows, dtype=np.int64)
        return cls(none, none, np.empty(0, dtype=np.int32))

    def part(self, rows: slice) -> Excluded:
        return Excluded(self.start[rows], self.stop[rows], self.place)


def top_items(
    tables: Tables, indices: np.ndarray, items: np.ndarray, excluded: Excluded, k: int, threads: Threads
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` items of highest prediction for each row, best first, of equal ones the lower index.

    ``indices`` (n_rows, n_fields) int32: a row's level of each field, -1 for none; that of the item is not looked at.
    ``items``: indices of the items to choose from, in order. Returns indices (n_rows, k), -1 where there are fewer, and
    the predictions, NaN there.
    """
    found = np.full((len(indices), k), -1, dtype=np.int32)
    values = np.full((len(indices), k), np.nan)
    few = len(indices) <= _FEW
    # (q_i, b_i), so that one product with (s, 1) gives the score <s, q_i> + b_i
    right = None if few else np.column_stack([tables.factors[1][items], tables.biases[1][items]])
    largest = 0.0 if few else np.sqrt(np.einsum("ij,ij->i", right, right, dtype=np.float64)).max(initial=0.0)

    def rank_rows(piece: tuple[int, int]) -> None:
        part = slice(*piece)
        own, out = indices[part], excluded.part(part)
        if few:
            kept = [_near_best(tables, row, items, out.part(slice(r, r + 1)), k) for r, row in enumerate(own)]
        else:
            kept = _candidates(tables, own, items, right, largest, out, k)
        start = np.cumsum([0, *map(len, kept)], dtype=np.int64)
        pairs = np.repeat(own, np.diff(start), axis=0)
        pairs[:, 1] = items[np.concatenate(kept)]
        best(k, start, pairs[:, 1].copy(), predict_indices(tables, pairs, _ALONE), found[part], values[part])

    # Rows of a task: all threads get some, and their buffers stay small for a large k. It changes no result.
    n_rows = max(1, min(_ROWS, -(-len(indices) // threads.n), _ENTRIES // (2 * min(k, len(items)) + _ROOM)))
    with nullcontext() if few else one_blas_thread():  # the threads are those of the rows
        threads.map(rank_rows, chunks(len(indices), n_rows))
    return found, values


def _near_best(tables: Tables, row: np.ndarray, items: np.ndarray, excluded: Excluded, k: int) -> np.ndarray:
    """Places of the k best items of one row, in no order, from the predictions of all."""
    places = np.delete(np.arange(len(items), dtype=np.int32), excluded.place[excluded.start[0] : excluded.stop[0]])
    pairs = np.repeat(row[None], len(places), axis=0)
    pairs[:, 1] = items[places]
    values = predict_indices(tables, pairs, _ALONE)
    _check_finite(values)
    if len(places) <= k:
        return places
    limit = np.partition(values, len(values) - k)[len(values) - k]
    above, tied = places[values > limit], places[values == limit]
    return np.concatenate([above, tied[: k - len(above)]])  # of equal ones those that come first


def _candidates(
    tables: Tables,
    indices: np.ndarray,
    items: np.ndarray,
    right: np.ndarray,
    largest: float,
    excluded: Excluded,
    k: int,
) -> list[np.ndarray]:
    """For each row the places of the items that may be among its k best; ``largest``: largest norm of a row (q, b)."""
    n_rows, n_items, wanted = len(indices), len(items), min(k, len(items))
    left, margin = _left_and_margin(tables, indices, largest)
    _check_finite(margin)
    limit, count = np.full(n_rows, -np.inf, dtype=np.float32), np.zeros(n_rows, dtype=np.int32)
    buffer = np.empty((n_rows, 2 * (2 * wanted + _ROOM)), dtype=np.int32)
    next_excluded = excluded.start.copy()
    scores = np.empty(n_rows * min(n_items, _COLUMNS), dtype=np.float32)
    for first, stop in chunks(n_items, _COLUMNS):
        tile = scores[: n_rows * (stop - first)].reshape(n_rows, stop - first)
        np.matmul(left, right[first:stop].T, out=tile)
        take_tile(tile, first, excluded.stop, excluded.place, next_excluded, wanted, margin, limit, count, buffer)
    finish(wanted, margin, limit, count, buffer)
    kept = [buffer[r, 1 : 2 * n : 2] for r, n in enumerate(count.tolist())]
    for r in np.flatnonzero(count == TOO_MANY):
        kept[r] = _near_best(tables, indices[r], items, excluded.part(slice(r, r + 1)), k)
    return kept


def _left_and_margin(tables: Tables, indices: np.ndarray, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows (s, 1), s the sum of the factors of all fields but the item, and four times what their scores may be off by.

    Four times: two scores are compared, and each is computed in two ways.
    """
    rank = tables.factors[0].shape[1]
    left = np.zeros((len(indices), rank + 1), dtype=np.float32)
    left[:, -1] = 1.0
    norms, squares, biases = np.zeros((3, len(indices)))  # of the rows that are summed; largest is that of (q, b)
    for field in range(indices.shape[1]):
        if field == 1:
            continue
        known = np.flatnonzero(indices[:, field] >= 0)
        levels = indices[known, field]
        rows = tables.factors[field][levels]
        left[known, :-1] += rows
        square = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
        norms[known] += np.sqrt(square)
        squares[known] += square
        biases[known] += np.abs(tables.biases[field][levels])
    # A sum of n products in single precision is off by at most n eps sum |a b| (Higham 2002, section 3.1); the products
    # are those of the item's row with the others, of these with each other, and of biases with 1.
    n_terms = (rank + 1) * indices.shape[1] + 8
    size = (norms + 1) * largest + (norms**2 - squares) / 2 + biases
    error = n_terms * np.finfo(np.float32).eps * size
    error += 4 * np.spacing(abs(tables.intercept) + size)  # it is added in double precision
    with np.errstate(over="ignore"):
        return left, (4 * error).astype(np.float32)


def _check_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ValueError(
            "factors_ or biases_ are not finite, or too large for single precision: nothing can be ranked."
        )
