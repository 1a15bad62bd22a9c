"""Hold what training leaves: the model, and what training that goes on from it needs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sklearn_mf._prediction.model import Model
from sklearn_mf._training.hyperparameters import Hyperparameters
from sklearn_mf._training.scaling import TargetScale

OUT_OF_SCALE_MESSAGE = (
    "Ratings in y or weights are far beyond those that the model began with. Rescale them as those were."
)


@dataclass(frozen=True)
class TrainingState:
    """Hold what a model is trained further with; lists have an array for each field, on the scale of y."""

    hyper: Hyperparameters
    scale: float  # of the targets
    level_weights: list[np.ndarray]  # float64 (n_levels,): n, the summed weight of a level's ratings
    weight_unit: float
    centers: list[np.ndarray | None]  # float32 (n_levels, rank + 1): what factors and the bias shrink to; or None
    coefficients: list[np.ndarray | None]  # float32 (levels of the other field, rank + 1): what centers are summed of
    penalty_units: tuple[float, float] = (1.0, 1.0)  # of factors and biases, relative to standardized targets
    n_of_damping: float | None = None  # ratings that the damping is estimated from; None where it stays

    def grown(self, n_levels: list[int]) -> TrainingState:
        """Copy all arrays, with rows of zeros for new levels."""
        return replace(
            self,
            level_weights=grow_each(self.level_weights, n_levels),
            centers=grow_each(self.centers, n_levels),
            coefficients=grow_each(self.coefficients, n_levels[1::-1]),
        )

    def without_users(self) -> TrainingState:
        """Leave out what belongs to users, of a model of two fields."""
        return replace(
            self,
            level_weights=[self.level_weights[0][:0], self.level_weights[1]],
            centers=[None if self.centers[0] is None else self.centers[0][:0], self.centers[1]],
            coefficients=[self.coefficients[0], None if self.coefficients[1] is None else self.coefficients[1][:0]],
        )


@dataclass(frozen=True)
class Learned:
    """Hold a model on the scale of y, its training state, and how it came about."""

    model: Model
    state: TrainingState
    rating_range: tuple[float, float]
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    n_iter: int = 0
    warning: str | None = None

    @property
    def target_scale(self) -> TargetScale:
        """The way from ratings to the standardized scale."""
        location = self.model.intercept if self.state.hyper.loss.is_standardized else 0.0
        return TargetScale(location, self.state.scale)

    def grown(self, n_levels: list[int]) -> Learned:
        """Copy all arrays, with rows of zeros for new levels."""
        model = replace(
            self.model,
            factors=grow_each(self.model.factors, n_levels),
            biases=grow_each(self.model.biases, n_levels),
        )
        return replace(self, model=model, state=self.state.grown(n_levels), warning=None)


@dataclass(frozen=True)
class Start:
    """Hold a model to start from, and where each level of the new one is in it, -1 for nowhere."""

    learned: Learned
    places: list[np.ndarray]


def grow_each(arrays: list[np.ndarray | None], n_levels: list[int]) -> list[np.ndarray | None]:
    """Copy arrays of a row a level, with rows of zeros for new levels; None stays None."""

    def grow(array: np.ndarray | None, n: int) -> np.ndarray | None:
        if array is None:
            return None
        return np.concatenate([array, np.zeros((n - len(array), *array.shape[1:]), dtype=array.dtype)])

    return [grow(array, n) for array, n in zip(arrays, n_levels, strict=True)]
