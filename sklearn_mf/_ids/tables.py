"""Split tables into columns, without conversion. Narwhals reads data frames."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import narwhals as nw
import numpy as np
from scipy import sparse
from sklearn.utils import Bunch

from sklearn_mf._ids.batches import Categorical, Column, RatingBatches

_NO_IDS = (nw.Struct, nw.List, nw.Array, nw.Int128, nw.UInt128, nw.Decimal, nw.Duration, nw.Time)


def split_columns(X: Any, estimator_name: str, table: str = "X") -> list[Column]:
    """Split a table into its columns, each with its own type. Nothing is converted."""
    if type(X) is np.ndarray:  # checked first, because the other checks take longer than learning a rating
        return _array_columns(X, table)
    if type(X) is list and X and all(map(_is_row, X)):
        return _row_columns(X, table)
    if isinstance(X, RatingBatches):
        X.refuse()
    if sparse.issparse(X):
        raise TypeError(
            f"Sparse {table} is not supported by {estimator_name}: {table} holds one (user, item) pair per row. "
            "To turn a sparse users x items matrix of ratings into pairs, use "
            "`X, y = sklearn_mf.datasets.pairs_from_sparse(matrix)`."
        )
    if nw.dependencies.is_into_dataframe(X):
        return _frame_columns(X, table)
    if isinstance(X, tuple) and len(X) and _has_rows(X[0]):
        raise TypeError(
            f"{table} is a tuple, and its first part is a table. Unpack it first: {table}, y = ... For example, "
            "load_ratings(path, return_X_y=True) returns such a tuple of X and y."
        )
    if isinstance(X, (list, tuple)) and len(X) and all(map(_is_row, X)):
        return _row_columns(X, table)
    _refuse_what_is_no_table(X, table)
    mask = np.ma.getmaskarray(X) if np.ma.isMaskedArray(X) else None
    columns = _array_columns(_as_array(X, table), table)
    if mask is not None:
        for column, masked in zip(columns, mask.T, strict=True):
            if masked.any():
                raise_missing(column.label, np.flatnonzero(masked), len(X))
    return columns


def _array_columns(X: np.ndarray, table: str) -> list[Column]:
    """Split an array into columns."""
    if X.dtype.kind == "c":
        raise ValueError("Complex data not supported: ids are numbers, text, bytes or datetimes.")
    if X.dtype.names is not None:
        raise ValueError(
            f"Expected 2D array, got a structured array with the fields {', '.join(map(repr, X.dtype.names))} instead. "
            f"Give its columns as a data frame, pandas.DataFrame({table})."
        )
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead: {table} needs one row per rating, and the columns user "
            "and item. Reshape your data, for example with `list(zip(users, items))`, or for one single pair "
            "`[[user, item]]`. Both keep the type of each id."
        )
    return [Column(f"column {j} of {table}", X[:, j]) for j in range(X.shape[1])]


def _refuse_what_is_no_table(X: Any, table: str) -> None:
    """Raise a TypeError for objects that NumPy treats as a single value, and say how to make a table of them."""
    if nw.dependencies.is_polars_lazyframe(X):
        raise TypeError(f"{table} is a polars LazyFrame. Give `{table}.collect()`.")
    if isinstance(X, Bunch) and {"data", "target"} <= X.keys():
        raise TypeError(
            f"{table} is a Bunch, such as load_ratings returns. Give its parts: for `ratings`, the name of the Bunch, "
            "fit(ratings.data, ratings.target)."
        )
    if isinstance(X, Mapping):
        raise TypeError(
            f"{table} is a {type(X).__name__}. Give its columns as a data frame: pandas.DataFrame({table})."
        )
    if _is_without_places(X):
        raise TypeError(f"{table} is a {type(X).__name__}. Give the rows in order, as list({table}).")


def _is_without_places(values: Any) -> bool:
    """Check whether values can be iterated but not indexed, like sets, generators and dictionary views."""
    return isinstance(values, Iterable) and not hasattr(values, "__getitem__") and not hasattr(values, "__array__")


def _has_rows(part: Any) -> bool:
    """Check whether a part of a tuple is a table itself: an array, a data frame, or a list of rows."""
    if isinstance(part, (list, tuple)):
        return len(part) > 0 and all(map(_is_row, part))
    return getattr(part, "ndim", 0) == 2 or nw.dependencies.is_into_dataframe(part)


def _is_row(row: Any) -> bool:
    """Check whether a row of a table is a list, a tuple or an array of values."""
    return isinstance(row, (list, tuple)) or (isinstance(row, np.ndarray) and row.ndim > 0)


def _convert(convert: Callable[[], Any], label: str, what: str) -> Any:
    """Call a converter of another library, and raise an error for values that it cannot convert."""
    try:
        return convert()
    except MemoryError:
        raise
    except Exception as error:  # libraries raise errors of different types
        reason = " ".join(str(error).split())[:200]
        raise TypeError(
            f"{capital(label)} cannot be read as ids, because it is {what}. Convert it, for example to "
            f"numbers or text. ({type(error).__name__}: {reason})"
        ) from error


def _as_array(values: Any, label: str) -> np.ndarray:
    """Convert to an array; raise an error if this is not possible."""
    if isinstance(values, np.ndarray):
        return np.asarray(values)
    rows_differ = isinstance(values, (list, tuple))
    what = f"a {type(values).__name__}" + (" of rows that differ: give each row as many ids" if rows_differ else "")
    return _convert(lambda: np.asarray(values), label, what)


def split_ids(ids: Any, label: str) -> Column:
    """Read a list of ids; raise an error for a boolean mask."""
    try:
        column = split_column(ids, label)
        is_mask = _is_mask(column.values)
    except ValueError:  # raised for missing values, which a mask may have
        series = _as_series(ids)
        is_mask = series is not None and series.dtype == nw.Boolean
        if not is_mask:
            raise
    if is_mask:
        raise ValueError(f"{label} is a mask of bools. Give the ids instead, for example ids[mask].")
    return column


def _is_mask(values: np.ndarray | list | Categorical) -> bool:
    """Check whether all values that are not missing are bools."""
    if isinstance(values, Categorical):
        values = values.categories[np.unique(values.codes[values.codes >= 0])]
    if isinstance(values, np.ndarray) and values.dtype != object:
        return values.dtype.kind == "b"
    if not isinstance(values, (np.ndarray, list)):
        return False
    bools = (bool, np.bool_)
    for value in values:
        if not (isinstance(value, bools) or value is None or type(value).__name__ == "NAType"):
            return False
    return any(isinstance(value, bools) for value in values)


def split_column(ids: Any, label: str) -> Column:
    """Read one column of ids: an array, a list, or a pandas, polars or pyarrow column."""
    if isinstance(ids, (list, tuple, range)):
        if any(isinstance(id_, (list, tuple, np.ndarray)) for id_ in ids):
            raise ValueError(f"{label} must be a list of ids, but contains lists.")
        return Column(label, list(ids))
    if not isinstance(ids, np.ndarray):
        series = _as_series(ids)
        if series is not None:
            return _series_column(series, label)
        _refuse_what_is_no_column(ids, label)
    values = ids if isinstance(ids, np.ndarray) else _as_array(ids, label)  # masked arrays are handled below
    if values.dtype.names is not None:
        raise ValueError(
            f"{label} is a structured array with the fields {', '.join(map(repr, values.dtype.names))}. Give the ids "
            f"only, for example {label}[{values.dtype.names[0]!r}]."
        )
    if values.ndim != 1:
        if values.ndim == 0:
            _raise_single_id(values.item(), label)
        raise ValueError(f"{label} must be a list or 1D array of ids, got an array of shape {values.shape}.")
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        raise_missing(label, np.flatnonzero(np.ma.getmaskarray(values)), len(values))
    return Column(label, np.asarray(values))


def _as_series(ids: Any) -> nw.Series | None:
    """Return a pandas, polars or pyarrow column as a narwhals Series; None for others."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None and isinstance(ids, pyarrow.Array):
        ids = pyarrow.chunked_array([ids])
    return nw.from_native(ids, series_only=True) if nw.dependencies.is_into_series(ids) else None


