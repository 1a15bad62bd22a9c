"""Compute the uncertainty of predictions from the noise of users and items, and from the precision of their rows.

_kernel/precision.h has the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_mf._kernel.precision import COUPLING, N_SUMS, SMALLEST, SQUARES, WEIGHTS, PrecisionRule, variances
from sklearn_mf._kernel.rows import RowTable
from sklearn_mf._kernel.sgd import predict
from sklearn_mf._prediction.model import MAX_CHUNK, Model
from sklearn_mf._utils.threads import Threads, chunks

_RATINGS_OF_USUAL_NOISE = 15.0  # weight of the mean noise, in ratings, in the noise of each user and item


@dataclass(frozen=True)
class Uncertainty:
    """Hold the statistics of a model's rows that standard deviations need."""

    rule: PrecisionRule
    level_sums: list[RowTable]  # (n_levels, N_SUMS) by field
    scale: float  # standard deviation of the ratings
    noise: float  # variance of a rating around its expected value, on the standardized scale

    def predict(
        self, model: Model, indices: np.ndarray, of_mean: bool, threads: Threads
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the score of each row of indices, and the standard deviation of its rating.

        With ``of_mean`` it is the deviation of the expected rating. Both are float64 (n_rows,).
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

    def variance_parts(self, model: Model, field: int, levels: np.ndarray) -> np.ndarray:
        """Return a row for each user (field 0) or item (1), float64 (n_levels, 4). The index -1 is an unknown id.

        In a model of two fields, the product of a user's row and an item's row is the variance of the expected rating,
        on the standardized scale: s_u^2 s_i^2 / s^2 (u k_u |q|^2 + u k_i |p|^2 + kb_u + kb_i).
        """
        rule, known = self.rule, levels >= 0
        sums, norms = np.zeros((len(levels), N_SUMS)), np.full(len(levels), rule.mean_squares[1 - field] * model.rank)
        sums[known] = self.level_sums[field][levels[known]]
        rows = model.factors[field][levels[known]].astype(np.float64)
        norms[known] = np.einsum("ij,ij->i", rows, rows) / self.scale
        n, (factors, bias) = sums[:, WEIGHTS], rule.damping[field]
        k = 1.0 / np.maximum((rule.alpha + rule.curvature * rule.mean_squares[field]) * n + factors, SMALLEST)
        k_bias = rule.fit_bias / np.maximum((rule.alpha_bias + rule.curvature) * n + bias, SMALLEST)
        noise = (sums[:, SQUARES] + _RATINGS_OF_USUAL_NOISE * self.noise) / (n + _RATINGS_OF_USUAL_NOISE)
        if field == 1:
            return noise[:, None] * np.column_stack([norms, k, np.ones(len(n)), k_bias])
        share = noise * (rule.curvature / self.noise if self.noise > 0 else 0.0)
        return share[:, None] * np.column_stack([COUPLING * k, COUPLING * norms, k_bias, np.ones(len(n))])


@dataclass(frozen=True)
class Bounds:
    """Score pairs by their expected rating plus or minus a multiple of its deviation."""

    model: Model
    uncertainty: Uncertainty
    n_deviations: float

    def scores(self, indices: np.ndarray, threads: Threads) -> np.ndarray:
        """Score rows of indices, as ``Model.scores`` does."""
        scores, deviations = self.uncertainty.predict(self.model, indices, True, threads)
        return scores + self.n_deviations * deviations

    def variance_parts(self, field: int, levels: np.ndarray) -> np.ndarray:
        """Return ``Uncertainty.variance_parts`` in single precision, float32 (n_levels, 4)."""
        with np.errstate(over="ignore"):
            return self.uncertainty.variance_parts(self.model, field, levels).astype(np.float32)
