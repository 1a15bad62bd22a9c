"""Provide a view of a fitted estimator at one moment, for all methods that do not change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_mf._ids.levels import Levels, describe_unknown
from sklearn_mf._ids.tables import Column
from sklearn_mf._prediction.deviations import Uncertainty
from sklearn_mf._prediction.model import Model
from sklearn_mf._utils.threads import Threads
from sklearn_mf._utils.warnings import warn_user


@dataclass(frozen=True)
class FittedModel:
    """Hold a model, the ids of its levels, and the conversion of scores to ratings."""

    levels: Levels
    model: Model
    handle_unknown: str
    feature_names: list[str]  # empty where X had no names
    estimator_name: str
    inverse_link: Callable[[np.ndarray], np.ndarray] | None = None  # None: scores are ratings
    rating_range: tuple[float, float] | None = None  # range to which ratings are clipped; None: no clipping
    own_contexts: dict[str, Any] | None = None  # from own_contexts.py; None for models of older versions
    has_average_rows: bool = False  # whether the last row of each field is for unknown ids
    is_mirrored: bool = False  # whether users and items are exchanged
    uncertainty: Uncertainty | None = None  # for standard deviations, if they are needed

    def predict(self, columns: list[Column], threads: Threads) -> np.ndarray:
        """Predict the ratings of rows of ids, float64 (n_rows,)."""
        indices = self.levels.encode(columns, threads)
        unknown = self._report_unknown_rows(columns, indices)
        ratings = self.model.scores(self.rows_of(indices), threads)
        self.to_ratings(ratings)
        if unknown is not None:
            ratings[unknown] = np.nan
        return ratings

    def predict_with_deviations(
        self, columns: list[Column], of_mean: bool, threads: Threads
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict ratings and the standard deviation of each rating or, with ``of_mean``, of the expected rating."""
        indices = self.levels.encode(columns, threads)
        unknown = self._report_unknown_rows(columns, indices)
        ratings, deviations = self.uncertainty.predict(self.model, indices, of_mean, threads)
        self.to_ratings(ratings)
        if unknown is not None:
            ratings[unknown] = deviations[unknown] = np.nan
        return ratings, deviations

    def _report_unknown_rows(self, columns: list[Column], indices: np.ndarray) -> np.ndarray | None:
        """Report unknown ids; return the rows whose result is NaN because of unknown ids, or None."""
        if self.handle_unknown == "ignore":
            return None
        unknown = (indices < 0).any(axis=1)
        self.report_unknown(columns, indices, unknown)
        return unknown if self.handle_unknown == "nan" else None

    def rows_of(self, indices: np.ndarray) -> np.ndarray:
        """Return the rows of the model for indices. An unknown id, -1, has no row or the average row."""
        if not self.has_average_rows:
            return indices
        return np.where(indices < 0, np.array(self.levels.counts, dtype=np.int32), indices)

    def mirrored(self) -> FittedModel:
        """Exchange users and items."""
        order = [1, 0, *range(2, len(self.levels.ids))]
        own, levels, model = self.own_contexts, self.levels, self.model
        return replace(
            self,
            levels=replace(
                levels,
                ids=[levels.ids[f] for f in order],
                sorters=[levels.sorters[f] for f in order],
                kinds=levels.kinds and [levels.kinds[f] for f in order],
            ),
            model=replace(model, factors=[model.factors[f] for f in order], biases=[model.biases[f] for f in order]),
            feature_names=[self.feature_names[f] for f in order] if self.feature_names else [],
            own_contexts=own and {**own, "user": own["item"], "item": own["user"]},
            is_mirrored=not self.is_mirrored,
            uncertainty=None,
        )

    def to_ratings(self, scores: np.ndarray) -> None:
        """Turn scores into ratings, in place: apply the link of the loss and the bounds."""
        if self.inverse_link is not None:
            scores[...] = self.inverse_link(scores)
        if self.rating_range is not None:
            scores.clip(*self.rating_range, out=scores)

    def report_unknown(
        self,
        columns: list[Column],
        indices: np.ndarray,
        unknown: np.ndarray,
        what: str = "X has",
        then: str | None = None,
    ) -> None:
        """Warn about unknown ids, or raise an error, according to ``handle_unknown``."""
        if then is None:
            then = "They are predicted from the other columns."
            if self.has_average_rows:
                then = "They are treated as an average user or item."
        if self.handle_unknown in ("ignore", "nan") or not unknown.any():
            return
        found = f"{np.count_nonzero(unknown)} of {len(unknown)} rows: {describe_unknown(columns, indices)}."
        message = f"{what} ids not seen in fit, in {found}"
        if self.handle_unknown == "error":
            raise ValueError(message + " Leave these rows out, or set handle_unknown to 'ignore', 'warn' or 'nan'.")
        warn_user(f"{message} {then}", UserWarning)