def _refuse_what_is_no_column(ids: Any, label: str) -> None:
    """Raise an error for objects that are not lists of ids, and say how to make a list of them."""
    if isinstance(ids, RatingBatches):
        ids.refuse()
    is_buffer = isinstance(ids, (bytearray, memoryview))
    if ids is None or (np.isscalar(ids) and not is_buffer):
        _raise_single_id(ids, label)
    if is_buffer or isinstance(ids, Mapping) or _is_without_places(ids):
        raise ValueError(
            f"{label} must be a list or 1D array of ids, not a {type(ids).__name__}. Give the ids in order, "
            f"as list({label})."
        )
    if nw.dependencies.is_into_dataframe(ids) or nw.dependencies.is_polars_lazyframe(ids) or sparse.issparse(ids):
        raise ValueError(
            f"{label} must be a list or 1D array of ids, not a {type(ids).__name__}. Give one of its columns."
        )


def _raise_single_id(id_: Any, label: str) -> NoReturn:
    """Raise an error for an id that is not in a list."""
    if id_ is None:
        raise ValueError(f"{label} is None. Give a list or 1D array of ids.")
    shown = repr(id_)[:200]
    raise ValueError(f"{label} must be a list or 1D array of ids, not the single id {shown}. Give [{shown}].")


def _row_columns(rows: Sequence[Sequence], table: str) -> list[Column]:
    """Split a list of rows into columns. Values do not change: the 1 in ``[[1, "a"]]`` stays an int."""
    widths = [len(row) for row in rows]
    if min(widths) != max(widths):
        row = next(i for i, width in enumerate(widths) if width != widths[0])
        raise ValueError(
            f"Row {row} of {table} has {widths[row]} values, but row 0 has {widths[0]}. All rows need the "
            "same number of values."
        )
    if not widths[0]:
        return []
    return [Column(f"column {j} of {table}", list(values)) for j, values in enumerate(zip(*rows, strict=True))]


