"""The losses: their value, best constant, scale and link. Names and meanings are scikit-learn's own.

Errors are measured on the standardized scale, (y - f) / scale, but for Poisson's, whose f is the log of the expected y.
The kernel has the same losses, with the derivatives that its steps need (sgd_loss.h).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from sklearn_mf._kernel.kernels import LOSSES


@dataclass(frozen=True)
class Loss:
    """One of ``LOSSES``, with the parameter that it has."""

    name: str = "squared_error"
    epsilon: float = 1.35
    quantile: float = 0.5

    @property
    def code(self) -> int:
        """What the kernel calls it."""
        return LOSSES[self.name]

    @property
    def is_standardized(self) -> bool:
        """Whether y is centerd and divided by its standard deviation inside."""
        return self.name != "poisson"

    def parameter(self, intercept: float) -> float:
        """What the kernel needs beside the name."""
        return {"huber": self.epsilon, "quantile": self.quantile, "poisson": intercept}.get(self.name, 0.0)

    def of(self, y: np.ndarray, f: np.ndarray | float, scale: float) -> np.ndarray:
        """Loss of each rating, at least 0; f is the intercept plus what biases and factors add to it."""
        if self.name == "poisson":  # half the deviance: y (e^d - 1 - d) with d = f - log(y)
            d = f - np.log(np.where(y > 0, y, 1.0))
            return np.where(y > 0, y * (np.expm1(d) - d), np.exp(f))
        e = (y - f) / scale
        size = np.abs(e)
        if self.name == "absolute_error":
            return size
        if self.name == "quantile":
            return np.maximum(self.quantile * e, (self.quantile - 1) * e)
        if self.name == "huber":
            return np.where(size > self.epsilon, self.epsilon * (size - 0.5 * self.epsilon), 0.5 * e * e)
        return 0.5 * e * e

    def mean(self, y: np.ndarray, f: np.ndarray | float, scale: float, weights: np.ndarray | None) -> float:
        """Weighted mean of ``of``."""
        with np.errstate(over="ignore"):
            return float(np.average(self.of(y, f, scale), weights=weights))

    @property
    def identity(self) -> str:
        """The name and, where it has one, the parameter."""
        parameter = {"huber": f", epsilon={self.epsilon}", "quantile": f", quantile={self.quantile}"}
        return self.name + parameter.get(self.name, "")

    def least(self, y: np.ndarray, scale: float, weights: np.ndarray | None) -> float:
        """Mean loss of the best constant."""
        if y.min() == y.max():
            return 0.0
        return self.mean(y, self.constant(y, weights, scale), scale, weights)

    def unit(self, scale: float) -> float:
        """What a loss on the standardized scale is multiplied by to be one on the scale of y."""
        return {"squared_error": scale**2, "huber": scale**2, "poisson": 1.0}.get(self.name, scale)

    def constant(self, y: np.ndarray, weights: np.ndarray | None, scale: float) -> float:
        """The f of least loss that is the same for all ratings."""
        if self.name in ("absolute_error", "quantile"):
            return _quantile(y, weights, 0.5 if self.name == "absolute_error" else self.quantile)
        if self.name == "huber":

            def slope(c: float) -> float:
                return float(np.average(np.clip((y - c) / scale, -self.epsilon, self.epsilon), weights=weights))

            low, high = float(y.min()), float(y.max())
            return low if low == high else float(brentq(slope, low, high, xtol=1e-9 * scale))
        mean = float(np.average(y, weights=weights))
        return mean if self.name == "squared_error" else float(np.log(mean)) if mean > 0 else -np.inf

    def expected(self, f: np.ndarray) -> np.ndarray:
        """The predicted rating."""
        return np.exp(f) if self.name == "poisson" else f


def _quantile(values: np.ndarray, weights: np.ndarray | None, q: float) -> float:
    """The middle of the values that minimize the quantile loss; of repeated ratings the same as of weighted ones."""
    order = np.argsort(values, kind="stable")
    values = values[order]
    total = np.cumsum(np.ones(len(values)) if weights is None else weights[order])
    share = total / total[-1]
    rounding = 1e-12  # a share that is q but for rounding is q
    low, high = np.searchsorted(share, [q - rounding, q + rounding], side="left")
    return float(0.5 * (values[min(low, len(values) - 1)] + values[min(high, len(values) - 1)]))
