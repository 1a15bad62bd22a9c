"""How well the ratings of each group, usually a user, are ordered; the mean over groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_mf.metrics._ranked import check_k, rank_groups, rank_relevant, runs, sort_within_groups

_NO_GROUP = (
    "no group has two ratings or more and one of them above 0 (a split that holds out one rating of each user gives "
    "groups of a single rating)"
)


def ndcg_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Normalized discounted cumulative gain of the first k of each group, mean over groups.

    With gains :math:`y_i`, the true rating at rank i, best score first,

    .. math::

        \mathrm{DCG@k} = \sum_{i=1}^{k} \frac{y_i}{\log_2(i + 1)}, \qquad
        \mathrm{NDCG@k} = \frac{\mathrm{DCG@k}}{\text{DCG@k of the best order}} .

    For one group it is :func:`sklearn.metrics.ndcg_score`. For exponential gains give ``2 ** y_true - 1``. Groups of a
    single rating, and those without a rating above 0, are left out of the mean. Tied scores share the mean of their
    gains, which is the mean over their orders.

    Parameters
    ----------
    y_true : array-like of shape (n_ratings,)
        True ratings, at least 0: the gains.

    y_score : array-like of shape (n_ratings,)
        Predicted ratings, or any scores to rank by: higher is better.

    groups : array-like of shape (n_ratings,)
        Ids of the users, or of whatever the ratings are ranked within: ints, text, categoricals and so on.

    k : int or None, default=10
        How many of the best scores of a group count, at least 1; None ranks whole groups.

    sample_weight : array-like of shape (n_ratings,), default=None
        Weights, at least 0. A rating of weight 0 is left out; a group counts with the mean weight of its others.

    Returns
    -------
    ndcg : float
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group is left.

    Raises
    ------
    ValueError
        If lengths differ, an input is empty, has NaN or infinity or a negative rating, or if ``k`` is out of range.
    TypeError
        If ``k`` is no number of the kind said above.

    See Also
    --------
    make_ranking_scorer : For ``scoring`` of a search, where ``make_scorer`` of scikit-learn gives no groups.

    References
    ----------
    Järvelin and Kekäläinen (2002). "Cumulated gain-based evaluation of IR techniques." ACM TOIS 20(4).

    McSherry and Najork (2008). "Computing information retrieval performance measures efficiently in the presence of
    tied scores." ECIR. The mean over the orders of ties.

    Examples
    --------
    >>> from sklearn_mf.metrics import ndcg_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> round(ndcg_at_k(y_true, y_score, groups=users, k=2), 3)
    0.946
    """
    k = check_k(k)
    ranked = rank_groups(y_true, y_score, groups, sample_weight)
    gains = ranked.y_true.astype(np.float64)
    _check_gains(gains)
    best = sort_within_groups(ranked, gains)
    # discounts[t]: sum of 1 / log2(i + 1) over the ranks i = 1, ..., min(t, k)
    discounts = np.append(0.0, np.cumsum(1 / np.log2(np.arange(2, min(k, ranked.sizes.max()) + 2))))
    first = np.minimum(ranked.above, k)
    tie_discounts = discounts[first + ranked.within(k)] - discounts[first]
    dcg = ranked.group_sums(np.add.reduceat(gains, ranked.tie_starts) / ranked.tie_sizes * tie_discounts)

    group, rank = runs(np.minimum(ranked.sizes, k))
    best_dcg = np.bincount(group, best[ranked.starts[group] + rank - 1] * np.diff(discounts)[rank - 1])
    defined = (best_dcg > 0) & (ranked.sizes > 1)
    # With ties rounding may put the quotient of equal sums above 1.
    ndcg = np.minimum(dcg / np.where(defined, best_dcg, 1), 1)
    return ranked.mean(ndcg, defined, "ndcg_at_k", _NO_GROUP)


def auc_by_group(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    relevant: float,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Area under the ROC curve of each group, mean over groups.

    Of all pairs of a relevant and another rating of the group, the share where the relevant one has the higher score; a
    tie counts one half, the mean over its orders. For one group it is :func:`sklearn.metrics.roc_auc_score`. Groups
    where all ratings are relevant, or none is, are left out of the mean.

    Parameters
    ----------
    y_true : array-like of shape (n_ratings,)
        True ratings.

    y_score : array-like of shape (n_ratings,)
        Predicted ratings, or any scores to rank by: higher is better.

    groups : array-like of shape (n_ratings,)
        Ids of the users, or of whatever the ratings are ranked within: ints, text, categoricals and so on.

    relevant : float
        The lowest rating that counts as relevant.

    sample_weight : array-like of shape (n_ratings,), default=None
        Weights, at least 0. A rating of weight 0 is left out; a group counts with the mean weight of its others.

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
        If ``relevant`` is no number of the kind said above.

    See Also
    --------
    make_ranking_scorer : For ``scoring`` of a search, where ``make_scorer`` of scikit-learn gives no groups.

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
    _, ranked, r = rank_relevant(y_true, y_score, groups, relevant, None, sample_weight)
    n_relevant = ranked.group_sums(r)
    n_other = ranked.sizes - n_relevant
    other = ranked.tie_sizes - r
    other_below = n_other[ranked.tie_groups] - ranked.sums_above(other) - other
    ordered = ranked.group_sums(r * (other_below + other / 2))
    n_pairs = n_relevant * n_other
    why = f"every group has only ratings of {relevant} and above, or only ratings below"
    return ranked.mean(ordered / np.maximum(n_pairs, 1), n_pairs > 0, "auc_by_group", why)


def _check_gains(gains: np.ndarray) -> None:
    if gains.min() < 0:
        raise ValueError(
            f"ndcg_at_k should not be used on negative y_true values, and the lowest is {gains.min()}: as gains they "
            "have no meaning. Shift them first, for example with `y_true - y_true.min()`."
        )