def _frame_columns(X: Any, table: str) -> list[Column]:
    """Split a data frame into columns."""
    try:
        frame = nw.from_native(X, eager_only=True)
        frame.schema  # noqa: B018
    except nw.exceptions.DuplicateError as error:
        raise ValueError(f"Column names of {table} repeat. Give each column its own name. {error}") from error
    return [
        _series_column(frame.get_column(name), f"column {j} ({name!r}) of {table}")
        for j, name in enumerate(frame.columns)
    ]


def _series_column(series: nw.Series, label: str) -> Column:
    """Read one column of a data frame."""
    native, dtype = series.to_native(), series.dtype
    if isinstance(dtype, _NO_IDS):
        raise_not_an_id(label, str(dtype))
    if isinstance(dtype, (nw.Categorical, nw.Enum)) and hasattr(getattr(native, "cat", None), "codes"):
        categories = native.cat.categories.to_numpy()
        return Column(label, Categorical(categories, native.cat.codes.to_numpy()))
    if getattr(native, "dtype", None) != np.dtype(object):  # missing objects are found later
        missing = _convert(lambda: _missing_rows(series), label, str(dtype))
        if len(missing):
            raise_missing(label, missing, len(series))
    values = _convert(lambda: _values_of(series), label, str(dtype))
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise_not_an_id(label, str(dtype))
    return Column(label, values, _has_zone(dtype, native))


def _missing_rows(series: nw.Series) -> np.ndarray:
    """Find the rows where a column has no value."""
    missing = series.is_null()
    return np.flatnonzero(missing.to_numpy()) if missing.any() else np.empty(0, dtype=np.intp)


def _values_of(series: nw.Series) -> Any:
    """Return the values of a column for factorize: unchanged if they are text in Arrow memory, otherwise an array."""
    is_text = isinstance(series.dtype, (nw.String, nw.Categorical, nw.Enum))
    arrow = _as_arrow(series.to_native()) if is_text else None
    return series.to_numpy() if arrow is None else arrow


def _has_zone(dtype: Any, native: Any) -> bool:
    """Check whether the type of a column says that its datetimes have a time zone."""
    if getattr(dtype, "time_zone", None) is not None:
        return True
    arrow = getattr(native, "type", getattr(getattr(native, "dtype", None), "pyarrow_dtype", None))
    return getattr(getattr(arrow, "value_type", None), "tz", None) is not None


def _as_arrow(native: Any) -> Any | None:
    """Return strings or categories in Arrow memory, in a form for factorize; None for other columns."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is None:
        return None
    if hasattr(native, "to_arrow"):  # polars
        native = native.to_arrow()
    elif hasattr(native, "array"):  # pandas
        dtype = native.dtype
        if getattr(dtype, "storage", None) != "pyarrow" and not hasattr(dtype, "pyarrow_dtype"):
            return None
        native = native.array.__arrow_array__()
    if isinstance(native, pyarrow.ChunkedArray):
        native = native.chunk(0) if native.num_chunks == 1 else native.unify_dictionaries().combine_chunks()
    if isinstance(native, pyarrow.DictionaryArray):
        categories, codes = native.dictionary.to_numpy(zero_copy_only=False), native.indices
        return Categorical(categories, codes.to_numpy(zero_copy_only=False))
    if not isinstance(native, pyarrow.Array):
        return None
    return native if pyarrow.types.is_string(native.type) or pyarrow.types.is_large_string(native.type) else None


def raise_missing(label: str, rows: Sequence[int] | np.ndarray, n_rows: int) -> NoReturn:
    """Raise a ValueError about missing ids in a column."""
    raise ValueError(
        f"Input contains NaN, infinite or missing ids in {label}: {len(rows)} of {n_rows} rows, the first at row "
        f"{rows[0]}. Drop these rows, or give them a separate id."
    )


def raise_not_an_id(label: str, what: str) -> NoReturn:
    """Raise a TypeError about a column that does not hold ids."""
    raise TypeError(
        f"{capital(label)}: argument must be a string or a number, not '{what}'. Ids must be numbers, "
        "text, bytes or datetimes. Convert the column, for example to text."
    )


def capital(label: str) -> str:
    """Return a label with a capital letter, for the start of a sentence."""
    return label[0].upper() + label[1:]
