"""Make scorers that rank the held-out ratings of each user by the predictions of an estimator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import sklearn
from numpy.typing import ArrayLike
from sklearn.utils.metadata_routing import UNCHANGED, MetadataRequest

from sklearn_mf._ids.names import column_names, find_columns
from sklearn_mf._ids.pick import check_column, pick_column
from sklearn_mf._ids.rows import warn_of_other_order, with_index_of
from sklearn_mf.metrics._hints import maker_of_scorers, refuse_metric_of_lists
from sklearn_mf.metrics._rankings import check_gain, check_k, check_relevant, check_shift

_CHECKS: dict[str, Callable[[Any], Any]] = {
    "k": check_k,
    "relevant": check_relevant,
    "shift": check_shift,
    "gain": check_gain,
}
_ARGUMENTS_FROM_SCORER = ("groups", "sample_weight", "y_true", "y_score")  # users must not give these


@maker_of_scorers("ndcg_at_k")
def make_ranking_scorer(metric: Callable[..., float], *, user_column: int | str = 0, **kwargs: Any) -> RankingScorer:
    """Make a scorer that ranks the held-out ratings of each user by ``estimator.predict(X)``.

    It ranks only the pairs of the test fold, not the whole catalog. So the score says how well the model orders the
    items that a user has rated.

    Parameters
    ----------
    metric : callable
        A metric of this module that takes ``groups``, or a function with the same arguments,
        ``metric(y_true, y_score, groups=..., sample_weight=..., **kwargs) -> float``. Greater is better.

    user_column : int or str, default=0
        Position of the user column in the X of ``fit``, from 0. For a data frame also its name, with or without the
        prefix of a ``ColumnTransformer``.

    **kwargs : object
        Further keyword arguments of the metric, such as ``k``, ``relevant``, or ``shift`` for the NDCG of negative
        ratings.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None) -> float``, for ``scoring`` of
        :class:`~sklearn.model_selection.GridSearchCV`, :func:`~sklearn.model_selection.cross_val_score` and others.
        With metadata routing, ``scorer.set_score_request(sample_weight=True)`` requests weights.

    Raises
    ------
    TypeError
        If ``metric`` is not such a function; if a keyword argument is missing, or the metric does not take it.
    ValueError
        If ``k``, ``relevant``, ``shift`` or ``gain`` is out of range.

    See Also
    --------
    make_catalog_scorer : Ranks all items of the catalog.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV, KFold
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> from sklearn_mf.datasets import make_ratings
    >>> from sklearn_mf.metrics import make_ranking_scorer, ndcg_at_k
    >>> X, y = make_ratings(100, 50, 2_000, random_state=0, return_X_y=True)
    >>> search = GridSearchCV(
    ...     MatrixFactorizationRegressor(random_state=0),
    ...     {"rank": [0, 8]},
    ...     scoring=make_ranking_scorer(ndcg_at_k, k=10),
    ...     cv=KFold(3, shuffle=True, random_state=0),
    ... ).fit(X, y)
    >>> search.scorer_
    make_ranking_scorer(ndcg_at_k, k=10)
    >>> bool(0.5 < search.best_score_ < 1)
    True
    """
    if isinstance(metric, functools.partial) and not metric.args:  # its keywords are checked and shown like kwargs
        kwargs = {**metric.keywords, **kwargs}
        metric = metric.func
    check_metric(metric, kwargs)
    return RankingScorer(metric, check_column(user_column, "user_column"), kwargs)


class RankingScorer:
    """Score an estimator by a metric that ranks the ratings of each user; made by :func:`make_ranking_scorer`."""

    def __init__(self, metric: Callable[..., float], user_column: int | str, kwargs: dict[str, Any]):
        self._metric = metric
        self._user_column = user_column
        self._kwargs = kwargs
        self._weight_request: bool | str | None = None

    def __call__(
        self, estimator: Any, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Score ``estimator`` on the ratings ``y`` of the pairs ``X``; greater is better."""
        if y is None:
            name = metric_name(self._metric)
            raise TypeError(
                f"make_ranking_scorer({name}) needs y, the ratings of the pairs. For clicks, which have no ratings, "
                f"use make_catalog_scorer({name}, X=X)."
            )
        warn_of_other_order(X, y=y, sample_weight=sample_weight)
        y_score = estimator.predict(X)
        column = _find_as_in_fit(estimator, X, self._user_column)
        _, groups = pick_column(X, column, "user_column", "make_ranking_scorer")
        return self._metric(y, y_score, groups=with_index_of(y, groups), sample_weight=sample_weight, **self._kwargs)

    def __repr__(self) -> str:
        shown = {} if self._user_column == 0 else {"user_column": self._user_column}
        keywords = [f"{name}={value!r}" for name, value in {**shown, **self._kwargs}.items()]
        return f"make_ranking_scorer({', '.join([metric_name(self._metric), *keywords])})"

    def set_score_request(self, *, sample_weight: bool | str | None = UNCHANGED) -> RankingScorer:
        """Set whether weights are passed to this scorer, or under which name; see metadata routing of scikit-learn."""
        if not sklearn.get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "This method is only available when metadata routing is enabled. You can enable it using "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        if sample_weight is not UNCHANGED:
            _make_request(self, sample_weight)  # raises an error if this is not a valid request
            self._weight_request = sample_weight
        return self

    def _accept_sample_weight(self) -> bool:
        """Return True, as weights can be given. scikit-learn calls this for scorers in a dict, without routing."""
        return True

    def get_metadata_routing(self) -> MetadataRequest:
        """Return the metadata that the scorer requests; scikit-learn calls this."""
        return _make_request(self, self._weight_request)


