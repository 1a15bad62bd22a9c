"""Turn one column of ids into its sorted levels and an int32 code for each row.

A column is a typed array, a list of Python objects, or the codes of a categorical. If possible, the kernel hashes or
counts the values directly in their memory. Other values are handled in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from sklearn_mf._ids.kinds import (
    datetime_array,
    kind_of_type,
    number_levels,
    object_array,
    raise_mixed,
    raise_mixed_zones,
)
from sklearn_mf._ids.tables import Categorical, Column, raise_missing, raise_not_an_id
from sklearn_mf._kernel.hashing import (
    floats_as_integers,
    hash_bytes,
    hash_integers,
    hash_strings,
    integer_range,
    look_up_integers,
    mark_integers,
)

_MIN_TABLE_SPAN = 2**16  # whole numbers in a range up to this size use a table, even if there are few rows


def factorize(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Find the sorted levels of a column, and the code of each row, int32 (n_rows,)."""
    label, values = column.label, column.values
    if isinstance(values, Categorical):
        return _factorize_categorical(label, values)
    if isinstance(values, np.ndarray):
        if values.dtype.kind in "iub":
            return _factorize_ints(values)
        if values.dtype.kind == "f":
            return _factorize_floats(label, values)
        if values.dtype.kind == "M":
            if np.isnat(values).any():
                raise_missing(label, np.flatnonzero(np.isnat(values)), len(values))
            return _factorize_by_sorting(values)
        if values.dtype.kind in "US" and values.dtype.itemsize:
            return _factorize_fixed_width(values)
        if values.dtype.kind == "O":
            codes = np.empty(len(values), dtype=np.int32)
            texts = hash_strings(values, codes)  # None if a value is not exactly a str
            if texts is not None:
                return _sort_levels(object_array(texts), codes)
        elif values.dtype.kind not in "UST":
            raise_not_an_id(label, str(values.dtype))
        values = values.tolist()
    elif not isinstance(values, list):
        return _factorize_arrow(values)
    return _factorize_objects(label, values)


