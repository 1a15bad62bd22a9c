"""Take Dask collections apart into partitions, and turn these into levels and codes on the workers."""

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

from sklearn_mf._ids.checks import check_ratings, check_weights
from sklearn_mf._ids.levels import Levels
from sklearn_mf._ids.merge import GrowingLevels
from sklearn_mf._ids.tables import Column, split_columns
from sklearn_mf._utils.threads import Threads

N_JOINED = 8  # levels of partitions that a task joins


@dataclass(frozen=True)
class Partition:
    """Hold the rows of one partition of X, as they came."""

    number: int
    X: Any
    y: Any
    weights: Any


@dataclass(frozen=True)
class KnownLevels:
    """Hold the levels of some partitions, and how many rows these have."""

    growing: GrowingLevels
    n_counted: int  # rows of positive weight
    place: str  # which partitions these are


@dataclass(frozen=True)
class Partitions:
    """Hold what a fit is given: a delayed ``Partition`` for each partition of X, and what they have in common.

    Parameters
    ----------
    parts : list of Delayed
        The partitions.

    empty : table of no rows
        Its columns are those of X.

    names : list of str or None
        Names of the columns, where they have names.
    """

    parts: list[Delayed]
    empty: Any
    names: list[str] | None

    @classmethod
    def of(cls, X: Any, y: Any, sample_weight: Any, estimator_name: str) -> Partitions:
        """Take Dask arrays or frames apart; nothing is computed."""
        given = {"X": X, "y": y, "sample_weight": sample_weight}
        for name, collection in given.items():
            if collection is not None or name == "X":
                _check_is_collection(name, collection, estimator_name)
        blocks = {name: _blocks_of(collection) for name, collection in given.items() if collection is not None}
        for name, own in blocks.items():
            if len(own) != len(blocks["X"]):
                raise ValueError(
                    f"X has {len(blocks['X'])} partitions, and {name} has {len(own)}: cut {name} as X is cut, with "
                    "repartition of frames or rechunk of arrays."
                )
            _check_lengths(X, name, given[name])
        nothing = [None] * len(blocks["X"])
        columns = zip(blocks["X"], blocks.get("y", nothing), blocks.get("sample_weight", nothing), strict=True)
        parts = [dask.delayed(Partition, pure=False)(number, *own) for number, own in enumerate(columns)]
        if hasattr(X, "columns"):
            return cls(parts, X._meta, list(X.columns))
        return cls(parts, np.empty((0, X.shape[1])), None)


def _check_is_collection(name: str, collection: Any, estimator_name: str) -> None:
    """Refuse what is not a Dask array or frame of the right number of dimensions."""
    if not isinstance(collection, (da.Array, dd.DataFrame, dd.Series)):
        raise TypeError(
            f"{name} is a {type(collection).__name__}, and Dask{estimator_name} takes Dask arrays and frames. Make one "
            f"with dask.array.from_array or dask.dataframe.from_pandas, or use {estimator_name}."
        )
    if collection.ndim != (2 if name == "X" else 1):
        raise ValueError(
            f"{name} has {collection.ndim} dimension(s). X has a row for each rating and two columns, y and "
            "sample_weight have one dimension."
        )


def _check_lengths(X: Any, name: str, collection: Any) -> None:
    """Refuse an array whose partitions have other lengths than those of X, where lengths are known."""
    if not isinstance(X, da.Array) or not isinstance(collection, da.Array):
        return
    for number, (n_X, n) in enumerate(zip(X.chunks[0], collection.chunks[0], strict=True)):
        if n_X != n and not np.isnan([n_X, n]).any():
            raise ValueError(
                f"Partition {number} has {n_X} rows of X and {n} of {name}: cut {name} as X is cut, with "
                f"{name}.rechunk(X.chunks[0])."
            )


def _blocks_of(collection: Any) -> list[Delayed]:
    """Give a delayed table for each run of rows."""
    if isinstance(collection, da.Array):
        collection = collection.rechunk({1: -1}) if collection.ndim == 2 else collection
        return np.ravel(np.array(collection.to_delayed(), dtype=object)).tolist()
    if not hasattr(collection, "simplify"):  # a frame without expressions
        return collection.to_delayed()
    # Optimized further, frames of one source may have fewer partitions than they say, by the columns that each reads.
    return collection.simplify().to_delayed(optimize_graph=False)


@dataclass(frozen=True)
class TableForm:
    """Say what each partition has.

    Parameters
    ----------
    labels : list of str
        What to call the columns in messages.

    names : list of str or None
        Names of the columns, where they have names.

    has_y, has_weights : bool
        Whether there are ratings, and weights.

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
    growing, n_counted = GrowingLevels(form.labels, Threads(1)), 0
    columns, _, weights = check_partition(part, form)
    if len(columns[0]):
        with _named(_place_of(part)):
            growing.add(columns, weights)
        n_counted = len(columns[0]) if weights is None else int(np.count_nonzero(weights))
    return KnownLevels(growing, n_counted, _place_of(part))


def join_levels(known: list[KnownLevels], form: TableForm) -> KnownLevels:
    """Put the levels of partitions together."""
    growing = GrowingLevels(form.labels, Threads(1))
    for own in known:
        with _named(f"{own.place}, beside those before"):
            growing.join(own.growing)
    place = known[0].place if len(known) == 1 else f"{known[0].place} to {known[-1].place}"
    return KnownLevels(growing, sum(own.n_counted for own in known), place)


def check_partition(part: Partition, form: TableForm) -> tuple[list[Column], np.ndarray | None, np.ndarray | None]:
    """Check the rows of a partition; return columns, ratings and weights."""
    with _named(_place_of(part)):
        own_names = list(part.X.columns) if hasattr(part.X, "columns") else None
        columns = split_columns(part.X, form.estimator_name)
        if own_names != form.names or len(columns) != len(form.labels):
            raise ValueError(
                f"The columns of X are {own_names or len(columns)}, and {form.names or len(form.labels)} in the whole: "
                "give all partitions the same."
            )
        n_rows = len(columns[0])
        for name, values in (("y", part.y), ("sample_weight", part.weights)):
            if values is not None and len(values) != n_rows:
                raise ValueError(
                    f"It has {n_rows} rows of X and {len(values)} of {name}: cut {name} as X is cut, with repartition "
                    "of frames or rechunk of arrays."
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
    """Give codes by column, ratings and weights of the rows of partitions that count."""
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
                f"Partition {part.number} of X has other rows than before: persist X, or make it such that computing "
                "it again gives the same."
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
    """Say which partition an error speaks of."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"In {place}: {error}") from error