def _find_as_in_fit(estimator: Any, X: Any, column: int | str) -> int | str:
    """Find the column that had this position in ``fit``; estimators that use names take columns in any order."""
    in_fit = list(getattr(estimator, "feature_names_in_", ()))
    if isinstance(column, str) or column >= len(in_fit):
        return column
    places = find_columns(column_names(X), [in_fit[column]])
    return column if places is None else places[0]


def _make_request(scorer: RankingScorer, alias: bool | str | None) -> MetadataRequest:
    """Make scikit-learn's request for weights under this name."""
    request = MetadataRequest(owner=repr(scorer))
    request.score.add_request(param="sample_weight", alias=alias)
    return request


def check_metric(metric: Any, kwargs: dict[str, Any]) -> None:
    """Check a metric and its keyword arguments now, so that a search does not fail after its first fit."""
    given = [name for name in _ARGUMENTS_FROM_SCORER if name in kwargs]
    if given:
        raise TypeError(f"{given[0]} must not be given: the scorer passes it to the metric.")
    refuse_metric_of_lists(metric)
    try:
        signature = inspect.signature(metric)
    except (TypeError, ValueError):  # not a callable, or one without a signature
        signature = None
    if signature is None or not any(
        p.name == "groups" or p.kind is p.VAR_KEYWORD for p in signature.parameters.values()
    ):
        raise TypeError(
            f"{metric_name(metric)} is not a metric that takes groups. Use a ranking metric of sklearn_mf.metrics, "
            "such as ndcg_at_k, or a function with its arguments: metric(y_true, y_score, groups=..., "
            "sample_weight=...). For other metrics, use sklearn.metrics.make_scorer."
        )
    try:
        signature.bind([], [], groups=[], sample_weight=None, **kwargs)
    except TypeError as error:
        raise TypeError(f"{metric_name(metric)} cannot be called with these arguments: {error}.") from error
    if str(getattr(metric, "__module__", "")).startswith("sklearn_mf.metrics."):
        for name in _CHECKS.keys() & kwargs.keys():
            _CHECKS[name](kwargs[name])


def metric_name(metric: Any) -> str:
    """Return the name of a metric for messages."""
    if isinstance(metric, functools.partial):  # its own repr shows an address
        return f"partial({metric_name(metric.func)}, ...)"
    return getattr(metric, "__name__", repr(metric))
