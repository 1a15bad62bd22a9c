"""Compute NDCG and AUC within groups (usually users), averaged over groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_mf.metrics._docs import fill_shared_texts
from sklearn_mf.metrics._hints import metric_of_groups
from sklearn_mf.metrics._rankings import (
    check_gain,
    check_k,
    check_shift,
    enumerate_runs,
    rank_and_count_relevant,
    rank_groups,
    sort_within_groups,
)

_WHY_NDCG_IS_UNDEFINED = (
    "no group has two or more ratings with one of them above 0 (a split that holds out one rating per user makes "
    "groups of a single rating)"
)

_LARGEST_GAIN = 1e300  # sums of larger gains could be infinite


@metric_of_groups
@fill_shared_texts
def ndcg_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    k: int | None = 10,
    shift: float = 0.0,
    gain: str = "linear",
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Compute the normalized discounted cumulative gain of the first k of each group, averaged over groups.

    The gain :math:`g_i` is the true rating at rank i, plus ``shift``. Rank 1 has the best score.

    .. math::

        \mathrm{DCG@k} &= \sum_{i=1}^{k} \frac{g_i}{\log_2(i + 1)} \\[0.5em]
        \mathrm{NDCG@k} &= \frac{\mathrm{DCG@k}}{\text{DCG@k of the best order}} .

    For one group, and with the ratings as gains, this is :func:`sklearn.metrics.ndcg_score`. Groups of a single rating,
    and groups without a gain above 0, are left out of the mean. Tied scores share the mean of their gains, which is the
    mean over all orders of the ties.

    Parameters
    ----------
    y_true : array-like of shape (n_ratings,)
        True ratings. With ``shift`` added, they must be at least 0.

    {y_score}
    {groups}
    {k}
    shift : float, default=0.0
        Number that is added to all ratings. For a scale with negative ratings, give minus its lowest value, such as 10
        for ratings from -10 to 10. A rating of the lowest value then has no gain. ``shift`` is not computed from
        ``y_true``, so that all folds of a search are scored in the same way.

    gain : {"linear", "exponential"}, default="linear"
        Gain of a rating y: ``y + shift`` for "linear", ``2 ** (y + shift) - 1`` for "exponential". With "exponential",
        high ratings count more.

    {sample_weight}

    Returns
    -------
    ndcg : float
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group is left.

    Raises
    ------
    ValueError
        If lengths differ; if an input is empty, or has NaN or infinity; if a rating plus ``shift`` is negative or has
        an infinite gain; if ``k``, ``shift`` or ``gain`` is out of range; if ``groups`` and
        ``y_true`` have pandas indexes that differ.
    TypeError
        If ``k`` or ``shift`` is not a number of the type described above.

    {see_also_scorer}

    References
    ----------
    Burges et al. (2005). "Learning to rank using gradient descent." ICML. (Exponential gains.)

    Järvelin and Kekäläinen (2002). "Cumulated gain-based evaluation of IR techniques." ACM TOIS 20(4).

    {reference_for_ties}

    Examples
    --------
    >>> from sklearn_mf.metrics import ndcg_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> round(ndcg_at_k(y_true, y_score, groups=users, k=2), 3)
    0.946
    >>> y_true = [2, 0, -2, -1, 1]
    >>> round(ndcg_at_k(y_true, y_score, groups=users, k=2, shift=2), 3)
    0.93
    """
    k, shift, gain = check_k(k), check_shift(shift), check_gain(gain)
    rankings = rank_groups(y_true, y_score, groups, sample_weight)
    gains = _compute_gains(rankings.y_true.astype(np.float64), shift, gain)
    discounts = 1 / np.log2(np.arange(2, min(k, rankings.group_sizes.max()) + 2))
    discount_sums = np.append(0.0, np.cumsum(discounts))  # of the first 0, 1, ... ranks
    discounts = np.diff(discount_sums)  # rounded like the gains of ties, so that the best order gives exactly 1
    n_above = np.minimum(rankings.n_above, k)
    tie_discounts = discount_sums[n_above + rankings.count_top_ranks(k)] - discount_sums[n_above]
    mean_gains = np.add.reduceat(gains, rankings.tie_starts) / rankings.tie_sizes
    dcg = rankings.sum_by_group(mean_gains * tie_discounts)

    group, rank = enumerate_runs(np.minimum(rankings.group_sizes, k))
    best_gains = sort_within_groups(rankings, gains)[rankings.group_starts[group] + rank - 1]
    best_dcg = np.bincount(group, best_gains * discounts[rank - 1])
    defined = (best_dcg > 0) & (rankings.group_sizes > 1)
    # With ties, rounding may make the quotient of equal sums larger than 1.
    ndcg = np.minimum(dcg / np.where(defined, best_dcg, 1), 1)
    return rankings.average(ndcg, defined, "ndcg_at_k", _WHY_NDCG_IS_UNDEFINED)


