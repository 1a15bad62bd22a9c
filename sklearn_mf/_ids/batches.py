"""Hold columns of ids, and say what ratings are that come in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

ROWS_OF_A_BATCH = 2**18


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
    has_zone: bool = False  # of datetimes that are in UTC here, and had a time zone; objects tell it themselves

    def __len__(self) -> int:
        return len(self.values.codes if isinstance(self.values, Categorical) else self.values)

    def rows(self, rows: slice) -> Column:
        """Give some of the rows; nothing is copied but lists."""
        values = self.values
        if isinstance(values, Categorical):
            return Column(self.label, Categorical(values.categories, values.codes[rows]), self.has_zone)
        return Column(self.label, values[rows], self.has_zone)


@dataclass(frozen=True)
class Batch:
    """Hold ratings that follow each other, checked."""

    place: str  # which rows or lines they are, for messages
    columns: list[Column]
    y: np.ndarray  # float64 (n_rows,), finite
    weights: np.ndarray | None  # float64 (n_rows,), finite and at least 0


class RatingBatches(ABC):
    """Give ratings batch by batch, as often as they are asked for.

    Attributes
    ----------
    labels : list of str
        What to call the columns of ids in messages.

    feature_names : list of str or None
        Names of the columns of ids, where they have names.
    """

    labels: list[str]
    feature_names: list[str] | None

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """Give all ratings in order, a batch at a time."""

    @property
    def n_columns(self) -> int:
        """Number of columns of ids."""
        return len(self.labels)

    @property
    def shape(self) -> NoReturn:
        """Raise a TypeError: what reads ratings in batches is not a table."""
        self.refuse()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        self.refuse()

    def refuse(self) -> NoReturn:
        """Raise the TypeError for whoever takes it for a table."""
        raise TypeError(
            f"{self!r} is not a table: only MatrixFactorizationRegressor.fit reads ratings in batches, and nothing can "
            "split them or look rows up. Load them with load_ratings, or write what is to be held out to another file."
        )


class SlicedRatings(RatingBatches):
    """Give ratings that are at hand, or in mapped files, in slices.

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
        """Give all ratings in order, a batch at a time."""
        for start in range(0, len(self._y), ROWS_OF_A_BATCH):
            rows = slice(start, start + ROWS_OF_A_BATCH)
            weights = None if self._weights is None else self._weights[rows].astype(np.float64)
            y = self._y[rows].astype(np.float64)
            place = f"rows {start} to {start + len(y) - 1} of X"
            yield Batch(place, [column.rows(rows) for column in self._columns], y, weights)
