"""Check the input of the ranking metrics, rank ratings within their groups, and sum over ties and groups.

A *tie* is all ratings of one group with the same score. A rating with a score of its own is also a tie. If m ratings
are above a tie of n ratings, the tie takes the ranks m + 1 to m + n of its group. A metric is the mean over all orders
of the ratings of each tie (McSherry and Najork 2008). So metrics only need sums over ties and groups, and never an
order within a tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import check_consistent_length, check_scalar

from sklearn_mf._ids.checks import check_ratings, check_weights
from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.rows import refuse_other_index, warn_of_other_order
from sklearn_mf._ids.tables import split_column
from sklearn_mf._utils.warnings import warn_user

_K_OF_WHOLE_GROUPS = 2**62  # the meaning of k=None: more ratings than any group can have


@dataclass(frozen=True)
class Rankings:
    """Hold the rankings of all groups: their ratings group by group, best score first."""

    y_true: np.ndarray  # (n_ratings,)
    group_starts: np.ndarray  # (n_groups,) place of the first rating of a group
    group_sizes: np.ndarray  # (n_groups,)
    group_weights: np.ndarray | None  # (n_groups,) mean weight of the ratings
    tie_starts: np.ndarray  # (n_ties,) place of the first rating of a tie
    tie_sizes: np.ndarray  # (n_ties,)
    tie_groups: np.ndarray  # (n_ties,) number of the group of a tie
    n_above: np.ndarray  # (n_ties,) how many ratings of the group have a better score

    def count_top_ranks(self, k: int) -> np.ndarray:
        """Count how many of the first k ranks each tie takes."""
        return np.clip(k - self.n_above, 0, self.tie_sizes)

    def sum_by_group(self, values: np.ndarray, ties: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Sum the values of all ties, or of these ``ties``, over each group; float64 (n_groups,)."""
        return np.bincount(self.tie_groups[ties], values, minlength=len(self.group_sizes))

    def sum_above(self, values: np.ndarray) -> np.ndarray:
        """For each tie, sum the values of the ties above it in its group."""
        before = np.cumsum(values) - values
        return before - before[self.n_above == 0][self.tie_groups]

    def average(self, values: np.ndarray, defined: np.ndarray, metric: str, why_undefined: str) -> float:
        """Compute the weighted mean over groups where the metric is defined; warn and return NaN if there is none."""
        if not defined.any():
            warn_user(f"{metric} is undefined and set to NaN: {why_undefined}.", UndefinedMetricWarning)
            return float("nan")
        weights = None if self.group_weights is None else self.group_weights[defined]
        return float(np.average(values[defined], weights=weights))


def rank_groups(y_true: ArrayLike, y_score: Any, groups: Any, sample_weight: ArrayLike | None) -> Rankings:
    """Check the input, leave out ratings of weight 0, and rank the others within their groups."""
    if isinstance(groups, (str, bytes)) or not hasattr(groups, "__len__"):
        raise ValueError(f"groups must have one id for each rating, for example X['user'], not {groups!r}.")
    column = split_column(groups, "groups")
    try:
        check_consistent_length(y_true, y_score, column)
    except ValueError as error:
        raise ValueError(f"y_true, y_score and groups need one value for each rating. {error}") from error
    if not len(column):
        raise ValueError("y_true, y_score and groups are empty: there is nothing to rank.")
    refuse_other_index(groups, y_true, "groups", "y_true")
    warn_of_other_order(y_true, "y_true", y_score=y_score, sample_weight=sample_weight)
    y_true = check_ratings(y_true, len(column), "y_true", of="groups")
    _check_scores(y_score)
    y_score = check_ratings(y_score, len(column), "y_score", of="groups").astype(np.float64, copy=False)
    weights = check_weights(sample_weight, len(column), of="y_true")
    _, codes = factorize(column)
    if weights is not None and not weights.all():
        kept = weights > 0
        y_true, y_score, codes, weights = y_true[kept], y_score[kept], codes[kept], weights[kept]

    order = _order_best_first(codes, y_score)
    codes, y_score = codes[order], y_score[order]
    is_first_of_group = np.append(True, codes[1:] != codes[:-1])
    is_first_of_tie = is_first_of_group | np.append(True, y_score[1:] != y_score[:-1])
    group_starts, tie_starts = np.flatnonzero(is_first_of_group), np.flatnonzero(is_first_of_tie)
    group_sizes = np.diff(group_starts, append=len(order))
    tie_groups = np.cumsum(is_first_of_group)[tie_starts] - 1
    return Rankings(
        y_true=y_true[order],
        group_starts=group_starts,
        group_sizes=group_sizes,
        group_weights=None if weights is None else np.add.reduceat(weights[order], group_starts) / group_sizes,
        tie_starts=tie_starts,
        tie_sizes=np.diff(tie_starts, append=len(order)),
        tie_groups=tie_groups,
        n_above=tie_starts - group_starts[tie_groups],
    )


