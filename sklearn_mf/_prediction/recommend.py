"""Recommend items to users: from ids to ids and ratings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.levels import Levels, describe_unknown
from sklearn_mf._ids.names import order_columns
from sklearn_mf._ids.tables import Column, split_columns, split_ids
from sklearn_mf._prediction.contexts import (
    Contexts,
    report_unknown_contexts,
    take_contexts,
    take_item_contexts,
    warn_of_own_contexts,
)
from sklearn_mf._prediction.deviations import Bounds
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.lists import Lists
from sklearn_mf._prediction.seen import SeenPairs
from sklearn_mf._prediction.top_items import Candidates, Excluded, top_items
from sklearn_mf._utils.threads import Threads


@dataclass(frozen=True)
class Question:
    """Describe a request: the top items of users or, with ``field`` 1, the top users of items.

    Messages name the method ``caller`` and its parameters.
    """

    ids: ArrayLike
    n: int
    exclude: Any = None
    candidates: ArrayLike | None = None
    context: Any = None
    item_context: Any = None
    seen: SeenPairs | None = None  # pairs to leave out, instead of ``exclude``
    field: int = 0
    caller: str = "recommend"
    n_deviations: float = 0.0  # number of standard deviations that are added to a rating in the ranking

    @property
    def names(self) -> tuple[str, str]:
        """Names of the requested ids, and of the ids to find."""
        return ("users", "items") if self.field == 0 else ("items", "users")


def recommend(fitted: FittedModel, question: Question, threads: Threads) -> Lists:
    """Find the top items of each user, or the top users of each item, as the estimators' methods document."""
    column = id_column(question.ids, question.names[0])
    table = None if question.item_context is None else take_item_contexts(fitted, question.item_context)
    contexts = take_contexts(fitted, question.context, len(column), [] if table is None else table.fields)
    pairs = None if question.exclude is None else _pair_columns(fitted, question.exclude)
    if question.field == 1:
        fitted, pairs = fitted.mirrored(), pairs and pairs[::-1]
    items = _candidate_indices(fitted, question, threads)
    n_items = min(question.n, len(items))  # limited before arrays of this size are made
    among = Candidates(items, {} if table is None else table.levels(fitted, items, threads))
    if len(column) == 0:
        return Lists(fitted, column, np.empty((0, n_items), dtype=np.int32), np.empty((0, n_items)))
    indices = np.full((len(column), len(fitted.levels.ids)), -1, dtype=np.int32)
    for field, one in [(0, column), *zip(contexts.fields, contexts.columns, strict=True)]:
        indices[:, field] = fitted.levels.encode_field(field, one, threads)
    unknown = _report_unknown(fitted, question, column, contexts, indices)
    warn_of_own_contexts(fitted, contexts, indices, items)
    excluded = Excluded.nothing(len(column))
    if pairs is not None:
        excluded = _excluded_places(fitted.levels, pairs, column, items, threads)
    elif question.seen is not None:
        of_field = question.seen.excluded if question.field == 0 else question.seen.excluded_users
        excluded = of_field(indices[:, 0], items, fitted.levels.counts[1])
    model, rows = fitted.model, fitted.rows_of(indices)
    if question.n_deviations:
        model = Bounds(model, fitted.uncertainty, question.n_deviations)
    found, ratings = top_items(model, rows, among, excluded, n_items, threads)
    if question.n_deviations:
        ratings[found >= 0] = fitted.model.scores(_pairs_found(rows, among, found), threads)
    fitted.to_ratings(ratings)
    if fitted.handle_unknown == "nan":
        ratings[unknown] = np.nan
        ratings[np.isin(found, items[among.have_unknown_contexts()])] = np.nan
    return Lists(fitted, column, found, ratings)


def _pairs_found(rows: np.ndarray, among: Candidates, found: np.ndarray) -> np.ndarray:
    """Return the rows of indices that were found."""
    places = np.searchsorted(among.items, found[found >= 0])
    return among.pairs(rows, (found >= 0).sum(axis=1), places)


