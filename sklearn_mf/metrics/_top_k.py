"""What is relevant among the first k ratings of each group, usually a user; the mean over groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from sklearn_mf.metrics._ranked import RankedGroups, rank_relevant, runs


def precision_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    relevant: float,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Share of relevant ratings among the first k of each group, mean over groups.

    .. math::

        \mathrm{precision@k} = \frac{\text{relevant ratings at ranks } 1, \ldots, k}{\min(k, \text{size of the group})}

    It is defined for all groups. Tied scores count as the mean over their orders: of n tied ratings, r of them
    relevant, each rank counts r / n.

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

    k : int or None, default=10
        How many of the best scores of a group count, at least 1; None ranks whole groups.

    sample_weight : array-like of shape (n_ratings,), default=None
        Weights, at least 0. A rating of weight 0 is left out; a group counts with the mean weight of its others.

    Returns
    -------
    precision : float
        Between 0 and 1, the higher the better.

    Raises
    ------
    ValueError
        If lengths differ, an input is empty, has NaN or infinity, or if ``k`` or ``relevant`` is out of range.
    TypeError
        If ``k`` or ``relevant`` is no number of the kind said above.

    See Also
    --------
    make_ranking_scorer : For ``scoring`` of a search, where ``make_scorer`` of scikit-learn gives no groups.

    References
    ----------
    McSherry and Najork (2008). "Computing information retrieval performance measures efficiently in the presence of
    tied scores." ECIR. The mean over the orders of ties.

    Examples
    --------
    >>> from sklearn_mf.metrics import precision_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> precision_at_k(y_true, y_score, groups=users, relevant=4, k=2)
    0.5
    """
    k, ranked, r = rank_relevant(y_true, y_score, groups, relevant, k, sample_weight)
    found = ranked.group_sums(r * ranked.within(k) / ranked.tie_sizes)
    everywhere = np.ones(len(found), dtype=bool)
    return ranked.mean(found / np.minimum(k, ranked.sizes), everywhere, "precision_at_k", "there is no group")


def recall_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    relevant: float,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Share of the relevant ratings of each group that are among its first k, mean over groups.

    .. math::

        \mathrm{recall@k} = \frac{\text{relevant ratings at ranks } 1, \ldots, k}{\text{relevant ratings of the group}}

    Groups without a relevant rating are left out of the mean. Tied scores count as the mean over their orders:
    of n tied ratings, r of them relevant, each rank counts r / n.

    With k at or above the size of a group its recall is 1, whatever the model.

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

    k : int or None, default=10
        How many of the best scores of a group count, at least 1; None ranks whole groups.

    sample_weight : array-like of shape (n_ratings,), default=None
        Weights, at least 0. A rating of weight 0 is left out; a group counts with the mean weight of its others.

    Returns
    -------
    recall : float
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group has a relevant
        rating.

    Raises
    ------
    ValueError
        If lengths differ, an input is empty, has NaN or infinity, or if ``k`` or ``relevant`` is out of range.
    TypeError
        If ``k`` or ``relevant`` is no number of the kind said above.

    See Also
    --------
    make_ranking_scorer : For ``scoring`` of a search, where ``make_scorer`` of scikit-learn gives no groups.

    References
    ----------
    McSherry and Najork (2008). "Computing information retrieval performance measures efficiently in the presence of
    tied scores." ECIR. The mean over the orders of ties.

    Examples
    --------
    >>> from sklearn_mf.metrics import recall_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> recall_at_k(y_true, y_score, groups=users, relevant=4, k=2)
    1.0
    """
    k, ranked, r = rank_relevant(y_true, y_score, groups, relevant, k, sample_weight)
    found = ranked.group_sums(r * ranked.within(k) / ranked.tie_sizes)
    total = ranked.group_sums(r)
    return ranked.mean(found / np.maximum(total, 1), total > 0, "recall_at_k", _none_relevant(relevant))


def hit_rate_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    relevant: float,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Share of the groups with a relevant rating among their first k.

    Groups without any relevant rating are left out of the mean. With tied scores a group counts with the share of the
    orders of the ties that have a relevant rating among the first k.

    With k at or above the size of a group with a relevant rating it counts 1, whatever the model.

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

    k : int or None, default=10
        How many of the best scores of a group count, at least 1; None ranks whole groups.

    sample_weight : array-like of shape (n_ratings,), default=None
        Weights, at least 0. A rating of weight 0 is left out; a group counts with the mean weight of its others.

    Returns
    -------
    hit_rate : float
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group has a relevant
        rating.

    Raises
    ------
    ValueError
        If lengths differ, an input is empty, has NaN or infinity, or if ``k`` or ``relevant`` is out of range.
    TypeError
        If ``k`` or ``relevant`` is no number of the kind said above.

    See Also
    --------
    make_ranking_scorer : For ``scoring`` of a search, where ``make_scorer`` of scikit-learn gives no groups.

    References
    ----------
    McSherry and Najork (2008). "Computing information retrieval performance measures efficiently in the presence of
    tied scores." ECIR. The mean over the orders of ties.

    Examples
    --------
    >>> from sklearn_mf.metrics import hit_rate_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> hit_rate_at_k(y_true, y_score, groups=users, relevant=4, k=1)
    0.5
    """
    k, ranked, r = rank_relevant(y_true, y_score, groups, relevant, k, sample_weight)
    ties = _first_relevant_ties(ranked, r)
    defined = ranked.group_sums(r) > 0
    n, r, m = ranked.tie_sizes[ties], r[ties], ranked.within(k)[ties]
    # P(none of r relevant ones among the first m of n) = C(n - r, m) / C(n, m), 0 if m > n - r
    log_miss = _log_binomial(n - r, np.minimum(m, n - r)) - _log_binomial(n, m)
    hit = ranked.group_sums(np.where(m > n - r, 1.0, -np.expm1(log_miss)), ties)
    return ranked.mean(hit, defined, "hit_rate_at_k", _none_relevant(relevant))


