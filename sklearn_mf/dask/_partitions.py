"""Split Dask collections into partitions; on the workers, turn the partitions into levels and codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
from dask.delayed import Delayed

from sklearn_mf._ids.checks import check_ratings, check_weights, mean_weight
from sklearn_mf._ids.levels import Levels
from sklearn_mf._ids.merge import GrowingLevels
from sklearn_mf._ids.tables import Column, split_columns
from sklearn_mf._utils.threads import Threads

N_JOINED = 8  # number of partitions whose levels one task joins


@dataclass(frozen=True)
class Partition:
    """Hold the original rows of one partition of X."""

    number: int
    X: Any
    y: Any
    weights: Any


@dataclass(frozen=True)
class KnownLevels:
    """Hold the levels of some partitions, and how many rows they have."""

    growing: GrowingLevels
    n_rows: int
    n_counted: int  # rows of positive weight
    mean_weight: float  # of the rows of positive weight
    place: str  # name of these partitions in messages


@dataclass(frozen=True)
class Partitions:
    """Hold the input of a fit: a delayed ``Partition`` for each partition of X, and the columns of X.

    Parameters
    ----------
    parts : list of Delayed
        The partitions.

    empty : table of no rows
        An empty table with the columns of X.

    names : list of str or None
        Names of the columns, if they have names.
    """

    parts: list[Delayed]
    empty: Any
    names: list[str] | None

    @classmethod
    def of(cls, X: Any, y: Any, sample_weight: Any, estimator_name: str) -> Partitions:
        """Split Dask arrays or data frames; nothing is computed."""
        given = {"X": X, "y": y, "sample_weight": sample_weight}
        for name, collection in given.items():
            if collection is not None or name == "X":
                _check_is_collection(name, collection, estimator_name)
        blocks = {name: _blocks_of(collection) for name, collection in given.items() if collection is not None}
        for name, own in blocks.items():
            if len(own) != len(blocks["X"]):
                raise ValueError(
                    f"X has {len(blocks['X'])} partitions, but {name} has {len(own)}. Divide {name} like X, with "
                    "repartition (data frames) or rechunk (arrays)."
                )
            _check_lengths(X, name, given[name])
        nothing = [None] * len(blocks["X"])
        columns = zip(blocks["X"], blocks.get("y", nothing), blocks.get("sample_weight", nothing), strict=True)
        parts = [dask.delayed(Partition, pure=False)(number, *own) for number, own in enumerate(columns)]
        if hasattr(X, "columns"):
            return cls(parts, X._meta, list(X.columns))
        return cls(parts, np.empty((0, X.shape[1])), None)


def _check_is_collection(name: str, collection: Any, estimator_name: str) -> None:
    """Raise an error unless it is a Dask array or data frame with the right number of dimensions."""
    if not isinstance(collection, (da.Array, dd.DataFrame, dd.Series)):
        raise TypeError(
            f"{name} is a {type(collection).__name__}, but Dask{estimator_name} takes Dask arrays and data "
            "frames. Make one with dask.array.from_array or dask.dataframe.from_pandas, or use "
            f"{estimator_name}."
        )
    if collection.ndim != (2 if name == "X" else 1):
        raise ValueError(
            f"{name} has {collection.ndim} dimension(s). X must have a row for each rating and two columns; y "
            "and sample_weight must have one dimension."
        )


def _check_lengths(X: Any, name: str, collection: Any) -> None:
    """Raise an error if a partition of an array has another length than that of X. Unknown lengths are allowed."""
    if not isinstance(X, da.Array) or not isinstance(collection, da.Array):
        return
    for number, (n_X, n) in enumerate(zip(X.chunks[0], collection.chunks[0], strict=True)):
        if n_X != n and not np.isnan([n_X, n]).any():
            raise ValueError(
                f"Partition {number} has {n_X} rows of X, but {n} of {name}. Divide {name} like X, with "
                f"{name}.rechunk(X.chunks[0])."
            )


def _blocks_of(collection: Any) -> list[Delayed]:
    """Return a delayed table for each run of rows."""
    if isinstance(collection, da.Array):
        collection = collection.rechunk({1: -1}) if collection.ndim == 2 else collection
        return np.ravel(np.array(collection.to_delayed(), dtype=object)).tolist()
    if not hasattr(collection, "simplify"):  # a frame without expressions
        return collection.to_delayed()
    # With more optimization, data frames of one source may get fewer partitions than they report.
    return collection.simplify().to_delayed(optimize_graph=False)


@dataclass(frozen=True)
class TableForm:
    """Describe the columns of each partition.

    Parameters
    ----------
    labels : list of str
        Names of the columns in messages.

    names : list of str or None
        Names of the columns, if they have names.

    has_y, has_weights : bool
        Whether there are ratings; whether there are weights.

    estimator_name : str
        Name of the estimator, for messages.
    """

    labels: list[str]
    names: list[str] | None
    has_y: bool
    has_weights: bool
    estimator_name: str


def levels_of(part: Partition, form: TableForm) -> KnownLevels:
    """Find the levels of a partition."""
    growing = GrowingLevels(form.labels, Threads(1))
    columns, _, weights = check_partition(part, form)
    n_rows = n_counted = len(columns[0])
    if n_rows:
        with _named(_place_of(part)):
            growing.add(columns, weights)
    if weights is not None:
        n_counted = int(np.count_nonzero(weights))
    return KnownLevels(growing, n_rows, n_counted, mean_weight(weights), _place_of(part))


def join_levels(known: list[KnownLevels], form: TableForm) -> KnownLevels:
    """Join the levels of partitions."""
    growing = GrowingLevels(form.labels, Threads(1))
    for own in known:
        with _named(f"{own.place}, compared with earlier partitions"):
            growing.join(own.growing)
    place = known[0].place if len(known) == 1 else f"{known[0].place} to {known[-1].place}"
    n_rows, n_counted = sum(own.n_rows for own in known), sum(own.n_counted for own in known)
    mean = sum(own.mean_weight * (own.n_counted / max(n_counted, 1)) for own in known)
    return KnownLevels(growing, n_rows, n_counted, mean, place)


def check_partition(part: Partition, form: TableForm) -> tuple[list[Column], np.ndarray | None, np.ndarray | None]:
    """Check the rows of a partition; return columns, ratings and weights."""
    with _named(_place_of(part)):
        own_names = list(part.X.columns) if hasattr(part.X, "columns") else None
        columns = split_columns(part.X, form.estimator_name)
        if own_names != form.names or len(columns) != len(form.labels):
            raise ValueError(
                f"The columns of X are {own_names or len(columns)}, but those of the whole X are "
                f"{form.names or len(form.labels)}. All partitions need the same columns."
            )
        n_rows = len(columns[0])
        for name, values in (("y", part.y), ("sample_weight", part.weights)):
            if values is not None and len(values) != n_rows:
                raise ValueError(
                    f"It has {n_rows} rows of X, but {len(values)} of {name}. Divide {name} like X, with repartition "
                    "(data frames) or rechunk (arrays)."
                )
        y = None if part.y is None else np.asarray(part.y)
        if n_rows == 0:
            return columns, None if y is None else np.empty(0), None if part.weights is None else np.empty(0)
        y = None if y is None else check_ratings(part.y, n_rows).astype(np.float64)
        weights = check_weights(part.weights, n_rows, may_all_be_zero=True)
        return columns, y, None if weights is None else weights.astype(np.float64)


def encode(
    parts: list[Partition], levels: Levels, form: TableForm, threads: Threads
) -> tuple[list[np.ndarray], np.ndarray | None, np.ndarray | None]:
    """Return the codes by column, the ratings and the weights of all rows of positive weight."""
    codes: list[list[np.ndarray]] = [[np.empty(0, np.int32)] for _ in form.labels]
    numbers: tuple[list, list] = ([np.empty(0)], [np.empty(0)])
    for part in parts:
        columns, y, weights = check_partition(part, form)
        if len(columns[0]) == 0:
            continue
        with _named(_place_of(part)):
            indices = levels.encode(columns, threads)
        counts = slice(None) if weights is None else weights > 0
        indices = indices[counts]
        if (indices < 0).any():
            raise ValueError(
                f"Partition {part.number} of X has changed between two computations. Persist X, or make sure that "
                "computing it again gives the same rows."
            )
        for column, own in zip(codes, indices.T, strict=True):
            column.append(np.ascontiguousarray(own))
        for list_, own in zip(numbers, (y, weights), strict=True):
            if own is not None:
                list_.append(own[counts])
    y, weights = (np.concatenate(own) for own in numbers)
    return [np.concatenate(own) for own in codes], y if form.has_y else None, weights if form.has_weights else None


def _place_of(part: Partition) -> str:
    """Name a partition."""
    return f"partition {part.number}"


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Add the name of the partition to an error."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"In {place}: {error}") from error
