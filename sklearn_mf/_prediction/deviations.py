"""Tell how sure predictions are: from the noise of users and items, and from how little is known of their rows.

_kernel/precision.h has the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_mf._kernel.precision import PrecisionRule, variances
from sklearn_mf._kernel.rows import RowTable
from sklearn_mf._kernel.sgd import predict
from sklearn_mf._prediction.model import MAX_CHUNK, Model
from sklearn_mf._utils.threads import Threads, chunks

_RATINGS_OF_USUAL_NOISE = 15.0  # that each user and item is taken to have had, beside its own


@dataclass(frozen=True)
class Uncertainty:
    """Hold what is known of the rows of a model."""

    rule: PrecisionRule
    level_sums: list[RowTable]  # (n_levels, N_SUMS) by field
    scale: float  # of ratings
    noise: float  # of a rating, on the standardized scale: a variance

    def predict(
        self, model: Model, indices: np.ndarray, of_mean: bool, threads: Threads
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score rows of indices as the model does, and give the standard deviation of each rating.

        With ``of_mean`` it is that of what the rating is expected to be. Both are float64 (n_rows,).
        """
        scores, deviations = np.empty(len(indices)), np.empty(len(indices))

        def fill(part: slice) -> None:
            rows, found = indices[part], deviations[part]
            known = self.level_sums, self.rule, self.scale, self.noise, _RATINGS_OF_USUAL_NOISE
            variances(rows, model, *known, of_mean, found, scores[part])
            np.sqrt(found, out=found)
            found *= self.scale
            if indices.shape[1] > 2:
                predict(rows, model.factors, model.biases, model.intercept, scores[part])

        threads.map(fill, chunks(len(indices), MAX_CHUNK))
        return scores, deviations


@dataclass(frozen=True)
class Bounds:
    """Score pairs by what ratings are expected to be, plus or minus deviations of that."""

    model: Model
    uncertainty: Uncertainty
    n_deviations: float

    def scores(self, indices: np.ndarray, threads: Threads) -> np.ndarray:
        """Score rows of indices, as ``Model.scores`` does."""
        scores, deviations = self.uncertainty.predict(self.model, indices, True, threads)
        return scores + self.n_deviations * deviations