def id_column(ids: Any, label: str) -> Column:
    """Read a list of ids; None and a boolean mask raise an error."""
    if ids is None:
        known = f"model.categories_[{('users', 'items').index(label)}]"
        raise ValueError(f"{label} is None. Give a list or array of ids. For all {label} of the model, give {known}.")
    return split_ids(ids, label)


def _report_unknown(
    fitted: FittedModel, question: Question, users: Column, contexts: Contexts, indices: np.ndarray
) -> np.ndarray:
    """Report unknown users and contexts; return which rows have an unknown id."""
    asked = indices[:, [0, *contexts.fields]]
    unknown = (asked < 0).any(axis=1)
    what, then = f"{question.caller} was given", f"{question.names[1].capitalize()} are ranked without these ids."
    if fitted.has_average_rows:
        then = None
    if fitted.handle_unknown != "ignore":
        fitted.report_unknown([users, *contexts.columns], asked, unknown, what, then)
    elif contexts.columns:  # unknown users are handled as documented
        report_unknown_contexts(fitted, contexts.columns, asked[:, 1:], what, then)
    return unknown


def _pair_columns(fitted: FittedModel, exclude: Any) -> list[Column]:
    """Return the user column and the item column of ``exclude``, matched by the names of ``fit`` if it had names."""
    if np.isscalar(exclude):
        raise ValueError(
            f"exclude must be a table of user and item pairs, or None. Got {exclude!r} instead. To leave out items "
            "that users already have, give the X of fit: exclude=X."
        )
    if isinstance(exclude, (list, tuple)) and len(exclude) == 0:
        exclude = np.empty((0, 2), dtype=np.int64)
    columns = split_columns(exclude, fitted.estimator_name, "exclude")
    if len(columns) < 2:
        raise ValueError(f"exclude has {len(columns)} columns. Give users and items, as in the X of fit.")
    return order_columns(columns, exclude, fitted.feature_names[:2], "exclude")[:2]


def _candidate_indices(fitted: FittedModel, question: Question, threads: Threads) -> np.ndarray:
    """Find the indices of the candidate items, in order."""
    candidates, found_name = question.candidates, question.names[1]
    if candidates is None:
        return np.arange(fitted.levels.counts[1], dtype=np.int32)
    ids = id_column(list(candidates) if isinstance(candidates, (set, frozenset)) else candidates, "candidates")
    if len(ids) == 0:
        raise ValueError(f"candidates is empty. Give the {found_name} to choose from, or None for all.")
    found = fitted.levels.encode_field(1, ids, threads)
    if (found < 0).any():
        raise ValueError(
            f"{found_name.capitalize()} not seen in fit: {describe_unknown([ids], found[:, None])}. Leave "
            "them out: numpy.asarray(candidates)[numpy.isin(candidates, "
            f"model.categories_[{1 - question.field}])] has the known ids."
        )
    return np.unique(found)


def _excluded_places(
    levels: Levels, pairs: list[Column], users: Column, items: np.ndarray, threads: Threads
) -> Excluded:
    """Find the places in ``items`` to leave out for each user. Users are matched by id, so unknown users work too."""
    if len(pairs[0]) == 0:
        return Excluded.nothing(len(users))
    asked, codes = factorize(users)
    kinds = levels.kinds and levels.kinds[:1]
    rows = Levels([asked], [None], kinds).encode_field(0, pairs[0], threads)
    place = np.full(levels.counts[1] + 1, -1, dtype=np.int32)  # the last entry is for unknown items, -1
    place[items] = np.arange(len(items), dtype=np.int32)
    places = place[levels.encode_field(1, pairs[1], threads)]
    counts = (rows >= 0) & (places >= 0)
    if not counts.all():
        rows, places = rows[counts], places[counts]
    table = sparse.csr_array((np.ones(len(rows), dtype=bool), (rows, places)), shape=(len(asked), len(items)))
    table.sort_indices()
    start = table.indptr.astype(np.int64)
    return Excluded(start[codes], start[codes + 1], table.indices.astype(np.int32, copy=False))