def rank_and_count_relevant(
    y_true: ArrayLike,
    y_score: ArrayLike,
    groups: Any,
    relevant: float,
    k: int | None,
    sample_weight: ArrayLike | None,
) -> tuple[int, Rankings, np.ndarray]:
    """Return k as a number, the rankings, and how many ratings of each tie are relevant."""
    k, relevant = check_k(k), check_relevant(relevant)
    rankings = rank_groups(y_true, y_score, groups, sample_weight)
    with np.errstate(over="ignore"):  # a relevant beyond float32 is above every float32 rating
        is_relevant = rankings.y_true >= relevant  # in the type of y_true, so that float32(3.3) counts as 3.3
    return k, rankings, np.add.reduceat(is_relevant, rankings.tie_starts, dtype=np.int64)


def sort_within_groups(rankings: Rankings, values: np.ndarray) -> np.ndarray:
    """Sort the values of the ratings of each group, the highest first."""
    codes = np.repeat(np.arange(len(rankings.group_sizes), dtype=np.int32), rankings.group_sizes)
    return values[_order_best_first(codes, values)]


def _order_best_first(codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Find the order by codes, then by decreasing values; equal values keep their order."""
    order = np.argsort(-values, kind="stable")
    # NumPy sorts 16-bit integers by radix sort, several times faster than wider integers.
    for half in (codes & 0xFFFF, codes >> 16):
        if half.any():
            order = order[np.argsort(half.astype(np.uint16)[order], kind="stable")]
    return order


def enumerate_runs(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the elements of runs of these sizes. Return the run of each, from 0, and its place in the run, from 1."""
    run = np.repeat(np.arange(len(sizes)), sizes)
    return run, np.arange(1, len(run) + 1) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _check_scores(y_score: ArrayLike) -> None:
    """Raise a ValueError if scores are NaN or infinite, and say where they may come from."""
    try:
        scores = np.asarray(y_score)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y_score must be an array of numbers: {error}.") from error
    bad = np.flatnonzero(~np.isfinite(scores)) if scores.dtype.kind == "f" else np.empty(0, np.intp)
    if len(bad):
        raise ValueError(
            f"Input y_score contains NaN or infinity: {len(bad)} of {len(scores)} predictions, the first at row "
            f"{bad[0]}. With handle_unknown='nan' a model predicts NaN for unknown ids. Leave these rows out, or use "
            "handle_unknown='ignore'."
        )


def check_k(k: int | None) -> int:
    """Check k, and return how many ranks of each group count."""
    if k is None:
        return _K_OF_WHOLE_GROUPS
    if isinstance(k, bool) or not isinstance(k, Integral):
        raise TypeError(f"k must be an int, at least 1, or None to rank whole groups, not {k!r}.")
    return min(int(check_scalar(k, "k", Integral, min_val=1)), _K_OF_WHOLE_GROUPS)


def check_shift(shift: float) -> float:
    """Check the number that is added to ratings, and return it."""
    if isinstance(shift, bool) or not isinstance(shift, Real):
        raise TypeError(f"shift must be a number that is added to all ratings, not {shift!r}.")
    return _as_finite_float(shift, "shift", "a number to add to all ratings")


def check_gain(gain: str) -> str:
    """Check the name of the gain, and return it."""
    if gain not in ("linear", "exponential"):
        raise ValueError(f'gain={gain!r} must be "linear" or "exponential".')
    return gain


def check_relevant(relevant: float) -> float:
    """Check the lowest rating that counts as relevant, and return it."""
    if isinstance(relevant, bool) or not isinstance(relevant, Real):
        raise TypeError(f"relevant must be a number, the lowest rating that counts as relevant, not {relevant!r}.")
    return _as_finite_float(relevant, "relevant", "the lowest rating that counts as relevant")


def _as_finite_float(value: Real, name: str, what: str) -> float:
    """Convert a number to a float; raise a ValueError for NaN, infinity and numbers too large for a float."""
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise ValueError(f"{name} == {number}, must be finite: {what}.")
    return number
