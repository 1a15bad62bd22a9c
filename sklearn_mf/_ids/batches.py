"""Define columns of ids, and ratings that are read in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

ROWS_OF_A_BATCH = 2**18


@dataclass(frozen=True)
class Categorical:
    """Hold a column as an array of categories, and codes that select from it. The code -1 is a missing value."""

    categories: np.ndarray
    codes: np.ndarray


@dataclass(frozen=True)
class Column:
    """Hold one column of X and its name in messages."""

    label: str
    values: np.ndarray | list | Categorical
    has_zone: bool = False  # whether typed datetimes, which are in UTC, had a time zone; objects have their own

    def __len__(self) -> int:
        return len(self.values.codes if isinstance(self.values, Categorical) else self.values)

    def rows(self, rows: slice) -> Column:
        """Return some of the rows. Only lists are copied."""
        values = self.values
        if isinstance(values, Categorical):
            return Column(self.label, Categorical(values.categories, values.codes[rows]), self.has_zone)
        return Column(self.label, values[rows], self.has_zone)


@dataclass(frozen=True)
class Batch:
    """Hold consecutive ratings, which have been checked."""

    place: str  # name of these rows or lines in messages
    columns: list[Column]
    y: np.ndarray  # float64 (n_rows,), finite
    weights: np.ndarray | None  # float64 (n_rows,), finite and at least 0


class RatingBatches(ABC):
    """Provide ratings batch by batch, as often as needed.

    Attributes
    ----------
    labels : list of str
        Names of the id columns in messages.

    feature_names : list of str or None
        Names of the id columns, if they have names.
    """

    labels: list[str]
    feature_names: list[str] | None

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """Yield all ratings in order, one batch at a time."""

    @property
    def n_columns(self) -> int:
        """Number of columns of ids."""
        return len(self.labels)

    @property
    def shape(self) -> NoReturn:
        """Raise a TypeError, because ratings in batches are not a table."""
        self.refuse()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        self.refuse()

    def refuse(self) -> NoReturn:
        """Raise a TypeError, for code that expects a table."""
        raise TypeError(
            f"{self!r} is not a table. Only MatrixFactorizationRegressor.fit reads ratings in batches. Ratings in "
            "batches cannot be split or looked up. To split them, load them with load_ratings, or write the held-out "
            "ratings to another file."
        )


class SlicedRatings(RatingBatches):
    """Provide ratings from memory or from mapped files, one slice after another.

    Parameters
    ----------
    columns : list of Column
        Columns of ids.

    y : ndarray of shape (n_rows,)
        Ratings, checked.

    weights : ndarray of shape (n_rows,) or None
        Weights, checked.
    """

    feature_names = None

    def __init__(self, columns: list[Column], y: np.ndarray, weights: np.ndarray | None):
        self.labels = [column.label for column in columns]
        self._columns, self._y, self._weights = columns, y, weights

    def batches(self) -> Iterator[Batch]:
        """Yield all ratings in order, one batch at a time."""
        for start in range(0, len(self._y), ROWS_OF_A_BATCH):
            rows = slice(start, start + ROWS_OF_A_BATCH)
            weights = None if self._weights is None else self._weights[rows].astype(np.float64)
            y = self._y[rows].astype(np.float64)
            place = f"rows {start} to {start + len(y) - 1} of X"
            yield Batch(place, [column.rows(rows) for column in self._columns], y, weights)
