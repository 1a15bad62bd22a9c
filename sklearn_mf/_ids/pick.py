"""Pick columns of a table by position or name."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import narwhals as nw

from sklearn_mf._ids.names import find_columns
from sklearn_mf._ids.tables import Column, split_columns


def check_column(column: Any, name: str) -> int | str:
    """Check the position or name of a column, and return it; ``name`` is the name of its parameter."""
    if isinstance(column, bool) or not isinstance(column, (Integral, str)):
        raise TypeError(f"{name} must be the position (int) or name (str) of a column, not {column!r}.")
    if isinstance(column, Integral) and column < 0:
        raise ValueError(f"{name} == {column}, must be >= 0. Positions are counted from 0, from the left.")
    return column


def pick_column(X: Any, column: int | str, name: str, estimator_name: str) -> tuple[str, Any]:
    """Return the name of the column in messages, and its ids unchanged. Other columns may hold anything."""
    if nw.dependencies.is_into_dataframe(X):
        try:
            frame = nw.from_native(X, eager_only=True)
            names = frame.columns
        except nw.exceptions.DuplicateError as error:
            raise ValueError(f"Column names of X repeat. Give each column its own name. {error}") from error
        place = _find_place(X, column, name, len(names), estimator_name)
        label = f"column {place} ({names[place]!r}) of X"
        return label, frame.get_column(names[place]).to_native()
    columns = [] if isinstance(column, str) else split_columns(X, estimator_name)
    place = _find_place(X, column, name, len(columns), estimator_name)
    return columns[place].label, columns[place].values


def split_pairs(X: Any, user_column: int | str, item_column: int | str, caller: str, table: str) -> list[Column]:
    """Return the user column and the item column of a table of ratings."""
    columns = split_columns(X, caller, table)
    if len(columns) < 2 or not len(columns[0]):
        raise ValueError(f"{table} must have a row for each rating, with the columns user and item.")
    user, item = (
        _find_place(X, check_column(column, name), name, len(columns), caller, table)
        for name, column in [("user_column", user_column), ("item_column", item_column)]
    )
    if user == item:
        raise ValueError(f"user_column and item_column of {caller} are both {columns[user].label}. They must differ.")
    return [columns[user], columns[item]]


def _find_place(X: Any, column: int | str, name: str, n_columns: int, caller: str, table: str = "X") -> int:
    """Find the position of a column that is given by position, or by name with or without a prefix."""
    if not isinstance(column, str):
        if column >= n_columns:
            raise ValueError(
                f"{table} has {n_columns} column(s), counted from 0, and {caller} looks for {name}={column}."
            )
        return column
    if not nw.dependencies.is_into_dataframe(X):
        raise ValueError(
            f"{name}={column!r} is a name, but {table} is not a data frame with column names. Give the "
            "position of the column."
        )
    names = nw.from_native(X, eager_only=True).columns
    places = find_columns([str(name) for name in names], [column])
    if places is None:
        raise ValueError(f"{table} has no column {name}={column!r}; its columns are {', '.join(map(repr, names))}.")
    return places[0]