def mrr_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    relevant: float,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Mean over groups of 1 / rank of the first relevant rating, 0 if it is not among the first k.

    .. math::

        \mathrm{RR@k} = \frac{1}{i} \text{ with i the rank of the first relevant rating, if } i \le k, \text{ else } 0

    Groups without a relevant rating are left out of the mean. Tied scores count as the mean over their orders.

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

    k : int or None, default=10
        How many of the best scores of a group count, at least 1; None ranks whole groups.

    sample_weight : array-like of shape (n_ratings,), default=None
        Weights, at least 0. A rating of weight 0 is left out; a group counts with the mean weight of its others.

    Returns
    -------
    mrr : float
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group has a relevant
        rating.

    Raises
    ------
    ValueError
        If lengths differ, an input is empty, has NaN or infinity, or if ``k`` or ``relevant`` is out of range.
    TypeError
        If ``k`` or ``relevant`` is no number of the kind said above.

    See Also
    --------
    make_ranking_scorer : For ``scoring`` of a search, where ``make_scorer`` of scikit-learn gives no groups.

    References
    ----------
    Voorhees (1999). "The TREC-8 question answering track report." TREC.

    McSherry and Najork (2008). "Computing information retrieval performance measures efficiently in the presence of
    tied scores." ECIR. The mean over the orders of ties.

    Examples
    --------
    >>> from sklearn_mf.metrics import mrr_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> mrr_at_k(y_true, y_score, groups=users, relevant=4)
    0.75
    """
    k, ranked, r = rank_relevant(y_true, y_score, groups, relevant, k, sample_weight)
    ties = _first_relevant_ties(ranked, r)
    defined = ranked.group_sums(r) > 0
    # P(the first relevant one of a tie is its j-th) = C(n - j, r - 1) / C(n, r); its rank is a + j.
    run, j = runs(np.minimum(ranked.within(k), ranked.tie_sizes - r + 1)[ties])
    n, r, a = (of_tie[ties][run] for of_tie in (ranked.tie_sizes, r, ranked.above))
    probability = np.exp(_log_binomial(n - j, r - 1) - _log_binomial(n, r))
    reciprocal_rank = ranked.group_sums(probability / (a + j), ties[run])
    return ranked.mean(reciprocal_rank, defined, "mrr_at_k", _none_relevant(relevant))


def map_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    relevant: float,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Mean over groups of the average precision of their first k.

    .. math::

        \mathrm{AP@k} = \frac{1}{\min(k, \text{relevant ratings of the group})}
        \sum_{\substack{i \le k \\ i \text{ relevant}}} \frac{\text{relevant ratings at ranks } 1, \ldots, i}{i}

    For one group without ties, with ``k=None``, it is :func:`sklearn.metrics.average_precision_score`. Groups without a
    relevant rating are left out of the mean. Tied scores count as the mean over their orders.

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

    k : int or None, default=10
        How many of the best scores of a group count, at least 1; None ranks whole groups.

    sample_weight : array-like of shape (n_ratings,), default=None
        Weights, at least 0. A rating of weight 0 is left out; a group counts with the mean weight of its others.

    Returns
    -------
    map : float
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group has a relevant
        rating.

    Raises
    ------
    ValueError
        If lengths differ, an input is empty, has NaN or infinity, or if ``k`` or ``relevant`` is out of range.
    TypeError
        If ``k`` or ``relevant`` is no number of the kind said above.

    See Also
    --------
    make_ranking_scorer : For ``scoring`` of a search, where ``make_scorer`` of scikit-learn gives no groups.

    References
    ----------
    McSherry and Najork (2008). "Computing information retrieval performance measures efficiently in the presence of
    tied scores." ECIR. The mean over the orders of ties.

    Examples
    --------
    >>> from sklearn_mf.metrics import map_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> map_at_k(y_true, y_score, groups=users, relevant=4, k=2)
    0.75
    """
    k, ranked, r = rank_relevant(y_true, y_score, groups, relevant, k, sample_weight)
    total, before = ranked.group_sums(r), ranked.sums_above(r)
    # The j-th rating of a tie of n is relevant with probability r / n; if it is, (j - 1) (r - 1) / (n - 1) of those
    # between it and the start of the tie are expected to be, too. Its rank is a + j.
    ties = np.flatnonzero((r > 0) & (ranked.above < k))
    run, j = runs(ranked.within(k)[ties])
    n, r, before, a = (of_tie[ties][run] for of_tie in (ranked.tie_sizes, r, before, ranked.above))
    precision = (before + 1 + (j - 1) * (r - 1) / np.maximum(n - 1, 1)) / (a + j)
    found = ranked.group_sums(r / n * precision, ties[run])
    return ranked.mean(found / np.clip(total, 1, k), total > 0, "map_at_k", _none_relevant(relevant))


def _first_relevant_ties(ranked: RankedGroups, r: np.ndarray) -> np.ndarray:
    """Of each group with a relevant rating, the first tie with one: the first relevant rating is always in it."""
    return np.flatnonzero((r > 0) & (ranked.sums_above(r) == 0))


def _log_binomial(n: np.ndarray, r: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1)


def _none_relevant(relevant: float) -> str:
    return f"no group has a relevant rating, one of {relevant} or above"
