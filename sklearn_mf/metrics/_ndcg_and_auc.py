"""Measure how well the ratings of each group (usually a user) are ordered, and average over groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_mf.metrics._docs import fill_shared_texts
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
    "no group has two ratings or more and one of them above 0 (a split that holds out one rating of each user gives "
    "groups of a single rating)"
)

_LARGEST_GAIN = 1e300  # sums of larger ones could be infinite


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

    The gain :math:`g_i` is the true rating at rank i, best score first, plus ``shift``:

    .. math::

        \mathrm{DCG@k} = \sum_{i=1}^{k} \frac{g_i}{\log_2(i + 1)}, \qquad
        \mathrm{NDCG@k} = \frac{\mathrm{DCG@k}}{\text{DCG@k of the best order}} .

    For one group and gains that are the ratings, this is :func:`sklearn.metrics.ndcg_score`. Groups of a single rating,
    and those without a gain above 0, are left out of the mean. Tied scores share the mean of their gains, which is the
    mean over their orders.

    Parameters
    ----------
    y_true : array-like of shape (n_ratings,)
        True ratings. With ``shift`` added, they must be at least 0.

    {y_score}
    {groups}
    {k}
    shift : float, default=0.0
        Number to add to all ratings. For a scale with negative ratings give minus its lowest one, such as 10 for
        ratings from -10 to 10: a rating at the lower end then has no gain. It is a number, and not found from
        ``y_true``, so that the folds of a search are scored alike.

    gain : {"linear", "exponential"}, default="linear"
        How a rating y is turned into a gain: "linear" is ``y + shift``, "exponential" is ``2 ** (y + shift) - 1``,
        which has high ratings count for more.

    {sample_weight}

    Returns
    -------
    ndcg : float
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group is left.

    Raises
    ------
    ValueError
        If lengths differ, an input is empty, has NaN or infinity, a rating is negative with ``shift`` added or has an
        infinite gain, or if ``k``, ``shift`` or ``gain`` is out of range.
    TypeError
        If ``k`` or ``shift`` is not a number of the kind described above.

    {see_also_scorer}

    References
    ----------
    Burges et al. (2005). "Learning to rank using gradient descent." ICML. Exponential gains.

    Järvelin and Kekäläinen (2002). "Cumulated gain-based evaluation of IR techniques." ACM TOIS 20(4).

    {reference_for_ties}

    Examples
    --------
    >>> from sklearn_mf.metrics import ndcg_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> round(ndcg_at_k(y_true, y_score, groups=users, k=2), 3)
    0.946
    >>> round(ndcg_at_k([2, 0, -2, -1, 1], y_score, groups=users, k=2, shift=2), 3)
    0.93
    """
    k, shift, gain = check_k(k), check_shift(shift), check_gain(gain)
    rankings = rank_groups(y_true, y_score, groups, sample_weight)
    gains = _compute_gains(rankings.y_true.astype(np.float64), shift, gain)
    discounts = 1 / np.log2(np.arange(2, min(k, rankings.group_sizes.max()) + 2))
    discount_sums = np.append(0.0, np.cumsum(discounts))  # of the first 0, 1, ... ranks
    discounts = np.diff(discount_sums)  # rounded as in the gains of ties, so that the best order gives 1
    n_above = np.minimum(rankings.n_above, k)
    tie_discounts = discount_sums[n_above + rankings.count_top_ranks(k)] - discount_sums[n_above]
    mean_gains = np.add.reduceat(gains, rankings.tie_starts) / rankings.tie_sizes
    dcg = rankings.sum_by_group(mean_gains * tie_discounts)

    group, rank = enumerate_runs(np.minimum(rankings.group_sizes, k))
    best_gains = sort_within_groups(rankings, gains)[rankings.group_starts[group] + rank - 1]
    best_dcg = np.bincount(group, best_gains * discounts[rank - 1])
    defined = (best_dcg > 0) & (rankings.group_sizes > 1)
    # With ties rounding may put the quotient of equal sums above 1.
    ndcg = np.minimum(dcg / np.where(defined, best_dcg, 1), 1)
    return rankings.average(ndcg, defined, "ndcg_at_k", _WHY_NDCG_IS_UNDEFINED)


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

    The area is the share of the pairs of a relevant and another rating of the group in which the relevant one has the
    higher score; a tie counts one half, the mean over its orders. For one group this is
    :func:`sklearn.metrics.roc_auc_score`. Groups where all ratings are relevant, or none is, are left out of the mean.

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
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group has both
        kinds of ratings.

    Raises
    ------
    ValueError
        If lengths differ, an input is empty, has NaN or infinity, or if ``relevant`` is out of range.
    TypeError
        If ``relevant`` is not a number of the kind described above.

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
    why = f"every group has only ratings of {relevant} and above, or only ratings below"
    return rankings.average(n_ordered_pairs / np.maximum(n_pairs, 1), n_pairs > 0, "auc_by_group", why)


def _compute_gains(ratings: np.ndarray, shift: float, gain: str) -> np.ndarray:
    """Turn ratings into gains, none of them negative or infinite."""
    lowest = float(ratings.min())
    if lowest + shift < 0:
        raise ValueError(
            f"ndcg_at_k takes no negative gains, and the lowest rating in y_true is {lowest} (shift={shift}). Give "
            f"minus the lowest rating of the scale as shift, at least shift={-lowest}, also to a scorer: "
            "make_ranking_scorer(ndcg_at_k, shift=...)."
        )
    shifted = ratings + shift
    with np.errstate(over="ignore"):
        gains = np.expm1(shifted * np.log(2)) if gain == "exponential" else shifted
    if not np.isfinite(gains).all() or gains.max() > _LARGEST_GAIN:
        raise ValueError(
            f'The highest rating in y_true is {ratings.max()}, and its gain too large (shift={shift}, gain="{gain}"). '
            'Give a lower shift or gain="linear", or ratings on a smaller scale.'
        )
    return gains
