"""Compare the pandas index of X with that of values for its rows. Rows are always matched by position."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from sklearn_mf._utils.warnings import warn_user


def refuse_other_index(values: Any, table: Any, name: str, of: str = "X") -> None:
    """Raise a ValueError if values and a table have a pandas index each, and the two differ."""
    row = _first_other_label(values, table)
    if row is None:
        return
    if not _has_same_labels(values, table):
        raise ValueError(
            f"{name} and {of} have different index labels: {_describe(row, values, table, name, of)} They may belong "
            f"to different rows. {name}[train] looks up labels: to take rows by position, give {name}.iloc[train]. If "
            f"the rows are in the same order though the labels differ, give {name}.to_numpy()."
        )
    by_label = f"Give {name}.loc[{of}.index] if" if values.index.is_unique else f"Put {name} into the order of {of} if"
    raise ValueError(
        f"{name} and {of} have the same index labels in different order: {_describe(row, values, table, name, of)} But "
        f"rows are matched by position. {by_label} rows belong together by label. Give {name}.to_numpy() if they "
        "belong together by position."
    )


def warn_of_other_order(table: Any, of: str = "X", **named: Any) -> None:
    """Warn about each of the named values that has the pandas labels of a table in another order."""
    if not _has_index(table):
        return
    for name, values in named.items():
        row = _first_other_label(values, table)
        if row is None or not _has_same_labels(values, table):
            continue
        by_label = f"put {name} into the order of {of}"
        if values.index.is_unique:
            by_label = f"give {name}.loc[{of}.index]"
        warn_user(
            f"{name} and {of} have the same index labels in different order: "
            f"{_describe(row, values, table, name, of)} Rows are matched by position, as everywhere in scikit-learn. "
            f"If rows belong together by label, {by_label}. If they belong together by position, give "
            f"{name}.to_numpy(), which has no labels.",
            UserWarning,
        )


def with_index_of(table: Any, values: Any) -> Any:
    """Return values with the index of a table of as many rows, if both are from pandas; otherwise as they are."""
    return values.set_axis(table.index) if _has_index(values) and _has_index(table) else values


def _first_other_label(values: Any, table: Any) -> int | None:
    """Return the first row whose labels differ; None if there is none, or if one of the two has no pandas index."""
    if not (_has_index(values) and _has_index(table)):
        return None
    index, of_rows = values.index, table.index
    if len(index) != len(of_rows) or index.equals(of_rows):
        return None
    labels = enumerate(zip(index, of_rows, strict=True))
    return next((row for row, (own, other) in labels if _differ(own, other)), None)


def _differ(own: Any, other: Any) -> bool:
    """Check whether two labels differ. Two missing labels of the same kind do not."""
    try:
        return bool(own != other and (own == own or other == other))  # NaN differs from itself
    except TypeError:  # pandas.NA has no truth value
        return own is not other


def _has_index(values: Any) -> bool:
    """Check whether values are a Series or a data frame of pandas."""
    if values is None or type(values) in (np.ndarray, list):  # the usual case, much faster
        return False
    return nw.dependencies.is_pandas_series(values) or nw.dependencies.is_pandas_dataframe(values)


def _has_same_labels(values: Any, table: Any) -> bool:
    """Check whether two pandas objects have the same labels, in any order."""
    index, of_rows = values.index, table.index
    if index.nlevels != of_rows.nlevels:
        return False
    return bool(index.isin(of_rows).all() and of_rows.isin(index).all())


def _describe(row: int, values: Any, table: Any, name: str, of: str) -> str:
    """Return a sentence with the labels of a row."""
    own, other = (part.index[row : row + 1].tolist()[0] for part in (values, table))
    return f"row {row} is {other!r} in {of} and {own!r} in {name}."
