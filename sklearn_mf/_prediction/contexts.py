"""Read the contexts that are passed to ``recommend``: one per user, one for all users, or one per item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np

from sklearn_mf._ids.names import order_columns
from sklearn_mf._ids.tables import Column, split_column, split_columns
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.own_contexts import own_values
from sklearn_mf._utils.threads import Threads
from sklearn_mf._utils.warnings import warn_user


@dataclass(frozen=True)
class Contexts:
    """Hold the columns of ``context``, with a row for each user, and the fields of the columns."""

    columns: list[Column]
    fields: list[int]
    is_one_for_all: bool


@dataclass(frozen=True)
class ItemContexts:
    """Hold the table ``item_context``: its column of items, its context columns, and the fields of these columns."""

    items: Column
    columns: list[Column]
    fields: list[int]

    def levels(self, fitted: FittedModel, items: np.ndarray, threads: Threads) -> dict[int, np.ndarray]:
        """Find the level of each of ``items`` in each field. Unknown values are -1, and are reported."""
        n_items = fitted.levels.counts[1]
        rows = fitted.levels.encode_field(1, self.items, threads)
        row_of = np.full(n_items + 1, -1)  # the last entry is for unknown items, -1
        row_of[rows] = np.arange(len(rows))
        missing = items[row_of[items] < 0]
        if len(missing):
            raise ValueError(
                f"item_context has no row for {len(missing)} of {len(items)} candidate items: "
                f"{_shown(fitted, missing)}. Add rows for them, or leave them out of candidates."
            )
        codes = [
            fitted.levels.encode_field(f, column, threads) for f, column in zip(self.fields, self.columns, strict=True)
        ]
        for column, of_rows in zip(self.columns, codes, strict=True):
            several = np.unique(rows[(of_rows != of_rows[row_of[rows]]) & (rows >= 0)])
            if len(several):
                raise ValueError(
                    f"{len(several)} items have several values in {column.label}: {_shown(fitted, several)}. Give one "
                    "row for each item."
                )
        is_asked = np.zeros(len(rows), dtype=bool)
        is_asked[row_of[items]] = True
        asked = np.where(is_asked[:, None], np.column_stack(codes), 0)
        then = "These items are ranked without these values."
        report_unknown_contexts(fitted, self.columns, asked, "item_context has", then)
        return {f: of_rows[row_of[items]] for f, of_rows in zip(self.fields, codes, strict=True)}


def take_item_contexts(fitted: FittedModel, given: Any) -> ItemContexts:
    """Read ``item_context``: a table, or a mapping from items to their values."""
    contexts = range(2, len(fitted.levels.ids))
    if not contexts:
        raise ValueError("item_context is given, but the model has no context columns. Leave item_context out.")
    is_frame = nw.dependencies.is_into_dataframe(given)
    if not is_frame and hasattr(given, "items"):  # a mapping or a pandas series
        given = [[item, *(own if isinstance(own, (list, tuple, np.ndarray)) else [own])] for item, own in given.items()]
    if not is_frame and np.size(np.asarray(given, dtype=object)) == 0:
        raise ValueError("item_context is empty. Give a row for each candidate item.")
    columns = split_columns(given, fitted.estimator_name, "item_context")
    n_given = len(columns) - 1
    belonging = [f for f in contexts if own_values(fitted.own_contexts, "item", f) is not None]
    if is_frame and fitted.feature_names and n_given > 0:
        names = nw.from_native(given, eager_only=True).columns[1:]
        unknown = [name for name in names if name not in fitted.feature_names[2:]]
        if unknown:
            raise ValueError(
                f"item_context has columns {unknown}, but the context columns of fit were "
                f"{fitted.feature_names[2:]}. Give a column of items first, then only context columns with these names."
            )
        fields = [2 + fitted.feature_names[2:].index(name) for name in names]
    elif n_given == len(contexts):
        fields = list(contexts)
    else:
        fields = belonging
    if n_given < 1 or n_given != len(fields):
        raise ValueError(
            f"item_context has {n_given + 1} columns, but the model has {_columns(len(contexts))}. In "
            f"{len(belonging)} of them, each item always had the same value. Give a column of items first, then all "
            "context columns, or only those in which each item has one value. Or fit on a data frame, and give a data "
            "frame with the names of its context columns."
        )
    return ItemContexts(columns[0], columns[1:], fields)


def take_contexts(fitted: FittedModel, context: Any, n_users: int, by_item: list[int]) -> Contexts:
    """Read the columns of ``context``, with a row for each user, for all context fields that are not in ``by_item``."""
    fields = [field for field in range(2, len(fitted.levels.ids)) if field not in by_item]
    n_contexts, others = len(fields), " outside item_context" if by_item else ""
    if n_contexts == 0:
        if context is not None:
            raise ValueError(f"context is given, but the model has no context columns{others}. Leave context out.")
        return Contexts([], [], False)
    if context is None:
        belonging = [field for field in fields if own_values(fitted.own_contexts, "item", field) is not None]
        which = ", ".join(_name(fitted, field) for field in belonging)
        raise ValueError(
            f"The model has {_columns(n_contexts)}{others}. Give context: one value for each column, or a table with "
            "a row for each user."
            + (f" Give columns that belong to the item in item_context instead: {which}." if belonging else "")
        )
    columns, is_table = _split_context(fitted, context, n_users, fields)
    n_rows = len(columns[0]) if columns else 0
    if len(columns) != n_contexts or n_rows != n_users:
        shape = (n_rows, len(columns)) if is_table else (len(columns),)
        raise ValueError(
            f"context has shape {shape}, but the model has {_columns(n_contexts)}{others}, and there are "
            f"{n_users} users. Give one value for each column, or a table with a row for each user."
        )
    return Contexts(columns, fields, not is_table)


def report_unknown_contexts(
    fitted: FittedModel, columns: list[Column], levels: np.ndarray, what: str, then: str
) -> None:
    """Report unknown contexts according to ``handle_unknown``. "ignore" warns too, because lists do not show them."""
    if fitted.handle_unknown == "ignore":
        fitted = replace(fitted, handle_unknown="warn")
    fitted.report_unknown(columns, levels, (levels < 0).any(axis=1), what, then)


def warn_of_own_contexts(fitted: FittedModel, contexts: Contexts, levels: np.ndarray, items: np.ndarray) -> None:
    """Warn if ``context`` has another value than an item, or a user, always had in ``fit``.

    ``levels`` (n_users, n_fields) are the levels of users and contexts.
    """
    for field in contexts.fields:
        given, users = levels[:, field], np.flatnonzero(levels[:, 0] >= 0)
        of_item, of_user = (own_values(fitted.own_contexts, owner, field) for owner in ("item", "user"))
        name = _name(fitted, field)
        if of_user is not None:
            n_other = np.count_nonzero(of_user[levels[users, 0]] != given[users])
            if contexts.is_one_for_all and len(given) > 1 and n_other:
                warn_user(
                    f"In fit each user always had the same value in {name}. But context gives one value for all "
                    f"users, and {n_other} of {len(given)} users had another value in fit. Give a table with a row "
                    "for each user.",
                    UserWarning,
                )
        elif of_item is not None:
            own = of_item[items]
            if (own != own[0]).any() or (given != own[0]).any():
                warn_user(
                    f"In fit each item always had the same value in {name}. But for some of the {len(items)} candidate "
                    "items, context gives another value. So they are ranked with a wrong value. Give item_context "
                    "instead, a table with the values of each item.",
                    UserWarning,
                )


def _split_context(fitted: FittedModel, context: Any, n_users: int, fields: list[int]) -> tuple[list[Column], bool]:
    """Split ``context`` into columns with a value for each user; also return whether it was a table."""
    if nw.dependencies.is_into_dataframe(context):
        names = [fitted.feature_names[f] for f in fields] if fitted.feature_names else []
        columns = split_columns(context, fitted.estimator_name, "context")
        return order_columns(columns, context, names, "context"), True
    if nw.dependencies.is_into_series(context):
        context = nw.from_native(context, series_only=True).to_list()
    elif hasattr(context, "to_pylist"):  # a pyarrow Array, which narwhals does not support
        context = context.to_pylist()
    # Arrays stay as they are, because an array of objects would turn datetimes into whole numbers.
    values = np.asarray(context, dtype=None if isinstance(context, (np.ndarray, np.generic)) else object)
    if values.size == 0 and n_users == 0:
        return [Column(f"column {j} of context", []) for j in range(len(fields))], True
    if values.ndim == 2:
        return split_columns(context, fitted.estimator_name, "context"), True
    if len(fields) == 1 and n_users > 1 and values.size == n_users:
        return [split_column(context, "context")], True
    row = [values[()]] if values.ndim == 0 else list(values)  # one row for all users
    return [Column(f"column {j} of context", [value] * n_users) for j, value in enumerate(row)], False


def _name(fitted: FittedModel, field: int) -> str:
    """Return the name of a field in messages."""
    return f"column {field}" + (f" ({fitted.feature_names[field]!r})" if fitted.feature_names else "")


def _shown(fitted: FittedModel, items: np.ndarray) -> str:
    """List the first few of some items, for a message."""
    ids = fitted.levels.ids[1][items[:5]].tolist()
    return ", ".join(map(repr, ids)) + (", ..." if len(items) > 5 else "")


def _columns(n: int) -> str:
    """Write a number of context columns."""
    return f"{n} context column{'' if n == 1 else 's'}"
