"""What the grouped metrics share: checks, ratings ranked in their groups, sums over ties and groups, the mean.

A *tie* is all ratings of one group with one score, a single one too. It takes the ranks a+1 to a+n of its group, n its
size. Metrics are means over all orders of the ratings of each tie (McSherry and Najork 2008), so that sums over ties
and groups are all they need, never an order within a tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import check_consistent_length, check_scalar

from sklearn_mf._ids.checks import check_ratings, check_weights
from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.tables import split_column
from sklearn_mf._utils.warnings import warn_user

_WHOLE_GROUP = 2**62  # a k above any size


@dataclass(frozen=True)
class RankedGroups:
    """Ratings group by group, the best score first."""

    y_true: np.ndarray  # (n_ratings,)
    starts: np.ndarray  # (n_groups,) place of the first rating of a group
    sizes: np.ndarray  # (n_groups,)
    weights: np.ndarray | None  # (n_groups,) mean weight of the ratings
    tie_starts: np.ndarray  # (n_ties,) place of the first rating of a tie
    tie_sizes: np.ndarray  # (n_ties,) n
    tie_groups: np.ndarray  # (n_ties,)
    above: np.ndarray  # (n_ties,) a, the ratings of the group with a better score

    def within(self, k: int) -> np.ndarray:
        """m, how many of the first k ranks each tie takes."""
        return np.clip(k - self.above, 0, self.tie_sizes)

    def group_sums(self, values: np.ndarray, ties: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Sums over groups of a value for each tie, or for each of ``ties``, float64 (n_groups,)."""
        return np.bincount(self.tie_groups[ties], values, minlength=len(self.sizes))

    def sums_above(self, values: np.ndarray) -> np.ndarray:
        """For each tie the sum of a value over the ties above it in its group."""
        before = np.cumsum(values) - values
        return before - before[self.above == 0][self.tie_groups]

    def mean(self, values: np.ndarray, defined: np.ndarray, metric: str, why: str) -> float:
        """Weighted mean over the groups where the metric is defined."""
        if not defined.any():
            warn_user(f"{metric} is undefined and set to NaN: {why}.", UndefinedMetricWarning)
            return float("nan")
        weights = None if self.weights is None else self.weights[defined]
        return float(np.average(values[defined], weights=weights))


def rank_groups(y_true: ArrayLike, y_score: ArrayLike, groups: Any, sample_weight: ArrayLike | None) -> RankedGroups:
    """Check the input; leave out ratings of weight 0, and rank the others in their groups."""
    if isinstance(groups, (str, bytes)) or not hasattr(groups, "__len__"):
        raise ValueError(f"groups must be one id for each rating, for example X['user'], not {groups!r}.")
    column = split_column(groups, "groups")
    try:
        check_consistent_length(y_true, y_score, column)
    except ValueError as error:
        raise ValueError(f"y_true, y_score and groups need one value for each rating. {error}") from error
    if not len(column):
        raise ValueError("y_true, y_score and groups are empty: there is nothing to rank.")
    y_true = check_ratings(y_true, len(column), "y_true", of="groups")
    _check_predicted(y_score)
    y_score = check_ratings(y_score, len(column), "y_score", of="groups").astype(np.float64, copy=False)
    weights = check_weights(sample_weight, len(column), of="y_true")
    _, codes = factorize(column)
    if weights is not None and not weights.all():
        kept = weights > 0
        y_true, y_score, codes, weights = y_true[kept], y_score[kept], codes[kept], weights[kept]

    order = _best_first(codes, y_score)
    codes, y_score = codes[order], y_score[order]
    first_of_group = np.append(True, codes[1:] != codes[:-1])
    first_of_tie = first_of_group | np.append(True, y_score[1:] != y_score[:-1])
    starts, tie_starts = np.flatnonzero(first_of_group), np.flatnonzero(first_of_tie)
    sizes = np.diff(starts, append=len(order))
    tie_groups = np.cumsum(first_of_group)[tie_starts] - 1
    return RankedGroups(
        y_true=y_true[order],
        starts=starts,
        sizes=sizes,
        weights=None if weights is None else np.add.reduceat(weights[order], starts) / sizes,
        tie_starts=tie_starts,
        tie_sizes=np.diff(tie_starts, append=len(order)),
        tie_groups=tie_groups,
        above=tie_starts - starts[tie_groups],
    )


def rank_relevant(
    y_true: ArrayLike,
    y_score: ArrayLike,
    groups: Any,
    relevant: float,
    k: int | None,
    sample_weight: ArrayLike | None,
) -> tuple[int, RankedGroups, np.ndarray]:
    """k as a number, the ranked ratings, and r, the relevant ratings of each tie."""
    k, relevant = check_k(k), check_relevant(relevant)
    ranked = rank_groups(y_true, y_score, groups, sample_weight)
    # Compared in the type of y_true: the float32 nearest to 3.3 counts for relevant=3.3.
    return k, ranked, np.add.reduceat(ranked.y_true >= relevant, ranked.tie_starts, dtype=np.int64)


def sort_within_groups(ranked: RankedGroups, values: np.ndarray) -> np.ndarray:
    """Values of the ratings of each group, the highest first."""
    codes = np.repeat(np.arange(len(ranked.sizes), dtype=np.int32), ranked.sizes)
    return values[_best_first(codes, values)]


def _best_first(codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Order by codes, then by falling values; equal ones stay in their order."""
    order = np.argsort(-values, kind="stable")
    # NumPy sorts integers of 16 bits by radix, several times as fast as wider ones.
    for digits in (codes & 0xFFFF, codes >> 16):
        if digits.any():
            order = order[np.argsort(digits.astype(np.uint16)[order], kind="stable")]
    return order


def runs(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For runs 0, 1, ... of these sizes, the run and the place in it, from 1, of all their elements."""
    run = np.repeat(np.arange(len(sizes)), sizes)
    return run, np.arange(1, len(run) + 1) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _check_predicted(y_score: ArrayLike) -> None:
    scores = np.asarray(y_score)
    bad = np.flatnonzero(~np.isfinite(scores)) if scores.dtype.kind == "f" else ()
    if len(bad):
        raise ValueError(
            f"Input y_score contains NaN or infinity: {len(bad)} of {len(scores)} predictions, the first at row "
            f"{bad[0]}. With handle_unknown='nan' a model predicts NaN for ids that it was not fitted on: leave these "
            "rows out, or use handle_unknown='ignore'."
        )


def check_k(k: int | None) -> int:
    """How many ranks count."""
    if k is None:
        return _WHOLE_GROUP
    if isinstance(k, bool) or not isinstance(k, Integral):
        raise TypeError(f"k must be an int, at least 1, or None to rank whole groups, not {k!r}.")
    return min(int(check_scalar(k, "k", Integral, min_val=1)), _WHOLE_GROUP)


def check_relevant(relevant: float) -> float:
    """The rating from which on one is relevant."""
    if isinstance(relevant, bool) or not isinstance(relevant, Real):
        raise TypeError(f"relevant must be a number, the lowest rating that counts as relevant, not {relevant!r}.")
    if not isfinite(relevant):
        raise ValueError(f"relevant == {relevant}, must be finite: the lowest rating that counts as relevant.")
    return float(relevant)
