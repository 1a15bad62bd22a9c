"""Distinguish kinds of ids (numbers, text, bytes, datetimes), and make arrays of one kind."""

from __future__ import annotations

import datetime
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np

from sklearn_mf._ids.tables import Categorical, Column, capital

ZONED = "datetime with a time zone"


def kind_of_type(type_: type) -> str | None:
    """Return the kind of ids of a Python or NumPy type, or None if it is not a type of ids."""
    if issubclass(type_, (Real, np.bool_)) and not issubclass(type_, np.timedelta64):
        if issubclass(type_, (Integral, float, np.floating, np.bool_)):
            return "number"
    elif issubclass(type_, str):
        return "text"
    elif issubclass(type_, bytes):
        return "bytes"
    elif issubclass(type_, (datetime.date, np.datetime64)) and type_.__name__ != "NaTType":
        return "datetime"
    return None


def kind_of(levels: np.ndarray) -> str:
    """Return the kind of levels. Their array does not show time zones."""
    if levels.dtype.kind == "M":
        return "datetime"
    if levels.dtype.kind == "O" and len(levels):
        return kind_of_type(type(levels[0])) or "number"
    return "number"


def kind_of_column(column: Column, levels: np.ndarray) -> str:
    """Return the kind of the ids of a column with these levels."""
    kind = kind_of(levels)
    return ZONED if kind == "datetime" and _has_zone(column) else kind


def _has_zone(column: Column) -> bool:
    """Check whether the datetimes of a column have a time zone; either all or none of them have one."""
    if not len(column):
        return column.has_zone
    values, first = column.values, 0
    if isinstance(values, Categorical):
        values, first = values.categories, values.codes[0]
    return column.has_zone or getattr(values[first], "tzinfo", None) is not None


def plural(kind: str) -> str:
    """Return a kind in the plural, for a message."""
    return {"number": "numbers", "datetime": "datetimes", ZONED: "datetimes with a time zone"}.get(kind, kind)


def ids_of(kind: str) -> str:
    """Return a name for ids of a kind, for a message."""
    return f"ids that are {plural(kind)}" if kind == ZONED else f"{kind} ids"


def shown(value: Any) -> str:
    """Return the Python form of an id, for a message."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def raise_mixed(label: str, examples: dict[str, Any], earlier: str = "") -> NoReturn:
    """Raise a ValueError for a column with several kinds of ids, given an example of each.

    ``earlier`` is the kind of the earlier rows.
    """
    written = ", ".join(f"{kind} ({shown(example)})" for kind, example in sorted(examples.items()))
    before = f"Earlier rows have {ids_of(earlier)}. " if earlier else ""
    raise ValueError(
        f"{capital(label)} mixes ids of different types, which cannot be sorted: {written}. "
        f"{before}Convert the column to one type, for example with astype(str)."
    )


def raise_mixed_zones(label: str) -> NoReturn:
    """Raise a ValueError for a column in which only some datetimes have a time zone."""
    raise ValueError(
        f"{capital(label)} mixes datetimes with and without a time zone, which cannot be sorted. Convert "
        "the column to one kind."
    )


def number_levels(label: str, levels: list) -> np.ndarray:
    """Turn sorted Python numbers into int64, uint64 or float64, or into objects if no such array is exact."""
    whole = [int(level) if abs(level) < 2**63 and level == int(level) else level for level in levels]
    if not all(-(2**63) <= level < 2**64 for level in whole if isinstance(level, Integral)):
        raise ValueError(f"{capital(label)} has integers that do not fit into 64 bits. Convert the column to text.")
    if all(isinstance(level, Integral) for level in whole):
        for dtype in (np.int64, np.uint64):
            if np.iinfo(dtype).min <= whole[0] and whole[-1] <= np.iinfo(dtype).max:
                return np.array(whole, dtype=dtype)
    elif all(abs(level) <= 2**53 for level in whole if isinstance(level, Integral)):
        return np.array(whole, dtype=np.float64)
    return object_array(whole)


def object_array(values: list) -> np.ndarray:
    """Put values unchanged into an array of objects."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def datetime_array(label: str, values: list) -> np.ndarray:
    """Turn date and time objects into datetime64 with their finest unit. Times with a zone become UTC."""
    scalars = []
    for value in values:
        if hasattr(value, "to_datetime64"):  # pandas, to the nanosecond and in UTC
            value = value.to_datetime64()
        elif isinstance(value, datetime.datetime) and value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        scalars.append(np.datetime64(value))
    array = np.array(scalars)
    if not all(x.astype(scalar.dtype) == scalar for x, scalar in zip(array, scalars, strict=True) if x == x):
        raise ValueError(
            f"{capital(label)} has datetimes that are too far apart for their units. Convert the column to one unit."
        )
    return array
