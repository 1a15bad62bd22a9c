"""Hold the settings of a training run: penalties, loss and how long to train. Names are those of the estimator."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklearn_mf._training.losses import Loss, SquaredError
from sklearn_mf._utils.records import with_fields

# Limit of steps and penalties. With more, single precision overflows, and nothing is left of a row anyway.
LARGEST_SAFE_NUMBER = 1e12
USUAL_DAMPING = 4.0  # of users and items, if it cannot be estimated
FACTOR_DAMPING = 5.0, 7.0  # of factors of users and of items, if the damping of biases is estimated
_STRUCTURE = "rank", "fit_bias", "positive", "implicit_features", "loss"  # must stay the same when training continues
_CONTEXT_DAMPING = 20.0  # if the damping of users and items is estimated
_CONTEXT_DAMPING_RATIO = 5.0  # relative to the mean of users and items, if their damping is given


@dataclass(frozen=True)
class Damping:
    """Hold the L2 penalty per level, whatever its number of ratings: of users, of items, of context levels."""

    factors: tuple[float, float, float]
    biases: tuple[float, float, float]

    @classmethod
    def of_sides(cls, users: float, items: float) -> Damping:
        """Use one number for users and one for items, for factors and biases. Contexts get five times their mean."""
        of_each = users, items, min(_CONTEXT_DAMPING_RATIO * (users / 2 + items / 2), sys.float_info.max)
        return cls(of_each, of_each)

    @classmethod
    def of_biases(cls, users: float, items: float) -> Damping:
        """Use these estimates for biases, and constants for factors and contexts."""
        return cls((*FACTOR_DAMPING, _CONTEXT_DAMPING), (users, items, _CONTEXT_DAMPING))

    def at_least(self, factors: float, biases: float) -> Damping:
        """Raise all values to at least these numbers."""
        return Damping(tuple(max(own, factors) for own in self.factors), tuple(max(own, biases) for own in self.biases))

    def of(self, column: int) -> tuple[float, float]:
        """Return the damping of factors and of biases of the levels of a column."""
        return self.factors[min(column, 2)], self.biases[min(column, 2)]


@dataclass(frozen=True)
class Hyperparameters:
    """Describe the model and its penalties."""

    rank: int
    learning_rate: float
    alpha: float
    alpha_bias: float
    damping: Damping | None  # None is estimated from the ratings
    implicit_features: str | None
    alpha_implicit: float
    fit_bias: bool
    loss: Loss = field(default_factory=SquaredError)
    positive: bool = False
    penalty_scale: float = 1.0  # of factors; chosen for counts, and with early stopping
    n_usual_damping: float = 0.0  # weight of the usual damping, in ratings, in the average with an estimate

    def damping_table(self, n_columns: int) -> np.ndarray:
        """Return the damping of factors and of biases of each column, float64 (n_columns, 2)."""
        return np.array([self.damping.of(column) for column in range(n_columns)], dtype=np.float64)

    def with_damping_of(self, other: Hyperparameters) -> Hyperparameters:
        """Take the scale of penalties from ``other``, and its damping if there is none here."""
        return with_fields(self, damping=self.damping or other.damping, penalty_scale=other.penalty_scale)

    def strengths(
        self, units: tuple[float, float], share: float = 1.0, damping: Damping | None = None
    ) -> tuple[float, float, tuple[tuple[float, float], ...]]:
        """Return alpha, alpha_bias and the damping (factors, bias) of users, items and contexts, for the kernel.

        ``units`` are the units of penalties of factors and of biases. ``share`` multiplies the damping of factors.
        ``damping`` replaces the damping of the fit, if given.
        """
        of_factors, of_biases, given = units[0] * self.penalty_scale, units[1], damping or self.damping
        of_levels = tuple(
            (_safe(share * factors * of_factors), _safe(bias * of_biases))
            for factors, bias in zip(given.factors, given.biases, strict=True)
        )
        return _safe(self.alpha * of_factors), _safe(self.alpha_bias * of_biases), of_levels

    def has_structure_of(self, other: Hyperparameters) -> bool:
        """Check whether training with these can continue from a model that was trained with ``other``."""
        return all(getattr(self, name) == getattr(other, name) for name in _STRUCTURE)

    @property
    def structure(self) -> dict[str, Any]:
        """Values that must stay the same when training continues from a model, by name."""
        named = {name: getattr(self, name) for name in _STRUCTURE if name != "loss"}
        return {**named, "loss and its parameter": self.loss.description}


@dataclass(frozen=True)
class StoppingRule:
    """Describe how long to train."""

    schedule: str
    max_iter: int
    tol: float | None
    early_stopping: bool
    refit: bool
    n_iter_no_change: int
    validation_fraction: float

    @property
    def has_fixed_length(self) -> bool:
        """Whether all epochs of the schedule run, whatever the loss does."""
        return not self.early_stopping and self.tol is None


def _safe(strength: float) -> float:
    """Bound a penalty."""
    return min(strength, LARGEST_SAFE_NUMBER)
