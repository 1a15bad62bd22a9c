"""Ids to indices and back, one column at a time.

An *id* is what the caller wrote; an *index* is its place among the levels of its column, or -1 when it is not one of
them. Levels are sorted, and those that come later follow in order of arrival; then a *sorter* sorts them. A column
arrives as a typed array, a list of Python objects, or the codes of a pandas categorical; ``_factorize`` turns each into
(sorted levels, codes), and ``_align`` finds levels among those of the fit.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np

from sklearn_mf._ids.checks import warn_user
from sklearn_mf._ids.tables import Categorical, Column, capital, raise_missing
from sklearn_mf._kernel.hashing import (
    floats_as_integers,
    hash_bytes,
    hash_integers,
    hash_strings,
    integer_range,
    look_up_integers,
    mark_integers,
)
from sklearn_mf._utils.threads import Threads

_CONTINUOUS_MIN_ROWS = 1000  # below, a column of many levels says little about what the column is


def fit_columns(columns: list[Column], threads: Threads) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Learn the sorted levels of each column; return them and the indices of the rows, each a list of arrays."""
    levels, codes = zip(*threads.map(_factorize, columns), strict=True)
    return list(levels), list(codes)


def factorize(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Sorted levels of one column, and the code of each row."""
    return _factorize(column)


def drop_unused_levels(
    levels: list[np.ndarray], codes: list[np.ndarray], weights: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Keep the levels that a row of positive weight has; the codes of other rows are undefined."""
    kept_levels, kept_codes = [], []
    for column_levels, column_codes in zip(levels, codes, strict=True):
        used = np.bincount(column_codes, weights > 0, minlength=len(column_levels)) > 0
        kept_levels.append(column_levels[used])
        kept_codes.append((np.cumsum(used, dtype=np.int32) - np.int32(1))[column_codes])
    return kept_levels, kept_codes


def encode_columns(
    columns: list[Column], fitted_levels: list[np.ndarray], sorters: list[np.ndarray | None], threads: Threads
) -> np.ndarray:
    """Indices of the rows among the levels of the fit, int32 (n_rows, n_columns); -1 where an id is not one of them."""
    indices = np.empty((len(columns[0]), len(columns)), dtype=np.int32)

    def encode(j: int) -> None:
        column, fitted, sorter = columns[j], fitted_levels[j], sorters[j]
        if _look_up_ints(column.values, fitted, sorter, indices[:, j]):
            return
        levels, codes = _factorize(column)
        find_levels(column.label, levels, fitted, sorter).take(codes, out=indices[:, j], mode="clip")

    threads.map(encode, range(len(columns)))
    return indices


def find_ids(label: str, ids: np.ndarray, among: np.ndarray, of: str) -> np.ndarray:
    """Places of ids among others in any order, each once, int32; -1 where they are not."""
    return find_levels(label, ids, among, np.argsort(among, kind="stable"), of)


def find_levels(
    label: str,
    levels: np.ndarray,
    fitted: np.ndarray,
    sorter: np.ndarray | None,
    of: str = "the model was fitted on",
) -> np.ndarray:
    """Indices of ``levels`` among those of the fit, int32; -1 where they are not."""
    kind, fitted_kind = _kind(levels), _kind(fitted)
    if kind != fitted_kind:
        raise ValueError(
            f"Ids in {label} are {_plural(kind)} (such as {_shown(levels[0])}), but {of} {fitted_kind} ids (such as "
            f"{_shown(fitted[0])}). Give ids of the same kind, for example with astype."
        )
    return _align(levels, fitted, sorter)


def grow_levels(
    columns: list[Column],
    fitted_levels: list[np.ndarray],
    sorters: list[np.ndarray | None],
    weights: np.ndarray | None,
    threads: Threads,
) -> tuple[list[np.ndarray], list[np.ndarray | None], list[np.ndarray]]:
    """Append the levels that rows of positive weight have and the fit had not; return levels, sorters and indices."""
    levels, codes = fit_columns(columns, threads)
    if weights is not None and not weights.all():
        levels, codes = drop_unused_levels(levels, codes, weights)
    all_levels, all_sorters, indices = [], [], []
    for column, own, code, fitted, sorter in zip(columns, levels, codes, fitted_levels, sorters, strict=True):
        place = find_levels(column.label, own, fitted, sorter)
        new = np.flatnonzero(place < 0)
        if len(new):
            order = np.arange(len(fitted)) if sorter is None else sorter
            at = np.searchsorted(*_comparable(fitted[order], own[new]))
            place[new] = np.arange(len(fitted), len(fitted) + len(new))
            sorter = np.insert(order, at, place[new]) if sorter is not None or at[0] < len(fitted) else None
            fitted = _joined(column.label, fitted, own[new])
        all_levels.append(fitted)
        all_sorters.append(sorter)
        indices.append(place[code])
    return all_levels, all_sorters, indices


def _joined(label: str, fitted: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Levels of two arrays of one kind, none of them changed by it."""
    if fitted.dtype == new.dtype or fitted.dtype.kind == "O":
        return np.concatenate([fitted, new.astype(fitted.dtype)])
    if fitted.dtype.kind == "M":
        return _datetime_array(label, [*fitted, *new])
    values = [*fitted.tolist(), *new.tolist()]
    dtype = _number_levels(label, sorted(values)).dtype
    return _object_array(values) if dtype.kind == "O" else np.array(values, dtype=dtype)


def _look_up_ints(
    values: np.ndarray | list | Categorical, fitted: np.ndarray, sorter: np.ndarray | None, out: np.ndarray
) -> bool:
    """Fill ``out`` if both the values and the levels of the fit are whole numbers; return whether they are."""
    if fitted.dtype != np.int64 or not isinstance(values, np.ndarray) or values.dtype.kind not in "iubf":
        return False
    if values.dtype.kind == "u" and values.dtype.itemsize == 8:
        return False
    if values.dtype.kind == "f":
        as_ints = np.empty(len(values), dtype=np.int64)
        if values.dtype.itemsize > 8 or not floats_as_integers(values.astype(np.float64, copy=False), as_ints):
            return False
        values = as_ints
    elif values.dtype != np.int32:
        values = values.astype(np.int64, copy=False)
    first, last = (0, -1) if sorter is None else sorter[[0, -1]]
    low, span = int(fitted[first]), int(fitted[last]) - int(fitted[first]) + 1
    if span <= 2 * len(values):
        table = np.full(span, -1, dtype=np.int32)
        table[fitted - low] = np.arange(len(fitted), dtype=np.int32)
        look_up_integers(values, low, table, out)
    elif len(values) < len(fitted):
        out[:] = _align(values.astype(np.int64, copy=False), fitted, sorter)
    else:
        return False
    return True


def decode_unknown(columns: list[Column], indices: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """For each column with unknown ids (index -1): its label and the ids, sorted, once each."""
    unknown = []
    for j, column in enumerate(columns):
        rows = indices[:, j] < 0
        if rows.any():
            levels, codes = _factorize(column)
            unknown.append((column.label, levels[np.unique(codes[rows])]))
    return unknown


def warn_of_continuous_columns(columns: list[Column], levels: list[np.ndarray], n_rows: int) -> None:
    """A column that can hardly be a category gets a warning: each of its levels would be learned by itself."""
    if n_rows < _CONTINUOUS_MIN_ROWS:
        return
    for j, (column, column_levels) in enumerate(zip(columns, levels, strict=True)):
        n_levels, continuous = len(column_levels), column_levels.dtype.kind in "fM"
        if (n_levels > n_rows / 2 and j >= 2) or (n_levels > n_rows / 10 and continuous):
            warn_user(
                f"{capital(column.label)} has {n_levels} levels in {n_rows} rows and looks "
                f"{'continuous' if continuous else 'like an identifier of rows'}, but every column is a category here: "
                "levels close to each other share nothing. Put it into bins first, for example with sklearn's "
                "KBinsDiscretizer(encode='ordinal'), or leave it out.",
                UserWarning,
            )


# Factorizing: (sorted levels, int32 codes)


def _factorize(column: Column) -> tuple[np.ndarray, np.ndarray]:
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
            return _unique(values)
        if values.dtype.kind in "US" and values.dtype.itemsize:
            return _factorize_fixed_width(values)
        if values.dtype.kind == "O":
            codes = np.empty(len(values), dtype=np.int32)
            texts = hash_strings(values, codes)  # None unless all are exactly str
            if texts is not None:
                return _sort_levels(_object_array(texts), codes)
        elif values.dtype.kind not in "UST":
            _raise_not_an_id(label, str(values.dtype))
        values = values.tolist()
    elif not isinstance(values, list):
        return _factorize_arrow(values)
    return _factorize_objects(label, values)


def _unique(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    levels, codes = np.unique(values, return_inverse=True)
    return levels, codes.astype(np.int32)


def _sort_levels(
    levels: np.ndarray, codes: np.ndarray, order: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Put levels in order of appearance into sorted order, and the codes with them."""
    if order is None and levels.dtype == object:  # faster than NumPy's sort of objects
        order = sorted(range(len(levels)), key=levels.tolist().__getitem__)
    elif order is None:
        order = np.argsort(levels, kind="stable")
    rank = np.empty(len(levels), dtype=np.int32)
    rank[order] = np.arange(len(levels), dtype=np.int32)
    return levels[order], rank.take(codes, out=codes, mode="clip")


def _factorize_ints(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if values.dtype.kind == "u" and values.size and values.max() > np.iinfo(np.int64).max:
        return _unique(values.astype(np.uint64))
    if values.dtype != np.int32:
        values = values.astype(np.int64, copy=False)
    low, high = integer_range(values)
    codes = np.empty(len(values), dtype=np.int32)
    if high - low < max(len(values), 2**16):
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
    if values.dtype.itemsize > 8:
        raise ValueError(
            f"Ids in {label} are {values.dtype}, wider than 64 bits; convert the column, for example with astype(str)."
        )
    values = values.astype(np.float64, copy=False)
    as_ints = np.empty(len(values), dtype=np.int64)
    if floats_as_integers(values, as_ints):  # 1.0 and 1 are one id
        return _factorize_ints(as_ints)
    finite = np.isfinite(values)
    if not finite.all():
        raise_missing(label, np.flatnonzero(~finite), len(values))
    return _unique(values)


def _factorize_fixed_width(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arrays of text or bytes of one width: the cells are hashed as they lie in memory."""
    values = np.ascontiguousarray(values)
    codes = np.empty(len(values), dtype=np.int32)
    offsets = np.arange(len(values) + 1, dtype=np.int64) * values.dtype.itemsize
    levels = values[hash_bytes(values.view(np.uint8), offsets, codes)]
    order = np.argsort(levels, kind="stable")
    return _sort_levels(_object_array(levels.tolist()), codes, order)


def _factorize_arrow(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """A pyarrow array of strings: their bytes are hashed as they lie in memory."""
    import pyarrow
    from pyarrow import compute

    _, offsets, data = values.buffers()
    width = np.int64 if pyarrow.types.is_large_string(values.type) else np.int32
    offsets = np.frombuffer(offsets, dtype=width)[values.offset : values.offset + len(values) + 1]
    data = np.empty(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
    codes = np.empty(len(values), dtype=np.int32)
    levels = values.take(pyarrow.array(hash_bytes(data, offsets.astype(np.int64, copy=False), codes)))
    order = compute.sort_indices(levels).to_numpy()  # the order of UTF-8 is that of Python's strings
    return _sort_levels(_object_array(levels.to_pylist()), codes, order)


def _factorize_categorical(label: str, values: Categorical) -> tuple[np.ndarray, np.ndarray]:
    """Compact and sort the small array of categories; the rows only go through a table."""
    if len(values.codes) and values.codes.min() < 0:
        raise_missing(label, np.flatnonzero(values.codes < 0), len(values.codes))
    used = np.flatnonzero(np.bincount(values.codes))
    level_of = np.zeros(len(values.categories), dtype=np.int32)
    levels, level_of[used] = _factorize(Column(label, values.categories[used]))
    return levels, level_of[values.codes]


def _factorize_objects(label: str, values: list) -> tuple[np.ndarray, np.ndarray]:
    kinds: dict[str, list[type]] = {}
    for type_ in set(map(type, values)):
        kind = _kind_of_type(type_)
        if kind is None:
            if type_ is type(None) or type_.__name__ in ("NAType", "NaTType"):
                raise_missing(label, [i for i, value in enumerate(values) if type(value) is type_], len(values))
            _raise_not_an_id(label, type_.__name__)
        kinds.setdefault(kind, []).append(type_)
    if "number" in kinds:
        not_finite = [i for i, x in enumerate(values) if isinstance(x, (float, np.floating)) and not np.isfinite(x)]
        if not_finite:
            raise_missing(label, not_finite, len(values))
    if len(kinds) > 1:
        examples = ", ".join(
            f"{kind} ({_shown(next(v for v in values if type(v) in types))})" for kind, types in sorted(kinds.items())
        )
        raise ValueError(
            f"{capital(label)} mixes ids of different kinds, which cannot be ordered: {examples}. "
            "Convert the column to one kind, for example with astype(str)."
        )
    numpy_scalars = any(issubclass(type_, np.generic) for types in kinds.values() for type_ in types)
    if numpy_scalars and "datetime" not in kinds:
        # NumPy's scalars do not compare exactly with each other; Python's do.
        values = [value.item() if isinstance(value, np.generic) else value for value in values]
    if "datetime" in kinds:
        if len({getattr(value, "tzinfo", None) is None for value in values}) > 1:
            raise ValueError(
                f"{capital(label)} mixes datetimes with and without a time zone, which cannot be ordered; "
                "convert the column to one kind."
            )
        return _factorize(Column(label, _datetime_array(label, values)))
    # One hash pass; Python compares ints and floats exactly, and 1, 1.0 and True are equal.
    code_of = dict.fromkeys(values)
    levels = sorted(code_of)
    code_of.update(zip(levels, range(len(levels)), strict=True))
    codes = np.fromiter(map(code_of.__getitem__, values), dtype=np.int32, count=len(values))
    return (_number_levels(label, levels) if "number" in kinds else _object_array(levels)), codes


def _number_levels(label: str, levels: list) -> np.ndarray:
    """Sorted Python numbers as int64, uint64 or float64, or as objects where none of these holds all exactly."""
    whole = [int(level) if abs(level) < 2**63 and level == int(level) else level for level in levels]
    if not all(-(2**63) <= level < 2**64 for level in whole if isinstance(level, Integral)):
        raise ValueError(f"{capital(label)} has integers beyond 64 bits; convert the column to text.")
    if all(isinstance(level, Integral) for level in whole):
        for dtype in (np.int64, np.uint64):
            if np.iinfo(dtype).min <= whole[0] and whole[-1] <= np.iinfo(dtype).max:
                return np.array(whole, dtype=dtype)
    elif all(abs(level) <= 2**53 for level in whole if isinstance(level, Integral)):
        return np.array(whole, dtype=np.float64)
    return _object_array(whole)


def _object_array(values: list) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _datetime_array(label: str, values: list) -> np.ndarray:
    """Date and time objects as datetime64 of the finest unit among them; time zones are turned to UTC."""
    scalars = []
    for value in values:
        if hasattr(value, "to_datetime64"):  # pandas, to the nanosecond and in UTC
            value = value.to_datetime64()
        elif isinstance(value, datetime.datetime) and value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        scalars.append(np.datetime64(value))
    array = np.array(scalars)
    if not all(x.astype(scalar.dtype) == scalar for x, scalar in zip(array, scalars, strict=True) if x == x):
        raise ValueError(f"{capital(label)} has datetimes too far apart for their units; convert it to one unit.")
    return array


def _align(levels: np.ndarray, fitted: np.ndarray, sorter: np.ndarray | None) -> np.ndarray:
    """Place of each of ``levels`` among the ``fitted`` ones, which ``sorter`` sorts, or -1; int32."""
    exact = np.ones(len(levels), dtype=bool)
    if levels.dtype != fitted.dtype and levels.dtype.kind == "M":
        converted = levels.astype(fitted.dtype)
        levels, exact = converted, converted.astype(levels.dtype) == levels
    fitted, levels = _comparable(fitted, levels)
    place = np.searchsorted(fitted, levels, sorter=sorter)
    place[place == len(fitted)] = 0
    if sorter is not None:
        place = sorter[place]
    return np.where(exact & (fitted[place] == levels), place, -1).astype(np.int32)


def _comparable(fitted: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as they are, or as objects where their types would be compared inexactly: no int becomes a float."""
    if levels.dtype != fitted.dtype and levels.dtype.kind != "M":
        return fitted.astype(object), levels.astype(object)
    return fitted, levels


# Kinds and messages


def _kind_of_type(type_: type) -> str | None:
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


def _kind(levels: np.ndarray) -> str:
    if levels.dtype.kind == "M":
        return "datetime"
    if levels.dtype.kind == "O":
        return _kind_of_type(type(levels[0])) or "number"
    return "number"


def _plural(kind: str) -> str:
    return kind + "s" if kind in ("number", "datetime") else kind


def _raise_not_an_id(label: str, what: str) -> NoReturn:
    raise TypeError(
        f"{capital(label)}: argument must be a string or a number, not '{what}'. Ids are numbers, text, bytes or "
        "datetimes: convert the column, for example with astype(str)."
    )


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)