def _factorize_by_sorting(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort the values of an array of one type."""
    levels, codes = np.unique(values, return_inverse=True)
    return levels, codes.astype(np.int32)


def _sort_levels(
    levels: np.ndarray, codes: np.ndarray, order: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Sort levels that are in the order of appearance, and adapt the codes."""
    if order is None and levels.dtype == object:  # faster than NumPy's sort of objects
        order = sorted(range(len(levels)), key=levels.tolist().__getitem__)
    elif order is None:
        order = np.argsort(levels, kind="stable")
    rank = np.empty(len(levels), dtype=np.int32)
    rank[order] = np.arange(len(levels), dtype=np.int32)
    return levels[order], rank.take(codes, out=codes, mode="clip")


def _factorize_ints(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Use a table for whole numbers in a small range, and hash others."""
    if values.dtype.kind == "u" and values.size and int(values.max()) > np.iinfo(np.int64).max:
        return _factorize_by_sorting(values.astype(np.uint64))
    if values.dtype != np.int32:
        values = values.astype(np.int64, copy=False)
    low, high = integer_range(values)
    codes = np.empty(len(values), dtype=np.int32)
    if high - low < max(len(values), _MIN_TABLE_SPAN):
        # Dense ids: a table indexed by the id.
        table = np.zeros(high - low + 1, dtype=np.int32)
        mark_integers(values, low, table)
        levels = np.flatnonzero(table) + low
        np.cumsum(table, out=table)
        table -= 1
        look_up_integers(values, low, table, codes)
        return levels, codes
    values = values.astype(np.int64, copy=False)
    return _sort_levels(values[hash_integers(values, codes)], codes)


def _factorize_floats(label: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Treat floats as whole numbers if all of them are whole, otherwise sort them."""
    if values.dtype.itemsize > 8:
        _raise_wider_than_64_bits(label, str(values.dtype))
    values = values.astype(np.float64, copy=False)
    as_ints = np.empty(len(values), dtype=np.int64)
    if floats_as_integers(values, as_ints):  # 1.0 and 1 are one id
        return _factorize_ints(as_ints)
    finite = np.isfinite(values)
    if not finite.all():
        raise_missing(label, np.flatnonzero(~finite), len(values))
    return _factorize_by_sorting(values)


def _factorize_fixed_width(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hash the cells of an array of text or bytes of fixed width, directly in memory."""
    values = np.ascontiguousarray(values)
    codes = np.empty(len(values), dtype=np.int32)
    offsets = np.arange(len(values) + 1, dtype=np.int64) * values.dtype.itemsize
    levels = values[hash_bytes(values.view(np.uint8), offsets, codes)]
    order = np.argsort(levels, kind="stable")
    return _sort_levels(object_array(levels.tolist()), codes, order)


def _factorize_arrow(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Hash the strings of a pyarrow array, directly in memory."""
    import pyarrow
    from pyarrow import compute

    _, offsets, data = values.buffers()
    width = np.int64 if pyarrow.types.is_large_string(values.type) else np.int32
    offsets = np.frombuffer(offsets, dtype=width)[values.offset : values.offset + len(values) + 1]
    data = np.empty(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
    codes = np.empty(len(values), dtype=np.int32)
    levels = values.take(pyarrow.array(hash_bytes(data, offsets.astype(np.int64, copy=False), codes)))
    order = compute.sort_indices(levels).to_numpy()  # UTF-8 sorts in the same order as Python strings
    return _sort_levels(object_array(levels.to_pylist()), codes, order)


def _factorize_categorical(label: str, values: Categorical) -> tuple[np.ndarray, np.ndarray]:
    """Keep the categories that occur, and sort them. Rows only need a table lookup."""
    if len(values.codes) and values.codes.min() < 0:
        raise_missing(label, np.flatnonzero(values.codes < 0), len(values.codes))
    used = np.flatnonzero(np.bincount(values.codes))
    level_of = np.zeros(len(values.categories), dtype=np.int32)
    levels, level_of[used] = factorize(Column(label, values.categories[used]))
    return levels, level_of[values.codes]


def _factorize_objects(label: str, values: list) -> tuple[np.ndarray, np.ndarray]:
    """Check that Python values are ids of one kind, and hash them in Python."""
    kinds: dict[str, list[type]] = {}
    for type_ in set(map(type, values)):
        kind = kind_of_type(type_)
        if kind is None:
            if type_ is type(None) or type_.__name__ in ("NAType", "NaTType"):
                raise_missing(label, [i for i, value in enumerate(values) if type(value) is type_], len(values))
            raise_not_an_id(label, type_.__name__)
        kinds.setdefault(kind, []).append(type_)
    if "number" in kinds:
        floats = tuple(type_ for type_ in kinds["number"] if issubclass(type_, (float, np.floating)))
        not_finite = [i for i, x in enumerate(values) if isinstance(x, floats) and not np.isfinite(x)] if floats else []
        if not_finite:
            raise_missing(label, not_finite, len(values))
    if len(kinds) > 1:
        raise_mixed(label, {kind: next(v for v in values if type(v) in types) for kind, types in kinds.items()})
    numpy_scalars = any(issubclass(type_, np.generic) for types in kinds.values() for type_ in types)
    if numpy_scalars and "datetime" not in kinds:
        # Comparisons of NumPy scalars may be inexact. Comparisons of Python numbers are exact.
        values = [value.item() if isinstance(value, np.generic) else value for value in values]
    if "datetime" in kinds:
        if len({getattr(value, "tzinfo", None) is None for value in values}) > 1:
            raise_mixed_zones(label)
        return factorize(Column(label, datetime_array(label, values)))
    if "number" in kinds:
        return _factorize_numbers(label, values)
    code_of = dict.fromkeys(values)  # one hash pass
    levels = sorted(code_of)
    code_of.update(zip(levels, range(len(levels)), strict=True))
    codes = np.fromiter(map(code_of.__getitem__, values), dtype=np.int32, count=len(values))
    return object_array(levels), codes


def _factorize_numbers(label: str, values: list) -> tuple[np.ndarray, np.ndarray]:
    """Turn Python numbers into an array if all are of one type, otherwise sort them.

    Python does not hash them here, because its hash of numbers has no seed. An attacker could choose many that collide.
    """
    array = number_array(values)
    if array is not None:
        return _factorize_ints(array) if array.dtype.kind == "i" else _factorize_floats(label, array)
    if np.dtype(np.longdouble).itemsize > 8 and any(isinstance(value, np.longdouble) for value in values):
        _raise_wider_than_64_bits(label, np.longdouble.__name__)
    order = sorted(range(len(values)), key=values.__getitem__)  # Python compares ints and floats exactly
    first = [i == 0 or values[row] != values[order[i - 1]] for i, row in enumerate(order)]
    codes = np.empty(len(values), dtype=np.int32)
    codes[order] = np.cumsum(first) - 1
    return number_levels(label, [values[row] for row, is_first in zip(order, first, strict=True) if is_first]), codes


def number_array(values: list) -> np.ndarray | None:
    """Make an array if all Python values are whole numbers within int64, or all are floats; otherwise return None."""
    types = set(map(type, values))
    if types == {float}:
        return np.array(values)
    if not types or not all(issubclass(type_, int) for type_ in types):
        return None
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return None


def _raise_wider_than_64_bits(label: str, what: str) -> NoReturn:
    """Reject floats that are wider than double precision."""
    raise ValueError(
        f"Ids in {label} are {what}, wider than 64 bits. Convert the column, for example with astype(str)."
    )
