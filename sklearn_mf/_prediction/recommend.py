"""Recommend items to users: ids in, ids and ratings out."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.levels import Levels, describe_unknown
from sklearn_mf._ids.tables import Column, split_column, split_columns, split_ids
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.top_items import Excluded, top_items
from sklearn_mf._utils.threads import Threads


def recommend(
    fitted: FittedModel,
    users: ArrayLike,
    n_items: int,
    exclude: Any,
    candidates: ArrayLike | None,
    context: Any,
    threads: Threads,
) -> tuple[np.ndarray, np.ndarray]:
    """Find ids and ratings of the top items of each user, as ``MatrixFactorizationRegressor.recommend`` says."""
    column = id_column(users, "users")
    contexts = _context_columns(fitted, context, len(column))
    pairs = None if exclude is None else _pair_columns(fitted, exclude)
    items = _candidate_indices(fitted, candidates, threads)
    if len(column) == 0:
        return fitted.levels.decode(1, np.empty((0, n_items), dtype=np.int32)), np.empty((0, n_items))
    indices = np.full((len(column), len(fitted.levels.ids)), -1, dtype=np.int32)
    for field, one in [(0, column), *enumerate(contexts, 2)]:
        indices[:, field] = fitted.levels.encode_field(field, one, threads)
    asked = np.delete(indices, 1, axis=1)
    unknown = (asked < 0).any(axis=1)
    fitted.report_unknown([column, *contexts], asked, unknown, "recommend was given", "Items are ranked without them.")
    excluded = Excluded.nothing(len(column))
    if pairs is not None:
        excluded = _excluded_places(fitted.levels, pairs, column, items, threads)
    found, ratings = top_items(fitted.model, indices, items, excluded, n_items, threads)
    fitted.to_ratings(ratings)
    if fitted.handle_unknown == "nan":
        ratings[unknown] = np.nan
    return fitted.levels.decode(1, found), ratings


def id_column(ids: Any, label: str) -> Column:
    """Take a list of ids; a mask is refused."""
    return split_ids(ids, label)


def _context_columns(fitted: FittedModel, context: Any, n_users: int) -> list[Column]:
    """Take the columns of the context, a row for each user."""
    n_contexts = len(fitted.levels.ids) - 2
    if n_contexts == 0:
        if context is not None:
            raise ValueError("context was given, but the model has no context columns. Leave it out.")
        return []
    if context is None:
        raise ValueError(
            f"The model has {n_contexts} context columns: give context, one value for each of them, or a table "
            "with a row for each user."
        )
    is_frame = nw.dependencies.is_into_dataframe(context)
    is_table = is_frame or np.ndim(np.asarray(context, dtype=object)) == 2
    if is_frame:
        _check_names(fitted, context, slice(2, None), "context")
    if is_table:
        columns = split_columns(context, fitted.estimator_name, "context")
    elif n_contexts == 1 and n_users > 1 and np.size(np.asarray(context, dtype=object)) == n_users:
        is_table, columns = True, [split_column(context, "context")]
    else:  # one row for all
        values = np.asarray(context, dtype=object)
        if values.ndim == 0:
            values = values[None]
        columns = [Column(f"column {j} of context", [value] * n_users) for j, value in enumerate(values.tolist())]
    n_rows = len(columns[0]) if columns else 0
    if len(columns) != n_contexts or n_rows != n_users:
        shape = (n_rows, len(columns)) if is_table else (len(columns),)
        raise ValueError(
            f"context has shape {shape}, but the model has {n_contexts} context columns and there are {n_users} "
            "users: give one value for each column, or a table with a row for each user."
        )
    return columns


def _pair_columns(fitted: FittedModel, exclude: Any) -> list[Column]:
    """Take the user and item columns of ``exclude``; a frame must have them in the order of ``fit``."""
    if isinstance(exclude, (list, tuple)) and len(exclude) == 0:
        exclude = np.empty((0, 2), dtype=np.int64)
    columns = split_columns(exclude, fitted.estimator_name, "exclude")
    if len(columns) < 2:
        raise ValueError(f"exclude has {len(columns)} columns: give users and items, as the X of fit has them.")
    if nw.dependencies.is_into_dataframe(exclude):
        _check_names(fitted, exclude, slice(2), "exclude")
    return columns[:2]


def _check_names(fitted: FittedModel, frame: Any, fields: slice, table: str) -> None:
    """Raise unless a frame has the names, in order, that these fields had in fit; further ones are not looked at."""
    expected = fitted.feature_names[fields]
    names = nw.from_native(frame, eager_only=True).columns[: len(expected)]
    if names != expected:
        raise ValueError(
            f"The columns of {table} are {names}, and those of fit were {expected}. Give the same, in that order, or "
            "rename them."
        )


def _candidate_indices(fitted: FittedModel, candidates: ArrayLike | None, threads: Threads) -> np.ndarray:
    """Find the indices of the items to choose from, in order."""
    if candidates is None:
        return np.arange(fitted.levels.counts[1], dtype=np.int32)
    ids = id_column(list(candidates) if isinstance(candidates, (set, frozenset)) else candidates, "candidates")
    if len(ids) == 0:
        raise ValueError("candidates is empty: give the items to choose from, or None for all.")
    found = fitted.levels.encode_field(1, ids, threads)
    if (found < 0).any():
        raise ValueError(
            f"Items not seen in fit: {describe_unknown([ids], found[:, None])}. Leave them out, as nothing is known "
            "of them: candidates[numpy.isin(candidates, model.categories_[1])] has the others."
        )
    return np.unique(found)


def _excluded_places(
    levels: Levels, pairs: list[Column], users: Column, items: np.ndarray, threads: Threads
) -> Excluded:
    """Find the places among ``items`` to leave out for each of ``users``; both are matched by id.

    So users who were never seen have theirs too.
    """
    if len(pairs[0]) == 0:
        return Excluded.nothing(len(users))
    asked, codes = factorize(users)
    rows = Levels([asked], [None]).encode_field(0, pairs[0], threads)
    place = np.full(levels.counts[1] + 1, -1, dtype=np.int32)  # -1, an unknown item, is at its end
    place[items] = np.arange(len(items), dtype=np.int32)
    places = place[levels.encode_field(1, pairs[1], threads)]
    counts = (rows >= 0) & (places >= 0)
    if not counts.all():
        rows, places = rows[counts], places[counts]
    table = sparse.csr_array((np.ones(len(rows), dtype=bool), (rows, places)), shape=(len(asked), len(items)))
    table.sort_indices()
    start = table.indptr.astype(np.int64)
    return Excluded(start[codes], start[codes + 1], table.indices.astype(np.int32, copy=False))
