"""Turn ratings into the confidence of pairs, for a preference model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.threads import chunks

_MAX_KNOTS = 4096  # ratings that the rule stores, at even quantiles
_LARGEST_SCORE = 3.0  # largest normal score, in standard deviations
_LARGEST_EXPONENT = 40.0  # with more, single precision overflows
_CHUNK = 2**20  # rows that are counted at a time
_EXACT = 2.0**53  # below it, integers are exact in double precision, so sums do not depend on their order


@dataclass(frozen=True)
class ConfidenceRule:
    """Compute the confidence of ratings. It increases with the share of lower ratings.

    The rank of a rating is the share of ratings below it plus half the share of equal ratings. z is the normal score of
    this rank (van der Waerden 1952), limited to three standard deviations. The confidence is exp(strength z). Only the
    order of ratings matters. So any scale and any tail works, and a constant y gives 1. A rating between two knots has
    the confidence of the lower knot.
    """

    strength: float
    knots: np.ndarray  # float64 (n_knots,), rising
    scores: np.ndarray  # float64 (n_knots,)

    @classmethod
    def fit(cls, strength: float, levels: np.ndarray, mass: np.ndarray) -> ConfidenceRule:
        """Learn the rule from distinct ratings in increasing order, and the summed weight of each."""
        share = (np.cumsum(mass) - mass / 2) / mass.sum()
        if len(levels) > _MAX_KNOTS:
            kept = np.unique(np.searchsorted(share, np.linspace(0, 1, _MAX_KNOTS)).clip(0, len(levels) - 1))
            levels, share = levels[kept], share[kept]
        return cls(strength, levels, np.clip(ndtri(share), -_LARGEST_SCORE, _LARGEST_SCORE))

    def of_rows(self, ratings: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        """Return the confidence of ratings times their weights, float32."""
        out = np.empty(len(ratings), dtype=np.float32)
        for part in chunks(len(ratings), _CHUNK):
            confidence = self.of(ratings[part].astype(np.float64))
            with np.errstate(over="ignore", under="ignore"):
                out[part] = confidence if weights is None else confidence * weights[part]
        return out

    def of(self, ratings: np.ndarray) -> np.ndarray:
        """Return the confidence of ratings, float64. Below the range of the fit, it is that of the lowest rating."""
        places = np.searchsorted(self.knots, ratings, side="right") - 1
        exponents = self.strength * self.scores[np.maximum(places, 0)]
        return np.exp(np.clip(exponents, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))


def levels_and_masses(ratings: np.ndarray, weights: np.ndarray | None, shard: Shard) -> tuple[np.ndarray, np.ndarray]:
    """Find the distinct ratings of all shards in increasing order, and the summed weight of each, in any unit.

    The result does not depend on the order of the rows or on the shards.
    """
    if weights is not None:
        of_shards = shard.gather(np.array([[weights.max(initial=0.0), len(weights)]]))
        largest, n_rows = of_shards[:, 0].max(), of_shards[:, 1].sum()
    levels, masses = [np.empty(0)], [np.empty(0)]
    for part in chunks(len(ratings), _CHUNK):
        given = ratings[part].astype(np.float64)
        if weights is None:
            own, own_masses = np.unique(given, return_counts=True)
        else:  # sums of integers, which are exact
            own, codes = np.unique(given, return_inverse=True)
            own_masses = np.bincount(codes, np.rint(weights[part] / largest * (_EXACT / n_rows)), minlength=len(own))
        levels.append(own)
        masses.append(own_masses)
    own, own_masses = _summed(np.concatenate(levels), np.concatenate(masses))
    return _summed(shard.gather(own), shard.gather(own_masses))


def _summed(levels: np.ndarray, masses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add up the masses of each level; return the levels in increasing order."""
    if (levels[1:] > levels[:-1]).all():
        return levels, masses
    order = np.argsort(levels, kind="stable")  # fast, because the levels consist of sorted parts
    levels, masses = levels[order], masses[order]
    first = np.flatnonzero(np.concatenate([[True], levels[1:] != levels[:-1]]))
    return levels[first], np.add.reduceat(masses, first)
