"""Turn ratings into how much a pair counts in a model of preferences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

_MAX_KNOTS = 1024  # places at which the rule is kept; between them it is interpolated
_LARGEST_SCORE = 3.0  # in standard deviations
_LARGEST_EXPONENT = 40.0  # beyond, single precision overflows
_EXACT = 2.0**53  # integers below are exact in double precision, so that their sums have no order


@dataclass(frozen=True)
class ConfidenceRule:
    """Give the confidence of a rating, which rises with the share of ratings below it.

    A rating y has the normal score z of the middle of its share (van der Waerden 1952), within three standard
    deviations, and the confidence exp(strength z). So any scale and any tail will do, and a constant y is 1.
    """

    strength: float
    knots: np.ndarray  # float64 (n_knots,), rising
    scores: np.ndarray  # float64 (n_knots,)

    @classmethod
    def fit(cls, strength: float, levels: np.ndarray, mass: np.ndarray) -> ConfidenceRule:
        """Learn the rule from distinct ratings in rising order, and the summed weight of each."""
        share = (np.cumsum(mass) - mass / 2) / mass.sum()
        if len(levels) > _MAX_KNOTS:
            kept = np.unique(np.searchsorted(share, np.linspace(0, 1, _MAX_KNOTS)).clip(0, len(levels) - 1))
            levels, share = levels[kept], share[kept]
        return cls(strength, levels, np.clip(ndtri(share), -_LARGEST_SCORE, _LARGEST_SCORE))

    def of(self, ratings: np.ndarray) -> np.ndarray:
        """Give the confidence of ratings, float64; beyond those of the fit it is that of the nearest."""
        exponents = self.strength * np.interp(ratings, self.knots, self.scores)
        return np.exp(np.clip(exponents, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))


def mass_of_levels(codes: np.ndarray, n_levels: int, weights: np.ndarray | None) -> np.ndarray:
    """Add up the weights of each level, float64 (n_levels,), in any unit, the same for any order of the rows."""
    if weights is None:
        return np.bincount(codes, minlength=n_levels).astype(np.float64)
    shares = weights / weights.max()
    return np.bincount(codes, np.rint(shares * (_EXACT / len(weights))), minlength=n_levels)
