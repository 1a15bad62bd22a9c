"""Score lists over the whole catalog by any ranking metric."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import UndefinedMetricWarning

from sklearn_mf._ids.checks import check_ratings, check_weights
from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.levels import find_ids
from sklearn_mf._ids.names import order_columns
from sklearn_mf._ids.pick import split_pairs
from sklearn_mf._ids.rows import warn_of_other_order
from sklearn_mf._ids.tables import Column, split_columns
from sklearn_mf._utils.warnings import warn_user
from sklearn_mf.metrics._hints import maker_of_scorers
from sklearn_mf.metrics._lists import ranking_of_lists
from sklearn_mf.metrics._rankings import check_k
from sklearn_mf.metrics._scorer import RankingScorer, check_metric, metric_name


@maker_of_scorers("ndcg_at_k, X=X")
def make_catalog_scorer(
    metric: Callable[..., float], *, X: Any, relevant: float | None = None, k: int = 10, **kwargs: Any
) -> CatalogScorer:
    """Make a scorer of recommended lists over the whole catalog, for cross-validation and hyperparameter search.

    It works with all estimators that have ``recommend``. The scorer recommends ``k`` items to each user of the test
    fold. It chooses among all items that the estimator knows, except those that the user has in ``X`` outside of the
    test fold. Then it computes the metric for the ranks of the held-out items in these lists.

    Parameters
    ----------
    metric : callable
        A metric of this module that takes ``groups``, such as :func:`ndcg_at_k`, or a function with the same arguments.
        Greater is better.

    X : array-like or dataframe of shape (n_pairs, >= 2)
        All pairs, of training and test: the X of the search. Pairs that are not in the test fold are left out of the
        lists. So the estimator need not keep its pairs. If training and test are two tables, concatenate them.

    relevant : float or None, default=None
        Held-out ratings of at least this value count 1, all others 0. None means that all held-out pairs count 1.

    k : int, default=10
        Length of the lists, at least 1.

    **kwargs : object
        Further keyword arguments of the metric.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None, sample_weight=None) -> float``, for ``scoring`` of
        :class:`~sklearn.model_selection.GridSearchCV`, :func:`~sklearn.model_selection.cross_val_score` and others.

    Raises
    ------
    TypeError
        If ``metric`` is not such a function, or does not take one of the keyword arguments; if ``relevant`` is not a
        number.
    ValueError
        If ``k`` or a keyword argument is out of range, or if ``X`` has fewer than two columns.

    See Also
    --------
    make_ranking_scorer : Ranks only the held-out ratings of each user.

    Notes
    -----
    Unknown users, and pairs that are both in the test fold and outside of it, are left out with a warning. Unknown
    items, and users without a relevant pair, are left out without a warning. The score is NaN, with an
    ``UndefinedMetricWarning``, if no user is left. The weight of a user is the mean weight of the user's remaining
    pairs.

    A ``UserWarning`` is given if ``X`` has pairs that are neither in the test fold nor in the training part. The lists
    leave out these pairs too. If they are pairs of a later test, the score is too high. If they are training pairs that
    you left out of ``fit``, such as disliked items, the score is right. The scorer counts pairs to detect this. If the
    model keeps its pairs (``keep_pairs=True``), it counts those of the users in the fold. For other models it counts
    all rows of ``fit``, so it may not notice a few such pairs. It cannot detect them for models that were fitted on a
    file.

    Another ``UserWarning`` is given if the model has learned more than ``X`` has outside of the test fold. Then the
    model was fitted on test pairs, or ``X`` lacks training pairs. If the model keeps its pairs (``keep_pairs=True``),
    the scorer counts those of the users in the fold. If not, it counts the rows of the last ``fit``, but not for models
    that were loaded from a file.

    ``estimator`` may be any object with ``categories_`` and ``recommend(users, n_items, exclude=...)``, such as the
    baseline :class:`~sklearn_mf.MostPopularRecommender`. A pipeline does not have these.

    References
    ----------
    Cremonesi, Koren and Turrin (2010). "Performance of recommender algorithms on top-N recommendation tasks." RecSys.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn_mf import MatrixFactorizationRanker
    >>> from sklearn_mf.datasets import make_ratings
    >>> from sklearn_mf.metrics import make_catalog_scorer, recall_at_k
    >>> from sklearn_mf.model_selection import PerUserShuffleSplit
    >>> X, y = make_ratings(100, 50, 2_000, random_state=0, return_X_y=True)
    >>> scorer = make_catalog_scorer(recall_at_k, X=X, relevant=4)
    >>> model = MatrixFactorizationRanker(8, random_state=0)
    >>> cv = PerUserShuffleSplit(2, random_state=0)
    >>> cross_val_score(model, X, y, scoring=scorer, cv=cv).shape
    (2,)
    """
    check_k(k)
    if relevant is not None and (isinstance(relevant, bool) or not isinstance(relevant, Real)):
        raise TypeError(f"relevant must be a number or None, not {relevant!r}.")
    keywords = {"k": int(k), **kwargs}
    try:
        takes_relevant = "relevant" in inspect.signature(metric).parameters
    except (TypeError, ValueError):  # check_metric raises an error
        takes_relevant = False
    if takes_relevant:
        keywords["relevant"] = 1  # relevant pairs count 1, all others 0
    check_metric(metric, keywords)
    split_pairs(X, 0, 1, "make_catalog_scorer", "X")
    return CatalogScorer(metric, X, relevant, keywords)


class CatalogScorer(RankingScorer):
    """Score an estimator by lists over the whole catalog; made by :func:`make_catalog_scorer`."""

    def __init__(self, metric: Callable[..., float], X: Any, relevant: float | None, kwargs: dict[str, Any]):
        super().__init__(metric, 0, kwargs)
        self._X, self._relevant = X, relevant

    def __call__(
        self, estimator: Any, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Score ``estimator`` on the held-out pairs ``X`` and, with ``relevant``, their ratings ``y``."""
        if not (hasattr(estimator, "recommend") and hasattr(estimator, "categories_")):
            advice = "Use MatrixFactorizationRanker or MatrixFactorizationRegressor, not a pipeline around them."
            if hasattr(estimator, "estimator") and hasattr(estimator, "refit"):  # a search
                advice = "Give the best estimator of the fitted search: search.best_estimator_."
            raise TypeError(
                f"make_catalog_scorer needs a fitted estimator with recommend, but {type(estimator).__name__} has "
                f"none. {advice}"
            )
        outside = _pairs_outside(self._X, X, estimator)
        n_learned = _count_learned(X, estimator)
        _warn_of_others(outside.n_pairs, n_learned, estimator)
        _warn_of_too_few(outside, n_learned, estimator)
        catalog = Catalog(estimator, outside.table, outside.has, self._relevant)
        return score_catalog(catalog, X, y, sample_weight, self._metric, self._kwargs)

    def __repr__(self) -> str:
        shown = {**self._kwargs, "relevant": self._relevant}
        keywords = [f"{name}={value!r}" for name, value in shown.items() if value is not None]
        return f"make_catalog_scorer({', '.join([metric_name(self._metric), 'X=...', *keywords])})"


