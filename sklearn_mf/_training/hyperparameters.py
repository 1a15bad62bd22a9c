"""Hold what a training run is told: strengths, the loss, how long to train. Names are the estimator's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sklearn_mf._training.losses import Loss, SquaredError

# Of steps and penalties: beyond, single precision overflows, and nothing is left of a row anyway.
LARGEST_SAFE_NUMBER = 1e12
_CONTEXT_DAMPING_RATIO = 5.0  # damping of a level of a context column, relative to that of a user or an item


@dataclass(frozen=True)
class Hyperparameters:
    """Say what is learned and how strongly it is penalized."""

    rank: int
    learning_rate: float
    alpha: float
    alpha_bias: float
    damping: float
    implicit_features: str | None
    alpha_implicit: float
    fit_bias: bool
    loss: Loss = field(default_factory=SquaredError)
    positive: bool = False

    def damping_of(self, column: int) -> float:
        """Give the damping of the levels of a column; that of contexts is larger."""
        return self.damping * (1.0 if column < 2 else _CONTEXT_DAMPING_RATIO)

    @property
    def structure(self) -> dict[str, Any]:
        """What must stay the same when training goes on from a model, by name."""
        return {
            "rank": self.rank,
            "fit_bias": self.fit_bias,
            "positive": self.positive,
            "implicit_features": self.implicit_features,
            "loss and its parameter": self.loss.description,
        }


@dataclass(frozen=True)
class StoppingRule:
    """Say how long to train."""

    schedule: str
    max_iter: int
    tol: float | None
    early_stopping: bool
    refit: bool
    n_iter_no_change: int
    validation_fraction: float

    @property
    def has_fixed_length(self) -> bool:
        """Whether the schedule runs to its end, whatever the loss does."""
        return not self.early_stopping and self.tol is None
