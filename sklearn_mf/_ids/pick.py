"""Pick one column of a table by its place or its name."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import narwhals as nw

from sklearn_mf._ids.tables import split_columns


def check_column(column: Any, name: str) -> int | str:
    """Check the place or name of a column, and return it; ``name`` is the name of its parameter."""
    if isinstance(column, bool) or not isinstance(column, (Integral, str)):
        raise TypeError(f"{name} must be the place (int) or the name (str) of a column, not {column!r}.")
    if isinstance(column, Integral) and column < 0:
        raise ValueError(f"{name} == {column}, must be >= 0: places are counted from the left, from 0.")
    return column


def pick_column(X: Any, column: int | str, name: str, estimator_name: str) -> tuple[str, Any]:
    """Return what to call the column in a message, and its ids as they came; other columns may hold anything."""
    if nw.dependencies.is_into_dataframe(X):
        try:
            frame = nw.from_native(X, eager_only=True)
            names = frame.columns
        except nw.exceptions.DuplicateError as error:
            raise ValueError(f"Names of columns of X repeat; give each a name of its own. {error}") from error
        if isinstance(column, str):
            if column not in names:
                raise ValueError(f"X has no column {name}={column!r}; its columns are {', '.join(map(repr, names))}.")
            column = names.index(column)
        _check_place(column, name, len(names), estimator_name)
        label = f"column {column} ({names[column]!r}) of X"
        return label, frame.get_column(names[column]).to_native()
    if isinstance(column, str):
        raise ValueError(
            f"{name}={column!r} is a name, but X is no data frame whose columns have names: give the place of the "
            "column."
        )
    columns = split_columns(X, estimator_name)
    _check_place(column, name, len(columns), estimator_name)
    return columns[column].label, columns[column].values


def _check_place(place: int, name: str, n_columns: int, estimator_name: str) -> None:
    """Refuse a place that X has no column at."""
    if place >= n_columns:
        raise ValueError(f"X has {n_columns} column(s), counted from 0, and {estimator_name} looks for {name}={place}.")