@dataclass(frozen=True)
class Catalog:
    """Hold the estimator whose lists are scored, the pairs they leave out, and the lowest relevant rating."""

    estimator: Any
    exclude: Any  # as ``recommend`` takes it
    is_seen: np.ndarray  # bool (n_held_out,): held-out pairs that are left out of the lists too
    relevant: float | None


def score_catalog(
    catalog: Catalog,
    X: Any,
    y: ArrayLike | None,
    sample_weight: ArrayLike | None,
    metric: Callable[..., float],
    kwargs: dict[str, Any],
) -> float:
    """Score the lists of an estimator on held-out pairs, as :func:`make_catalog_scorer` says."""
    estimator, relevant = catalog.estimator, catalog.relevant
    columns = _pair_columns(X, estimator)
    n_rows = len(columns[0])
    warn_of_other_order(X, y=y, sample_weight=sample_weight)
    weights = check_weights(sample_weight, n_rows)
    counts = np.ones(n_rows, dtype=bool) if weights is None else weights > 0
    if y is not None:
        ratings = check_ratings(y, n_rows)
        if relevant is not None:
            with np.errstate(over="ignore"):  # a relevant beyond float32 is above every float32 rating
                counts &= ratings >= relevant
    elif relevant is not None:
        raise ValueError(f"relevant={relevant} needs y: the ratings of the held-out pairs. Or set relevant=None.")
    if catalog.is_seen.any():
        _warn_of_seen(catalog)
        counts &= ~catalog.is_seen
    (users, user_codes), (items, item_codes) = (factorize(column) for column in columns)
    is_known = find_ids(columns[0].label, users, estimator.categories_[0], "the model was fitted on") >= 0
    n_unknown = len(users) - np.count_nonzero(is_known)
    if n_unknown:
        warn_user(
            f"{n_unknown} of {len(users)} users to score have no pairs in training. They are left out. To "
            "score all users, hold out only some pairs of each user, as PerUserShuffleSplit does.",
            UserWarning,
        )
    why = "no relevant held-out pair has a user and an item that the model knows"
    if y is not None and relevant is not None and not counts.any():
        why = f"no held-out pair that counts has a rating of at least relevant={relevant:g}. The highest rating is "
        why += f"{ratings.max():g}"
    counts &= is_known[user_codes]
    counts &= (find_ids(columns[1].label, items, estimator.categories_[1], "the model was fitted on") >= 0)[item_codes]
    rows = np.flatnonzero(counts)
    if not len(rows):
        warn_user(f"The score of the catalog is undefined and set to NaN: {why}.", UndefinedMetricWarning)
        return float("nan")
    asked, places = np.unique(user_codes[rows], return_inverse=True)
    lists, _ = estimator.recommend(users[asked], kwargs["k"], exclude=catalog.exclude)
    pairs = Column("user", users[asked]), Column("item", items)
    ranking = ranking_of_lists(lists, users[asked], _table(pairs, places, item_codes[rows]), np.ones(len(rows)))
    if weights is not None:
        means = np.bincount(places, weights[rows]) / np.bincount(places)
        _, of_user = factorize(Column("groups", ranking.groups))
        kwargs = {**kwargs, "sample_weight": means[of_user]}
    return metric(**ranking, **kwargs)


