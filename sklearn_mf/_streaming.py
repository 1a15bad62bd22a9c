"""Read ratings in batches, twice: first to learn the levels, then to write the codes to memory or to mapped files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from sklearn_mf._base import CheckedInput, check_input
from sklearn_mf._ids.batches import Batch, RatingBatches, SlicedRatings
from sklearn_mf._ids.levels import Levels, warn_of_continuous_columns, warn_of_ratings_in_columns
from sklearn_mf._ids.merge import GrowingLevels
from sklearn_mf._ids.tables import Column
from sklearn_mf._training.hyperparameters import Hyperparameters
from sklearn_mf._training.ratings import CodedRatings
from sklearn_mf._training.room import bytes_of_fit
from sklearn_mf._training.shard import Shard


class StreamedInput:
    """Hold ratings that are read in batches.

    Parameters
    ----------
    batches : RatingBatches
        The ratings.

    hyper : Hyperparameters
        Its loss says which ratings are allowed.

    early_stopping : bool
        Whether ratings are held out.
    """

    def __init__(self, batches: RatingBatches, hyper: Hyperparameters, early_stopping: bool):
        self.labels = batches.labels
        self._batches, self._hyper, self._early_stopping = batches, hyper, early_stopping

    def fit_levels(self, shard: Shard) -> tuple[Levels, CodedRatings]:
        """Learn the levels, and write the ratings to the storage; warn about columns that are unlikely to be
        categories.
        """
        levels, n_rows, n_counted, has_weights = self._learn_levels(shard)
        shard.storage.require(bytes_of_fit(n_rows, levels.counts, has_weights, self._hyper, self._early_stopping))
        columns = [Column(label, []) for label in self.labels]
        warn_of_continuous_columns(columns, levels, n_counted)
        coded = self._encode(levels, n_rows, has_weights, shard)
        warn_of_ratings_in_columns(columns, levels, coded.codes, coded.values, coded.weights)
        return levels, coded

    def _learn_levels(self, shard: Shard) -> tuple[Levels, int, int, bool]:
        """Return the levels, the numbers of rows and of rows of positive weight, and whether there are weights."""
        growing, n_rows, n_counted, has_weights = GrowingLevels(self.labels, shard.threads), 0, 0, False
        for batch in self._batches.batches():
            self._check_targets(batch)
            with _named(batch, is_first=n_rows == 0):
                growing.add(batch.columns, batch.weights)
            n_rows += len(batch.y)
            has_weights = batch.weights is not None
            n_counted += len(batch.y) if batch.weights is None else int(np.count_nonzero(batch.weights))
        if not n_rows:
            raise ValueError(f"{self._batches!r} has no ratings to fit.")
        if not n_counted:
            raise ValueError("Sample weights are all zero: at least one rating must count.")
        return growing.finish(), n_rows, n_counted, has_weights

    def _encode(self, levels: Levels, n_rows: int, has_weights: bool, shard: Shard) -> CodedRatings:
        """Read the ratings again, and write their codes."""
        codes = [shard.storage.empty(n_rows, np.int32) for _ in self.labels]
        values = shard.storage.empty(n_rows, np.float64)
        weights = shard.storage.empty(n_rows, np.float64) if has_weights else None
        is_seen, start = [np.zeros(n, dtype=bool) for n in levels.counts], 0
        for batch in self._batches.batches():
            rows = slice(start, start + len(batch.y))
            start = rows.stop
            if start > n_rows or (batch.weights is not None) != has_weights:
                self._raise_changed(batch.place)
            self._check_targets(batch)
            with _named(batch, is_first=rows.start == 0):
                indices = levels.encode(batch.columns, shard.threads)
            counts = slice(None) if batch.weights is None else batch.weights > 0
            if (indices[counts] < 0).any():
                self._raise_changed(batch.place)
            for column, own, seen in zip(codes, indices.T, is_seen, strict=True):
                seen[own[counts]] = True
                np.maximum(own, 0, out=column[rows])  # rows of weight 0 are never used
            values[rows] = batch.y
            if weights is not None:
                weights[rows] = batch.weights
        if start < n_rows or not all(seen.all() for seen in is_seen):
            self._raise_changed("the end")
        return CodedRatings(codes, values, weights, levels.counts)

    def _check_targets(self, batch: Batch) -> None:
        """Raise an error if the loss does not allow a rating of this batch."""
        with _named(batch):
            self._hyper.loss.check_targets(batch.y, batch.weights, "y of these rows")

    def _raise_changed(self, place: str) -> NoReturn:
        """Raise an error because the ratings differ from those of the first reading."""
        raise ValueError(
            f"{self._batches!r} has changed while it was read: at {place}, rows differ from before. Fit again "
            "when nothing writes to the file."
        )


def check_fit_input(
    frozen: Any, X: Any, y: ArrayLike | None, sample_weight: ArrayLike | None, hyper: Hyperparameters, is_mapped: bool
) -> CheckedInput | StreamedInput:
    """Check the input of ``fit``. It is read in batches if X is a file, or if arrays are mapped to files."""
    if isinstance(X, RatingBatches):
        for name, given in [("y", y), ("sample_weight", sample_weight)]:
            if given is not None:
                raise ValueError(f"{name} is given, but X is {X!r}, which has its own. Leave {name} out.")
        _set_names(frozen, X)
        for name in ("_n_rows", "_n_fitted", "_mean_weight"):  # of an earlier fit
            vars(frozen).pop(name, None)
        return StreamedInput(X, hyper, frozen.early_stopping)
    checked = check_input(frozen, X, y, sample_weight, hyper.loss, reset=True)
    if not is_mapped:
        return checked
    return StreamedInput(SlicedRatings(checked.columns, checked.y, checked.weights), hyper, frozen.early_stopping)


def _set_names(frozen: Any, batches: RatingBatches) -> None:
    """Set number and names of the columns in a copy of an estimator, as scikit-learn does for tables."""
    frozen.n_features_in_ = batches.n_columns
    if batches.feature_names is not None:
        frozen.feature_names_in_ = np.array(batches.feature_names, dtype=object)
    elif hasattr(frozen, "feature_names_in_"):
        del frozen.feature_names_in_


@contextmanager
def _named(batch: Batch, is_first: bool = False) -> Iterator[None]:
    """Add the place of the batch to an error message, because row numbers in it count from the start of the batch.

    The first batch needs no place, because its rows are the first rows of X.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        if is_first:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        counted = "(row numbers in this message count from the first of these rows)"
        raise kind(f"In {batch.place} {counted}: {error}") from error