@metric_of_groups
@fill_shared_texts
def auc_by_group(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    relevant: float,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Compute the area under the ROC curve of each group, averaged over groups.

    Take all pairs of a relevant and a not relevant rating of a group. The area is the share of these pairs in which the
    relevant rating has the higher score. A tie counts one half. For one group this is
    :func:`sklearn.metrics.roc_auc_score`. Groups in which all ratings or none are relevant are left out of the mean.

    Parameters
    ----------
    {y_true}
    {y_score}
    {groups}
    {relevant}
    {sample_weight}

    Returns
    -------
    auc : float
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group has both relevant
        and other ratings.

    Raises
    ------
    ValueError
        If lengths differ; if an input is empty, or has NaN or infinity; if ``relevant`` is out of range; if
        ``groups`` and ``y_true`` have pandas indexes that differ.
    TypeError
        If ``relevant`` is not a number of the type described above.

    {see_also_scorer}

    References
    ----------
    Fawcett (2006). "An introduction to ROC analysis." Pattern Recognition Letters 27(8).

    Examples
    --------
    >>> from sklearn_mf.metrics import auc_by_group
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> auc_by_group(y_true, y_score, groups=users, relevant=4)
    0.75
    """
    _, rankings, tie_relevant = rank_and_count_relevant(y_true, y_score, groups, relevant, None, sample_weight)
    n_relevant = rankings.sum_by_group(tie_relevant)
    n_other = rankings.group_sizes - n_relevant
    tie_other = rankings.tie_sizes - tie_relevant
    other_below = n_other[rankings.tie_groups] - rankings.sum_above(tie_other) - tie_other
    n_ordered_pairs = rankings.sum_by_group(tie_relevant * (other_below + tie_other / 2))
    n_pairs = n_relevant * n_other
    why = f"each group has only ratings of at least {relevant}, or only lower ratings"
    return rankings.average(n_ordered_pairs / np.maximum(n_pairs, 1), n_pairs > 0, "auc_by_group", why)


def _compute_gains(ratings: np.ndarray, shift: float, gain: str) -> np.ndarray:
    """Compute the gains of ratings; raise a ValueError if one is negative or too large."""
    lowest = float(ratings.min())
    if lowest + shift < 0:
        raise ValueError(
            f"ndcg_at_k takes no negative gains, but the lowest rating in y_true is {lowest} (shift={shift}). Pass "
            f"minus the lowest rating of the scale as shift, at least shift={-lowest}. For a scorer, use "
            "make_ranking_scorer(ndcg_at_k, shift=...)."
        )
    shifted = ratings + shift
    with np.errstate(over="ignore"):
        gains = np.expm1(shifted * np.log(2)) if gain == "exponential" else shifted
    if not np.isfinite(gains).all() or gains.max() > _LARGEST_GAIN:
        raise ValueError(
            f'The highest rating in y_true is {ratings.max()}. Its gain is too large (shift={shift}, gain="{gain}"). '
            'Use a lower shift, gain="linear", or ratings on a smaller scale.'
        )
    return gains