def _warn_of_seen(catalog: Catalog) -> None:
    """Warn about held-out pairs that are in training too, with the likely causes."""
    n_rows, n_seen = len(catalog.is_seen), np.count_nonzero(catalog.is_seen)
    left_out = f"{n_seen} of {n_rows} pairs to score are in training too"
    causes = "Before"
    if isinstance(catalog.exclude, str):  # the model has kept the pairs that it was fitted on
        left_out += ": these are the training pairs" if n_seen == n_rows else ""
        causes = (
            "The model was fitted on these pairs: fit on the training part only (a search refits on all rows that you "
            "gave it). If pairs repeat, before"
        )
    warn_user(
        f"{left_out}. They are left out, because lists do not repeat seen items. {causes} the split, keep one row of "
        'each pair: df.drop_duplicates(["user", "item"]). If there are counts, add them up: '
        'df.groupby(["user", "item"], as_index=False)["plays"].sum().',
        UserWarning,
    )


def _table(columns: tuple[Column, Column], users: np.ndarray, items: np.ndarray) -> Any:
    """Put ids of two kinds side by side, in a table that keeps the type of each."""
    values: list[Any] = [column.values for column in columns]
    return [list(pair) for pair in zip(values[0][users], values[1][items], strict=True)]


def _pair_columns(X: Any, estimator: Any) -> list[Column]:
    """Return the columns of users and items, by the names of ``fit`` if it had names."""
    columns = split_columns(X, type(estimator).__name__)
    if len(columns) < 2:
        raise ValueError(f"X has {len(columns)} column(s), but needs two: users and items.")
    return order_columns(columns, X, list(getattr(estimator, "feature_names_in_", []))[:2], "X")[:2]


def _count_learned(fold: Any, estimator: Any) -> int | None:
    """Count the pairs of the users in the fold that the estimator keeps. Return None if it keeps no pairs."""
    seen = getattr(estimator, "_seen_pairs", None)
    if seen is None:
        return None
    column = _pair_columns(fold, estimator)[0]
    places = find_ids(column.label, factorize(column)[0], estimator.categories_[0], "the model was fitted on")
    return seen.count_of(places[places >= 0])


