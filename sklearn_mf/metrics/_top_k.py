"""Compute metrics of the relevant ratings among the first k of each group (usually a user), averaged over groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from sklearn_mf.metrics._docs import fill_shared_texts
from sklearn_mf.metrics._hints import metric_of_groups
from sklearn_mf.metrics._rankings import Rankings, enumerate_runs, rank_and_count_relevant


@metric_of_groups
@fill_shared_texts
def precision_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    relevant: float,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Compute the share of relevant ratings among the first k of each group, averaged over groups.

    .. math::

        \mathrm{precision@k} = \frac{r_k}{\min(k, n)}

    Here n is the number of ratings of the group, and :math:`r_k` the number of relevant ones at ranks 1 to k.

    The metric is defined for all groups. With tied scores, the result is the mean over all orders of the ties. So if r
    of n tied ratings are relevant, each of their ranks counts r / n.

    Parameters
    ----------
    {all_parameters}

    Returns
    -------
    precision : float
        Between 0 and 1, the higher the better.

    {raises_for_relevant_and_k}
    {see_also_scorer}

    References
    ----------
    {reference_for_ties}

    Examples
    --------
    >>> from sklearn_mf.metrics import precision_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> precision_at_k(y_true, y_score, groups=users, relevant=4, k=2)
    0.5
    """
    k, rankings, tie_relevant = rank_and_count_relevant(y_true, y_score, groups, relevant, k, sample_weight)
    found = _count_relevant_in_top(rankings, tie_relevant, k)
    defined = np.ones(len(found), dtype=bool)
    return rankings.average(found / np.minimum(k, rankings.group_sizes), defined, "precision_at_k", "there is no group")


@metric_of_groups
@fill_shared_texts
def recall_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    relevant: float,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Compute the share of the relevant ratings that are among the first k of their group, averaged over groups.

    .. math::

        \mathrm{recall@k} = \frac{r_k}{r}

    Here r is the number of relevant ratings of the group, and :math:`r_k` the number of those at ranks 1 to k.

    Groups without a relevant rating are left out of the mean. With tied scores, the result is the mean over all orders
    of the ties. So if r of n tied ratings are relevant, each of their ranks counts r / n.

    If k is at least the size of the group, its recall is 1 for every model.

    Parameters
    ----------
    {all_parameters}

    Returns
    -------
    recall : float
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group has a relevant
        rating.

    {raises_for_relevant_and_k}
    {see_also_scorer}

    References
    ----------
    {reference_for_ties}

    Examples
    --------
    >>> from sklearn_mf.metrics import recall_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> recall_at_k(y_true, y_score, groups=users, relevant=4, k=2)
    1.0
    """
    k, rankings, tie_relevant = rank_and_count_relevant(y_true, y_score, groups, relevant, k, sample_weight)
    found = _count_relevant_in_top(rankings, tie_relevant, k)
    n_relevant = rankings.sum_by_group(tie_relevant)
    recall = found / np.maximum(n_relevant, 1)
    return rankings.average(recall, n_relevant > 0, "recall_at_k", _explain_none_relevant(rankings, relevant))


@metric_of_groups
@fill_shared_texts
def hit_rate_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    relevant: float,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Compute the share of groups that have a relevant rating among their first k.

    Groups without any relevant rating are left out of the mean. With tied scores, a group counts as the share of
    all orders of the ties in which a relevant rating is among the first k.

    If k is at least the size of a group with a relevant rating, the group counts 1 for every model.

    Parameters
    ----------
    {all_parameters}

    Returns
    -------
    hit_rate : float
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group has a relevant
        rating.

    {raises_for_relevant_and_k}
    {see_also_scorer}

    References
    ----------
    {reference_for_ties}

    Examples
    --------
    >>> from sklearn_mf.metrics import hit_rate_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> hit_rate_at_k(y_true, y_score, groups=users, relevant=4, k=1)
    0.5
    """
    k, rankings, tie_relevant = rank_and_count_relevant(y_true, y_score, groups, relevant, k, sample_weight)
    ties = _find_first_relevant_ties(rankings, tie_relevant)
    size, n_top = rankings.tie_sizes[ties], rankings.count_top_ranks(k)[ties]
    n_other = size - tie_relevant[ties]
    # P(no relevant rating among the first n_top of a tie) = C(n_other, n_top) / C(size, n_top), 0 if n_top > n_other
    log_miss = _log_binomial(n_other, np.minimum(n_top, n_other)) - _log_binomial(size, n_top)
    hit = rankings.sum_by_group(np.where(n_top > n_other, 1.0, -np.expm1(log_miss)), ties)
    defined = rankings.sum_by_group(tie_relevant) > 0
    return rankings.average(hit, defined, "hit_rate_at_k", _explain_none_relevant(rankings, relevant))


