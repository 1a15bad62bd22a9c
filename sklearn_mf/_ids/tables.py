"""Take tables apart into their columns, each as it came; frames through narwhals."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import narwhals as nw
import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class Categorical:
    """Hold a column as codes into an array of categories; -1 is a missing value."""

    categories: np.ndarray
    codes: np.ndarray


@dataclass(frozen=True)
class Column:
    """Hold one column of X and what to call it in a message."""

    label: str
    values: np.ndarray | list | Categorical

    def __len__(self) -> int:
        return len(self.values.codes if isinstance(self.values, Categorical) else self.values)


def split_columns(X: Any, estimator_name: str, table: str = "X") -> list[Column]:
    """Take a table apart into its columns, each with its own type; nothing is converted and nothing copied."""
    if sparse.issparse(X):
        raise TypeError(
            f"Sparse {table} is not supported by {estimator_name}: {table} holds one (user, item) pair per row. "
            "To turn a sparse users x items matrix of ratings into pairs, use "
            "`X, y = sklearn_mf.datasets.pairs_from_sparse(matrix)`."
        )
    if nw.dependencies.is_into_dataframe(X):
        return _frame_columns(X, table)
    if isinstance(X, (list, tuple)) and len(X) and all(isinstance(row, (list, tuple, np.ndarray)) for row in X):
        return _row_columns(X, table)
    if nw.dependencies.is_polars_lazyframe(X):
        raise TypeError(f"{table} is a polars LazyFrame: give `{table}.collect()`.")
    mask = np.ma.getmaskarray(X) if np.ma.isMaskedArray(X) else None
    X = np.asarray(X)
    if X.dtype.kind == "c":
        raise ValueError("Complex data not supported: ids are numbers, text, bytes or datetimes.")
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead: {table} needs one row per rating, and the columns user "
            "and item. Reshape your data, for example with `np.column_stack([users, items])`, or for one single pair "
            "`[[user, item]]`."
        )
    columns = [Column(f"column {j} of {table}", X[:, j]) for j in range(X.shape[1])]
    if mask is not None:
        for column, masked in zip(columns, mask.T, strict=True):
            if masked.any():
                raise_missing(column.label, np.flatnonzero(masked), len(X))
    return columns


def split_column(ids: Any, label: str) -> Column:
    """Take one column of ids by itself: an array, a list, or a pandas, polars or pyarrow column."""
    if nw.dependencies.is_into_series(ids):
        series = nw.from_native(ids, series_only=True)
        return replace(_frame_columns(series.alias("ids").to_frame().to_native(), label)[0], label=label)
    if isinstance(ids, (list, tuple, range)):
        if any(isinstance(id_, (list, tuple, np.ndarray)) for id_ in ids):
            raise ValueError(f"{label} must be a list of ids, and has lists in it.")
        return Column(label, list(ids))
    values = ids if isinstance(ids, np.ndarray) else np.asarray(ids, dtype=object if np.isscalar(ids) else None)
    if values.ndim != 1:
        got = f"the single id {ids!r}: give [{ids!r}]" if values.ndim == 0 else f"an array of shape {values.shape}"
        raise ValueError(f"{label} must be a list or 1D array of ids, got {got}.")
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        raise_missing(label, np.flatnonzero(np.ma.getmaskarray(values)), len(values))
    return Column(label, np.asarray(values))


def _row_columns(rows: Sequence[Sequence], table: str) -> list[Column]:
    """Take a list of rows apart, each value as it is: ``[[1, "a"]]`` keeps its 1."""
    widths = [len(row) for row in rows]
    if min(widths) != max(widths):
        row = next(i for i, width in enumerate(widths) if width != widths[0])
        raise ValueError(
            f"Row {row} of {table} has {widths[row]} values and row 0 has {widths[0]}; give each row as many."
        )
    if not widths[0]:
        return []
    return [Column(f"column {j} of {table}", list(values)) for j, values in enumerate(zip(*rows, strict=True))]


def _frame_columns(X: Any, table: str) -> list[Column]:
    """Take a data frame apart."""
    try:
        frame = nw.from_native(X, eager_only=True)
        frame.schema  # noqa: B018
    except nw.exceptions.DuplicateError as error:
        raise ValueError(f"Names of columns of {table} repeat; give each a name of its own. {error}") from error
    columns = []
    for j, name in enumerate(frame.columns):
        series = frame.get_column(name)
        label = f"column {j} ({name!r}) of {table}"
        native = series.to_native()
        if isinstance(series.dtype, (nw.Categorical, nw.Enum)) and hasattr(getattr(native, "cat", None), "codes"):
            categories = native.cat.categories.to_numpy()
            columns.append(Column(label, Categorical(categories, native.cat.codes.to_numpy())))
            continue
        if getattr(native, "dtype", None) != np.dtype(object):  # missing objects are found one by one
            missing = series.is_null()
            if missing.any():
                raise_missing(label, np.flatnonzero(missing.to_numpy()), len(series))
        if isinstance(series.dtype, (nw.String, nw.Categorical, nw.Enum)) and (arrow := _as_arrow(native)) is not None:
            columns.append(Column(label, arrow))
            continue
        columns.append(Column(label, series.to_numpy()))
    return columns


def _as_arrow(native: Any) -> Any | None:
    """Give the strings or categories of a column that lies in Arrow memory, as factorize takes them; None of others."""
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
        f"{rows[0]}. Drop these rows, or give them an id of their own."
    )


def capital(label: str) -> str:
    """Write a label with a capital, for the start of a sentence."""
    return label[0].upper() + label[1:]