def _warn_of_others(n_outside: int, n_learned: int | None, estimator: Any) -> None:
    """Warn if users of the fold have more pairs outside of it than the estimator can have learned.

    If it keeps its pairs, those of the users in the fold are counted. If not, all rows that it got are counted.
    """
    n_fitted, of = getattr(estimator, "_n_rows", None), ""
    if n_fitted is None:
        return
    if n_learned is not None:
        n_kept = estimator._seen_pairs.count_of(np.arange(len(estimator.categories_[0])))
        n_lost = max(n_fitted - n_kept, 0)  # rows that repeat, or have a weight of 0
        n_fitted, of = n_learned + n_lost, " of them at most"
    if n_outside <= n_fitted:
        return
    warn_user(
        "X of make_catalog_scorer has pairs that are neither in the test fold nor in the training part: it has "
        f"{n_outside} other pairs of the users in the fold, but the model was fitted on {n_fitted} pairs{of}. Lists "
        "leave out all of them. If they are pairs of a later test, the score is too high: in a search on a training "
        "part, pass this part: X=X_train. If they are training pairs that you left out of fit, such as disliked items, "
        "the score is right. Score all test pairs at once. To count only high ratings, set relevant. If splits leave "
        "out rows on purpose, as in a halving search or a learning curve, compare only scores of the same split.",
        UserWarning,
    )


def _warn_of_too_few(outside: Outside, n_learned: int | None, estimator: Any) -> None:
    """Warn if the estimator has learned more than X has outside of the fold.

    If it keeps its pairs, those of the users in the fold are counted. If not, the rows of its last ``fit`` are counted.
    """
    n_known, n_outside, advice = n_learned, outside.n_pairs, ""
    if n_known is not None:
        has, of = f"knows {n_known} pairs of the users in the fold", f"{n_outside} pairs of them"
    else:
        n_known, n_outside = int(getattr(estimator, "_n_fitted", 0)), outside.n_rows
        has, of = f"was fitted on {n_known} rows", f"{n_outside} rows"
        advice = " If you repeat rows of the training part, repeat them in this X too."
    if n_known > n_outside:
        warn_user(
            f"The model {has}, but X of make_catalog_scorer has only {of} outside of the fold. If the model was fitted "
            "on pairs of the fold, the score is too high. If X lacks training pairs, the lists repeat them. Fit the "
            "model on the training part only, and score it on the test part only. Pass the table that you split, with "
            f"both parts, as X of make_catalog_scorer.{advice}",
            UserWarning,
        )


@dataclass(frozen=True)
class Outside:
    """Hold the pairs that occur more often in X than in the fold."""

    table: Any  # rows of X with these pairs
    has: np.ndarray  # bool (n_held_out,): whether each pair of the fold is one of them
    n_pairs: int  # how many of them users of the fold have, each pair counted once
    n_rows: int  # rows that X has more than the fold, of all users


def _pairs_outside(X: Any, fold: Any, estimator: Any) -> Outside:
    """Find the pairs that occur more often in X than in the fold."""
    of_all, of_fold = _pair_columns(X, estimator), _pair_columns(fold, estimator)
    codes = [_codes_in_common(*columns) for columns in zip(of_all, of_fold, strict=True)]
    n_items = int(max(own.max() for own in codes[1])) + 1
    numbers = [codes[0][part].astype(np.int64) * n_items + codes[1][part] for part in range(2)]
    pairs, places, n_all = np.unique(numbers[0], return_inverse=True, return_counts=True)
    in_fold = np.searchsorted(pairs, numbers[1]).clip(max=len(pairs) - 1)
    is_known = pairs[in_fold] == numbers[1]
    n_more = n_all - np.bincount(in_fold[is_known], minlength=len(pairs))
    is_outside = n_more > 0
    n_pairs = int(np.count_nonzero(is_outside & np.isin(pairs // n_items, codes[0][1])))
    table = _rows_of(X, np.flatnonzero(is_outside[places]))
    return Outside(table, is_known & is_outside[in_fold], n_pairs, int(n_more[is_outside].sum()))


def _rows_of(X: Any, rows: np.ndarray) -> Any:
    """Return some rows of a table of any type."""
    if nw.dependencies.is_into_dataframe(X):
        return nw.from_native(X, eager_only=True)[rows].to_native()
    return X[rows] if isinstance(X, np.ndarray) else [X[row] for row in rows.tolist()]


def _codes_in_common(column: Column, other: Column) -> list[np.ndarray]:
    """Give equal ids of two columns the same code. All ids that only the second column has get one extra code."""
    levels, codes = factorize(column)
    own, own_codes = factorize(other)
    places = find_ids(other.label, own, levels, "X of make_catalog_scorer has")
    return [codes, np.where(places < 0, len(levels), places)[own_codes]]