@metric_of_groups
@fill_shared_texts
def mrr_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    relevant: float,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Compute the mean reciprocal rank: 1 / rank of the first relevant rating of each group, averaged over groups.

    .. math::

        \mathrm{RR@k} = \begin{cases} 1 / i & \text{if } i \le k \\ 0 & \text{if } i > k \end{cases}

    Here i is the rank of the first relevant rating.

    Groups without a relevant rating are left out of the mean. With tied scores, the result is the mean over all orders
    of the ties.

    Parameters
    ----------
    {all_parameters}

    Returns
    -------
    mrr : float
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group has a relevant
        rating.

    {raises_for_relevant_and_k}
    {see_also_scorer}

    References
    ----------
    Voorhees (1999). "The TREC-8 question answering track report." TREC.

    {reference_for_ties}

    Examples
    --------
    >>> from sklearn_mf.metrics import mrr_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> mrr_at_k(y_true, y_score, groups=users, relevant=4)
    0.75
    """
    k, rankings, tie_relevant = rank_and_count_relevant(y_true, y_score, groups, relevant, k, sample_weight)
    ties = _find_first_relevant_ties(rankings, tie_relevant)
    n_places = np.minimum(rankings.count_top_ranks(k), rankings.tie_sizes - tie_relevant + 1)
    run, place = enumerate_runs(n_places[ties])
    tie = ties[run]
    size, n_relevant = rankings.tie_sizes[tie], tie_relevant[tie]
    # P(first relevant rating of a tie at this place of it) = C(size - place, n_relevant - 1) / C(size, n_relevant)
    probability = np.exp(_log_binomial(size - place, n_relevant - 1) - _log_binomial(size, n_relevant))
    reciprocal_rank = rankings.sum_by_group(probability / (rankings.n_above[tie] + place), tie)
    defined = rankings.sum_by_group(tie_relevant) > 0
    return rankings.average(reciprocal_rank, defined, "mrr_at_k", _explain_none_relevant(rankings, relevant))


@metric_of_groups
@fill_shared_texts
def map_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: Any,
    relevant: float,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Compute the mean average precision of the first k: average precision of each group, averaged over groups.

    .. math::

        \mathrm{AP@k} = \frac{1}{\min(k, n)} \sum_{\substack{i \le k \\ i \text{ relevant}}} \frac{n_i}{i}

    Here n is the number of relevant ratings of the group, and :math:`n_i` the number of those at ranks 1 to i.

    For one group without ties and ``k=None``, this is :func:`sklearn.metrics.average_precision_score`. Groups without a
    relevant rating are left out of the mean. With tied scores, the result is the mean over all orders of the ties.

    Parameters
    ----------
    {all_parameters}

    Returns
    -------
    map : float
        Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no group has a relevant
        rating.

    {raises_for_relevant_and_k}
    {see_also_scorer}

    References
    ----------
    {reference_for_ties}

    Examples
    --------
    >>> from sklearn_mf.metrics import map_at_k
    >>> users = ["ann", "ann", "ann", "bob", "bob"]
    >>> y_true, y_score = [5, 3, 1, 2, 4], [4.1, 4.5, 2.0, 2.2, 3.9]
    >>> map_at_k(y_true, y_score, groups=users, relevant=4, k=2)
    0.75
    """
    k, rankings, tie_relevant = rank_and_count_relevant(y_true, y_score, groups, relevant, k, sample_weight)
    ties = np.flatnonzero((tie_relevant > 0) & (rankings.n_above < k))
    run, place = enumerate_runs(rankings.count_top_ranks(k)[ties])
    tie = ties[run]
    size, n_relevant = rankings.tie_sizes[tie], tie_relevant[tie]
    # A rating of a tie is relevant with probability n_relevant / size. If it is, the ratings before it in the tie are
    # relevant with probability (n_relevant - 1) / (size - 1).
    relevant_above = rankings.sum_above(tie_relevant)[tie]
    relevant_before_in_tie = (place - 1) * (n_relevant - 1) / np.maximum(size - 1, 1)
    precision = (relevant_above + 1 + relevant_before_in_tie) / (rankings.n_above[tie] + place)
    sum_of_precisions = rankings.sum_by_group(n_relevant / size * precision, tie)
    total = rankings.sum_by_group(tie_relevant)
    average_precision = sum_of_precisions / np.clip(total, 1, k)
    return rankings.average(average_precision, total > 0, "map_at_k", _explain_none_relevant(rankings, relevant))


def _count_relevant_in_top(rankings: Rankings, tie_relevant: np.ndarray, k: int) -> np.ndarray:
    """Count the relevant ratings among the first k of each group, as the mean over all orders of ties."""
    return rankings.sum_by_group(tie_relevant * rankings.count_top_ranks(k) / rankings.tie_sizes)


def _find_first_relevant_ties(rankings: Rankings, tie_relevant: np.ndarray) -> np.ndarray:
    """Find the first tie with a relevant rating in each group. It has the first relevant rating in every order."""
    return np.flatnonzero((tie_relevant > 0) & (rankings.sum_above(tie_relevant) == 0))


def _log_binomial(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Compute the logarithm of the binomial coefficient C(n, k)."""
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def _explain_none_relevant(rankings: Rankings, relevant: float) -> str:
    """Return why a metric of relevant ratings is undefined."""
    return f"no group has a relevant rating ({relevant} or above; the highest rating is {rankings.y_true.max():g})"
