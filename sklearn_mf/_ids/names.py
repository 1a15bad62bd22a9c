"""Match columns by name: the same names in any order, also where a ``ColumnTransformer`` put a prefix before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import narwhals as nw

from sklearn_mf._ids.tables import Column


def column_names(X: Any) -> list[str]:
    """Return the names of the columns of a data frame; none of other tables, and none where a name is no text."""
    if not nw.dependencies.is_into_dataframe(X):
        return []
    names = list(nw.from_native(X, eager_only=True).columns)
    return names if all(isinstance(name, str) for name in names) else []


def order_columns(columns: list[Column], X: Any, expected: Sequence[str], table: str) -> list[Column]:
    """Give the columns of the table X the order of the expected names, and leave out the others.

    Where one of the two has no names, columns stay in their places. A name counts as the expected one if it is the same
    but for a prefix as in ``pipeline__user`` or ``remainder__user``, on either side.
    """
    names = column_names(X)
    if not names or not len(expected):
        return columns
    places = find_columns(names, expected)
    if places is None:
        raise ValueError(
            f"The columns of {table} are {names}, and those expected are {list(expected)}. Give {table} these columns, "
            "in any order, each once; or rename its own."
        )
    return [columns[place] for place in places]


def find_columns(names: Sequence[str], expected: Sequence[str]) -> list[int] | None:
    """Find the place of each expected name among names; None if one is not there, or not unique."""
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
    """Tell whether one of the names is the other behind a prefix."""
    return name.endswith(f"__{other}") or other.endswith(f"__{name}")


def _have_same_end(name: str, other: str) -> bool:
    """Tell whether the names are the same behind all prefixes."""
    return name.rpartition("__")[2] == other.rpartition("__")[2]


# The closest first: of ``user`` and ``old__user``, ``user`` is meant by ``user``.
_WAYS_TO_BE_THE_SAME: list[Callable[[str, str], bool]] = [str.__eq__, _differ_by_prefix, _have_same_end]
