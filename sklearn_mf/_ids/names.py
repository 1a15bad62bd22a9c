"""Match columns by name, in any order, even if a ``ColumnTransformer`` has added a prefix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import narwhals as nw

from sklearn_mf._ids.tables import Column


def column_names(X: Any) -> list[str]:
    """Return the column names of a data frame; an empty list for other tables, or if a name is not text."""
    if not nw.dependencies.is_into_dataframe(X):
        return []
    names = list(nw.from_native(X, eager_only=True).columns)
    return names if all(isinstance(name, str) for name in names) else []


def order_columns(columns: list[Column], X: Any, expected: Sequence[str], table: str) -> list[Column]:
    """Put the columns of the table X into the order of the expected names, and leave out the others.

    If X has no names or none are expected, columns stay in their places. Names match if they are equal, or if they are
    equal without prefixes such as ``pipeline__`` or ``remainder__``.
    """
    names = column_names(X)
    if not names or not len(expected):
        return columns
    places = find_columns(names, expected)
    if places is None:
        raise ValueError(
            f"{table} has the columns {names}, but needs {list(expected)}. Give each of these columns once, in any "
            f"order, or rename the columns of {table}."
        )
    return [columns[place] for place in places]


def find_columns(names: Sequence[str], expected: Sequence[str]) -> list[int] | None:
    """Find the position of each expected name; None if one is missing or not unique."""
    places = []
    for wanted in expected:
        for are_same in _WAYS_TO_BE_THE_SAME:
            found = [place for place, name in enumerate(names) if are_same(name, wanted)]
            if found:
                break
        if len(found) != 1:
            return None
        places += found
    return places if len(set(places)) == len(places) else None


def _differ_by_prefix(name: str, other: str) -> bool:
    """Check whether one of the names is the other one with a prefix."""
    return name.endswith(f"__{other}") or other.endswith(f"__{name}")


def _have_same_end(name: str, other: str) -> bool:
    """Check whether the names are the same after all prefixes."""
    return name.rpartition("__")[2] == other.rpartition("__")[2]


# The closest match comes first, so that ``user`` matches ``user`` and not ``old__user``.
_WAYS_TO_BE_THE_SAME: list[Callable[[str, str], bool]] = [str.__eq__, _differ_by_prefix, _have_same_end]
