"""Define the losses: value, best constant, scale and link. Names and meanings are those of scikit-learn.

Errors are measured on the standardized scale, (y - f) / scale. The Poisson loss is different: its f is the log of the
expected y. A new loss needs a class here, listed in ``LOSSES``, and a function in the kernel (``judge_NAME`` in
sgd_loss.h).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import brentq

from sklearn_mf._kernel.sgd import LOSS_CODES
from sklearn_mf._utils.storage import Storage
from sklearn_mf._utils.threads import chunks

_LARGEST_COUNT = float(np.finfo(np.float32).max)
_SMALLEST_UNIT = 1e-150  # smallest unit of penalties
_SMALLEST_MEAN_LOSS = 1e-6  # smallest mean loss of a model, on the standardized scale
_MAX_CHUNK = 2**18  # ratings per task, the length of temporary arrays
_IN_MEMORY = Storage()
_MAX_ROOT_STEPS = 5000  # more than bisecting the whole range of double precision needs


class _Average:
    """Compute weighted averages over ratings, part by part."""

    def __init__(self, y: np.ndarray, weights: np.ndarray | None, storage: Storage):
        self._y, self._weights, self._numbers = y, weights, storage.empty(len(y), np.float64)
        self._total = len(y) if weights is None else weights.sum()

    def of(self, function: Callable[[np.ndarray], np.ndarray]) -> float:
        """Average the result of ``function`` over the ratings."""
        for part in chunks(len(self._y), _MAX_CHUNK):
            numbers = function(self._y[part])
            self._numbers[part] = numbers if self._weights is None else numbers * self._weights[part]
        return float(self._numbers.sum() / self._total)


@dataclass(frozen=True)
class Baseline:
    """Hold the best constant, from which the model starts."""

    offset: float  # the constant, on the scale of the loss; 0 if targets are centered
    loss: float  # mean loss of the constant
    curvature: float = 1.0  # approximate curvature of the loss; steps are divided by it
    penalty_units: tuple[float, float] = (1.0, 1.0)  # of factors and biases; 1 on the standardized scale


@dataclass(frozen=True)
class Loss(ABC):
    """Define the cost of an error. The fields of a loss are the parameters of the estimator that it uses."""

    name: ClassVar[str]
    is_standardized: ClassVar[bool] = True  # whether y is centered and divided by its standard deviation
    is_least_squares: ClassVar[bool] = False  # whether rows can be solved exactly
    has_deviations: ClassVar[bool] = True  # whether standard deviations of predictions are defined
    score_name: ClassVar[str] = "D^2"  # name of the score 1 - loss / loss of the best constant

    @property
    def code(self) -> int:
        """Number of the loss in the kernel."""
        return LOSS_CODES[self.name]

    @property
    def parameter(self) -> float:
        """Parameter of the loss, for the kernel."""
        return 0.0

    @property
    def description(self) -> str:
        """Name and parameters, such as "huber, epsilon=1.35"."""
        return ", ".join([self.name, *(f"{f.name}={getattr(self, f.name)}" for f in fields(self))])

    @abstractmethod
    def values(self, y: np.ndarray, f: np.ndarray | float, scale: float) -> np.ndarray:
        """Return the loss of each rating, at least 0; ``f`` is the intercept plus the sum of biases and factors."""

    @abstractmethod
    def constant(self, y: np.ndarray, weights: np.ndarray | None, scale: float, storage: Storage = _IN_MEMORY) -> float:
        """Find the constant f with the lowest loss; ``storage`` provides arrays with a number for each rating."""

    def unit(self, scale: float) -> float:
        """Return the factor that turns a loss on the standardized scale into one on the scale of y."""
        return scale

    def inverse_link(self, f: np.ndarray) -> np.ndarray:
        """Turn scores into predicted ratings."""
        return f

    def curvature(self, mean_loss: float) -> float:
        """Return the approximate curvature of the expected loss, for a model with this mean loss."""
        return 1.0

    def check_targets(self, y: np.ndarray, weights: np.ndarray | None, name: str = "y") -> None:  # noqa: B027, of most
        """Raise a ValueError if the loss is not defined for ratings of positive weight."""

    def baseline_at(
        self,
        intercept: float,
        y: np.ndarray,
        weights: np.ndarray | None,
        scale: float,
        storage: Storage = _IN_MEMORY,
    ) -> Baseline:
        """Compute the loss of predicting ``intercept`` for all ratings."""
        with np.errstate(over="ignore"):
            return Baseline(0.0, _Average(y, weights, storage).of(lambda y: self.values(y, intercept, scale)))

    def find_baseline(
        self,
        y: np.ndarray,
        weights: np.ndarray | None,
        location: float,
        scale: float,
        fit_bias: bool,
        storage: Storage = _IN_MEMORY,
    ) -> tuple[float, float, Baseline]:
        """Find intercept, scale and baseline; ``location`` and ``scale`` are mean and standard deviation of y."""
        intercept = self.constant(y, weights, scale, storage) if fit_bias else 0.0
        return intercept, scale, self.baseline_at(intercept, y, weights, scale, storage)

    def training_line(self, loss: float) -> str:
        """Format a mean loss of training for ``verbose``."""
        return f"training loss {loss:.4f}"


@dataclass(frozen=True)
class SquaredError(Loss):
    """Use half the squared error; predictions are means."""

    name: ClassVar[str] = "squared_error"
    is_least_squares: ClassVar[bool] = True
    score_name: ClassVar[str] = "R^2"

    def values(self, y: np.ndarray, f: np.ndarray | float, scale: float) -> np.ndarray:
        """Return e^2 / 2."""
        e = (y - f) / scale
        return 0.5 * e * e

    def constant(self, y: np.ndarray, weights: np.ndarray | None, scale: float, storage: Storage = _IN_MEMORY) -> float:
        """Return the weighted mean."""
        return _Average(y, weights, storage).of(lambda y: y)

    def unit(self, scale: float) -> float:
        """Return the squared scale."""
        return scale**2

    def find_baseline(
        self,
        y: np.ndarray,
        weights: np.ndarray | None,
        location: float,
        scale: float,
        fit_bias: bool,
        storage: Storage = _IN_MEMORY,
    ) -> tuple[float, float, Baseline]:
        """Return mean and standard deviation unchanged. The mean loss of the mean is then 1/2."""
        return location, scale, Baseline(0.0, 0.5)

    def training_line(self, loss: float) -> str:
        """Format the root of the mean squared error."""
        return f"training RMSE {(2 * loss) ** 0.5:.4f}"


@dataclass(frozen=True)
class AbsoluteError(Loss):
    """Use the absolute error; predictions are medians."""

    name: ClassVar[str] = "absolute_error"

    def values(self, y: np.ndarray, f: np.ndarray | float, scale: float) -> np.ndarray:
        """Return |e|."""
        return np.abs((y - f) / scale)

    def curvature(self, mean_loss: float) -> float:
        """Return twice the density of errors at 0 if they are Laplacian, 1 / mean |e|."""
        return 1.0 / max(mean_loss, _SMALLEST_MEAN_LOSS)

    def constant(self, y: np.ndarray, weights: np.ndarray | None, scale: float, storage: Storage = _IN_MEMORY) -> float:
        """Return the weighted median."""
        return _quantile(y, weights, 0.5, storage)


@dataclass(frozen=True)
class Huber(Loss):
    """Use half the squared error, but a linear loss for errors above ``epsilon`` standard deviations."""

    name: ClassVar[str] = "huber"
    epsilon: float = 1.35

    @property
    def parameter(self) -> float:
        """The error above which the loss is linear."""
        return self.epsilon

    def values(self, y: np.ndarray, f: np.ndarray | float, scale: float) -> np.ndarray:
        """Return e^2 / 2, or epsilon (|e| - epsilon / 2) if |e| > epsilon."""
        e = (y - f) / scale
        size = np.abs(e)
        return np.where(size > self.epsilon, self.epsilon * (size - 0.5 * self.epsilon), 0.5 * e * e)

    def constant(self, y: np.ndarray, weights: np.ndarray | None, scale: float, storage: Storage = _IN_MEMORY) -> float:
        """Find the root of the slope of the mean loss."""
        average = _Average(y, weights, storage)

        def slope(c: float) -> float:
            return average.of(lambda y: np.clip((y - c) / scale, -self.epsilon, self.epsilon))

        low, high = float(y.min()), float(y.max())
        if low == high:
            return low
        return float(brentq(slope, low, high, xtol=1e-9 * scale, maxiter=_MAX_ROOT_STEPS))

    def unit(self, scale: float) -> float:
        """Return the squared scale."""
        return scale**2


@dataclass(frozen=True)
class Quantile(Loss):
    """Use the quantile (pinball) loss; predictions are quantiles."""

    name: ClassVar[str] = "quantile"
    has_deviations: ClassVar[bool] = False
    quantile: float = 0.5

    @property
    def parameter(self) -> float:
        """The quantile, between 0 and 1."""
        return self.quantile

    def values(self, y: np.ndarray, f: np.ndarray | float, scale: float) -> np.ndarray:
        """Return q e, or (q - 1) e if e < 0."""
        e = (y - f) / scale
        return np.maximum(self.quantile * e, (self.quantile - 1) * e)

    def curvature(self, mean_loss: float) -> float:
        """Return the density of errors at 0 if they are asymmetric Laplacian, q (1 - q) / mean loss."""
        return self.quantile * (1.0 - self.quantile) / max(mean_loss, _SMALLEST_MEAN_LOSS)

    def constant(self, y: np.ndarray, weights: np.ndarray | None, scale: float, storage: Storage = _IN_MEMORY) -> float:
        """Return the weighted quantile."""
        return _quantile(y, weights, self.quantile, storage)


@dataclass(frozen=True)
class Poisson(Loss):
    """Use half the Poisson deviance, for counts; f is the log of the expected count."""

    name: ClassVar[str] = "poisson"
    has_deviations: ClassVar[bool] = False
    is_standardized: ClassVar[bool] = False

    def values(self, y: np.ndarray, f: np.ndarray | float, scale: float) -> np.ndarray:
        """Return y (e^d - 1 - d) with d = f - log(y)."""
        d = f - np.log(np.where(y > 0, y, 1.0))
        return np.where(y > 0, y * (np.expm1(d) - d), np.exp(f))

    def constant(self, y: np.ndarray, weights: np.ndarray | None, scale: float, storage: Storage = _IN_MEMORY) -> float:
        """Return the log of the weighted mean."""
        mean = _Average(y, weights, storage).of(lambda y: y)
        return float(np.log(mean)) if mean > 0 else -np.inf

    def unit(self, scale: float) -> float:
        """Return 1: counts are not standardized."""
        return 1.0

    def inverse_link(self, f: np.ndarray) -> np.ndarray:
        """Return e^f."""
        return np.exp(f)

    def check_targets(self, y: np.ndarray, weights: np.ndarray | None, name: str = "y") -> None:
        """Raise a ValueError if a count is below 0."""
        counts = np.ones(len(y), dtype=bool) if weights is None else weights > 0
        below = np.flatnonzero(counts & (y < 0))
        if len(below):
            raise ValueError(
                f"loss='poisson' needs counts of at least 0, but {name} has {len(below)} negative values, the "
                f"first at row {below[0]} ({y[below[0]]}). Leave them out, or choose another loss."
            )

    def baseline_at(
        self,
        intercept: float,
        y: np.ndarray,
        weights: np.ndarray | None,
        scale: float,
        storage: Storage = _IN_MEMORY,
    ) -> Baseline:
        """Compute the loss of predicting m = e^intercept for all counts. At m, the curvature of the loss is m.

        Near m, the loss is m/2 (y/m - 1 - f)^2 plus a constant. The standardized scale divides y/m - 1 by its standard
        deviation s, and factors by the root of s. So a penalty of 1 becomes m s for factors, and m for biases. The
        penalties of factors are larger if the variance of counts is larger than their mean.
        """
        mean, average = float(np.exp(intercept)), _Average(y, weights, storage)
        with np.errstate(over="ignore"):
            spread = mean * average.of(lambda y: (y / mean - 1.0) ** 2) ** 0.5
            loss = average.of(lambda y: self.values(y, intercept, scale))
        units = max(spread or mean, _SMALLEST_UNIT), max(mean, _SMALLEST_UNIT)
        return Baseline(intercept, loss, mean, units)

    def find_baseline(
        self,
        y: np.ndarray,
        weights: np.ndarray | None,
        location: float,
        scale: float,
        fit_bias: bool,
        storage: Storage = _IN_MEMORY,
    ) -> tuple[float, float, Baseline]:
        """Find the log of the mean; the scale is 1."""
        if not y.max() > 0:
            raise ValueError(
                "loss='poisson' starts from the log of the mean. So it needs a value above 0 in y, and in the "
                "part of y that early_stopping does not hold out."
            )
        if y.max() > _LARGEST_COUNT:
            raise ValueError(
                f"loss='poisson' takes counts up to {_LARGEST_COUNT:.1e} (single precision), but y has "
                f"{y.max():.3g}. Rescale y, or choose another loss."
            )
        return super().find_baseline(y, weights, location, 1.0, fit_bias, storage)


LOSSES: dict[str, type[Loss]] = {loss.name: loss for loss in (SquaredError, AbsoluteError, Huber, Quantile, Poisson)}


def make_loss(name: str, /, **parameters: Any) -> Loss:
    """Make the loss with this name. It takes the parameters that it needs, and ignores the others."""
    loss = LOSSES[name]
    return loss(**{field.name: parameters[field.name] for field in fields(loss)})


def _quantile(values: np.ndarray, weights: np.ndarray | None, q: float, storage: Storage) -> float:
    """Find the middle of the values that minimize the quantile loss. Repeated ratings count like weighted ratings."""
    n, total = len(values), 0.0
    ordered = storage.empty(n, np.complex128)  # values and their places; complex numbers sort by both, in place
    for part in chunks(n, _MAX_CHUNK):
        ordered.real[part], ordered.imag[part] = values[part], np.arange(part.start, part.stop)
    ordered.sort()
    for part in chunks(n, _MAX_CHUNK):
        places = ordered.imag[part].astype(np.int64)
        sums = np.ones(len(places)) if weights is None else weights[places]
        sums[0] += total
        total = np.cumsum(sums, out=ordered.imag[part])[-1]
    rounding = 1e-12  # shares that differ from q only by rounding count as q
    low, high = (
        min(bisect_left(range(n), bound, key=lambda place: ordered.imag[place] / total), n - 1)
        for bound in (q - rounding, q + rounding)
    )
    return float(0.5 * ordered.real[low] + 0.5 * ordered.real[high])
