"""Convert ratings to the standardized scale and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_mf._training.ratings import Ratings, extremes
from sklearn_mf._training.shard import Shard

_SMALLEST_SCALE, _LARGEST_SCALE = 1e-30, 1e30  # limits of factors in single precision


@dataclass(frozen=True)
class TargetScale:
    """Convert ratings and parameters to the standardized scale and back.

    A rating is standardized as (y - location) / scale. A factor row on the scale of y is the standardized row times the
    root of the scale, because a prediction has products of two rows.
    """

    location: float
    scale: float

    @property
    def bias_unit(self) -> np.float32:
        """Size on the scale of y of a standardized bias of 1."""
        return np.float32(self.scale)

    @property
    def factor_unit(self) -> np.float32:
        """Size on the scale of y of a standardized factor of 1."""
        return np.float32(self.scale**0.5)

    def to_y(
        self, factors: np.ndarray, bias: np.ndarray, out: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Convert standardized factors and biases to the scale of y; factors go to ``out`` if it is given."""
        return np.multiply(factors, self.factor_unit, out=out), bias * self.bias_unit

    def from_y(self, factors: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Convert factors and biases on the scale of y to standardized ones."""
        return factors / self.factor_unit, bias / self.bias_unit

    def row_unit(self, rank: int) -> np.ndarray:
        """Return the units of a row (factors, then bias) on the scale of y, float32 (rank + 1,)."""
        return np.append(np.full(rank, self.factor_unit), self.bias_unit).astype(np.float32)

    def standardize(self, y: np.ndarray) -> np.ndarray:
        """Return ratings on the standardized scale."""
        return (y - self.location) / self.scale


def mean_scale_and_range(ratings: Ratings, fit_bias: bool, shard: Shard) -> tuple[float, float, tuple[float, float]]:
    """Find weighted mean, standard deviation and range.

    Without biases, the mean is set to 0, and the scale is the root mean square.
    """
    values, average, bounds = ratings.values, ratings.average, extremes(ratings.values, shard)
    largest = max(-bounds[0], bounds[1])
    if largest == 0:
        return 0.0, _SMALLEST_SCALE, bounds
    # Divide by the largest value, so that squares neither overflow nor vanish.
    location = average.of(lambda part: values[part] / largest, shard) if fit_bias else 0.0
    scale = average.of(lambda part: (values[part] / largest - location) ** 2, shard) ** 0.5
    rounding = float(4 * np.finfo(np.float64).eps * abs(location))
    is_constant = scale <= rounding
    location, scale = location * largest, max(scale, rounding) * largest or _SMALLEST_SCALE
    if bounds[0] == bounds[1] and fit_bias:  # all ratings are the same
        scale = min(scale, _LARGEST_SCALE)
    elif not (is_constant or scale > _SMALLEST_SCALE) or scale >= _LARGEST_SCALE:
        raise ValueError(
            f"The ratings in y have a spread of {scale:.3g}, which is beyond single precision. Rescale y, for "
            "example with sklearn's TransformedTargetRegressor."
        )
    return location, scale, bounds
