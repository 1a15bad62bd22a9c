"""Provide a baseline that recommends the most popular items to all users."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from sklearn_mf._base import Request, check_pairs, frozen_copy, levels_of, validate_parameters
from sklearn_mf._ids.levels import Levels
from sklearn_mf._pair_recommender import PairRecommender
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.model import Model
from sklearn_mf._prediction.seen import SeenPairs
from sklearn_mf._utils.threads import Threads, count_threads

if TYPE_CHECKING:
    from typing_extensions import Self


class MostPopularRecommender(PairRecommender):
    """Recommend the most popular items to each user, without those that the user has.

    This is a baseline for top-N recommendation. It does not look at who chose what, so all users get the same items.
    A model that learns from users should have better lists. Often this baseline is hard to beat [1]_.

    The popularity of an item is the number of its pairs in ``fit``. With ``sample_weight``, it is the sum of their
    weights. If a pair is given several times, each row counts. Ratings do not matter.

    Parameters
    ----------
    relevant : float or None, default=None
        Only for ``score``: held-out ratings of at least this value are relevant. None means that every held-out pair is
        relevant.

    keep_pairs : bool, default=True
        Whether the model keeps the pairs of ``fit``, which ``exclude="seen"`` and ``score`` need. A pair takes 4 bytes.
        **Privacy**: a saved model then contains who chose what.

    handle_unknown : {"ignore", "warn", "error", "nan"}, default="ignore"
        What ``predict`` does with ids that ``fit`` has not seen. "ignore": users do not matter, and unknown items have
        popularity 0. "warn": the same, with a ``UserWarning``. "error": raise a ``ValueError``. "nan": return NaN for
        these rows.

    n_jobs : int or None, default=None
        Number of threads. None means 1 unless in a ``joblib.parallel_config`` context. -1 means all processors. The
        result is the same, bit for bit, for every value.

    Attributes
    ----------
    categories_ : list of ndarray
        Sorted ids of users and of items seen in ``fit``.

    popularity_ : ndarray of shape (n_items,), float64
        Popularity of each item, in the order of ``categories_[1]``.

    n_features_in_ : int
        Number of columns seen in ``fit``, 2.

    feature_names_in_ : ndarray of shape (2,)
        Names of the columns of X. Only defined if X has names that are all strings.

    See Also
    --------
    MatrixFactorizationRanker : Learns from users what each of them likes.
    sklearn_mf.metrics.make_catalog_scorer : Compares the lists of several estimators.

    Notes
    -----
    ``predict`` and ``recommend`` round popularity to single precision, which has whole numbers up to 16 million. Items
    of equal popularity are in the order of ``categories_[1]``.

    References
    ----------
    .. [1] Cremonesi, P., Y. Koren and R. Turrin, "Performance of recommender algorithms on top-N recommendation tasks",
       RecSys 2010 ("TopPop").

    Examples
    --------
    >>> from sklearn_mf import MostPopularRecommender
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
    ...      ["bob", "Casablanca"], ["cem", "Alien"], ["cem", "Brazil"]]
    >>> model = MostPopularRecommender().fit(X)
    >>> items, popularity = model.recommend(["bob", "zoe"], 2)
    >>> items
    array([['Brazil', None],
           ['Alien', 'Brazil']], dtype=object)
    >>> popularity
    array([[ 2., nan],
           [ 3.,  2.]])
    """

    popularity_: NDArray[np.float64]
    n_features_in_: int
    feature_names_in_: np.ndarray
    _value_name: ClassVar[str] = "popularity"

    def __init__(
        self,
        *,
        relevant: float | None = None,
        keep_pairs: bool = True,
        handle_unknown: Literal["ignore", "warn", "error", "nan"] = "ignore",
        n_jobs: int | None = None,
    ):
        self.relevant = relevant
        self.keep_pairs = keep_pairs
        self.handle_unknown = handle_unknown
        self.n_jobs = n_jobs

    if TYPE_CHECKING:  # scikit-learn makes these methods, without types

        def set_fit_request(self, *, sample_weight: Request = ...) -> Self: ...
        def set_score_request(self, *, sample_weight: Request = ...) -> Self: ...

    def fit(self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Count the pairs of each item.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, 2)
            Ids: column 0 the user, column 1 the item, each of its own type. A pair may be given several times.

        y : array-like of shape (n_pairs,), default=None
            Ratings, finite numbers. They are checked, but not used.

        sample_weight : array-like of shape (n_pairs,), default=None
            Weights, at least 0 and not all 0. A weight of 3 is the same as three rows. A row of weight 0 is left out.

        Returns
        -------
        self : MostPopularRecommender
            The fitted estimator. If the fit fails, the estimator stays as it was.

        Raises
        ------
        ValueError
            If X does not have two columns; if ids are missing or of several types in one column; if ratings or weights
            are not finite, or their sums are not; if weights are negative or all zero; if shapes do not match.
        TypeError
            If X is sparse, or an id is not a number, text, bytes or datetime.

        Examples
        --------
        >>> from sklearn_mf import MostPopularRecommender
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"]]
        >>> MostPopularRecommender().fit(X).popularity_
        array([2., 1.])
        """
        frozen = frozen_copy(self)
        validate_parameters(frozen)
        given = check_pairs(frozen, X, y, sample_weight, reset=True)
        with Threads(count_threads(frozen.n_jobs)) as threads:
            levels, codes = Levels.fit(given.columns, given.weights, threads)
        (users, items), _, weights = given.those_that_count(codes)
        frozen.popularity_ = _popularity(items, weights, levels.counts[1])
        frozen._seen_pairs = _seen_pairs(users, items, levels.counts) if frozen.keep_pairs else None
        frozen._take_levels(levels)
        self.__dict__ = vars(frozen)
        return self

    def _take_levels(self, levels: Levels) -> None:
        """Store the ids of users and items."""
        self.categories_, self._sorters, self._kinds = levels.ids, levels.sorters, levels.kinds

    def _view(self) -> FittedModel:
        """Return the fitted model: biases of items only. ``self`` is a copy of a fitted estimator."""
        n_users, n_items = map(len, self.categories_)
        # Single precision holds popularity divided by a power of two, whatever the size of weights.
        scale = np.ldexp(1.0, int(np.frexp(self.popularity_.max())[1]) - 1)
        biases = [np.zeros(n_users, dtype=np.float32), (self.popularity_ / scale).astype(np.float32)]
        return FittedModel(
            levels_of(self),
            Model([np.empty((n, 0), dtype=np.float32) for n in (n_users, n_items)], biases, 0.0),
            self.handle_unknown,
            list(getattr(self, "feature_names_in_", [])),
            type(self).__name__,
            inverse_link=partial(np.multiply, scale),
        )

    def _learn_users(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Replace all users by those of X; ``self`` is a copy of the estimator. Items keep their popularity."""
        self._mean_weight = None  # weights of these pairs only say which pairs are left out
        given = check_pairs(self, X, y, sample_weight, reset=False)
        self.categories_, self._sorters = [self.categories_[0][:0], self.categories_[1]], [None, self._sorters[1]]
        with Threads(count_threads(self.n_jobs)) as threads:
            levels, _ = levels_of(self).grow(given.columns, given.weights, threads)
        self._take_levels(levels)


def _popularity(items: np.ndarray, weights: np.ndarray | None, n_items: int) -> np.ndarray:
    """Add up the weights of each item, float64 (n_items,); the order of rows does not change any bit."""
    if weights is None:
        return np.bincount(items, minlength=n_items).astype(np.float64)
    order = np.lexsort((weights, items))
    popularity = np.bincount(items[order], weights[order], minlength=n_items)
    if not np.isfinite(popularity).all():
        raise ValueError(
            "sample_weight is too large: the sum of the weights of an item is infinite. Divide all weights."
        )
    return popularity


def _seen_pairs(users: np.ndarray, items: np.ndarray, shape: list[int]) -> SeenPairs:
    """Return the items of each user."""
    table = sparse.csr_array((np.ones(len(users), dtype=bool), (users, items)), shape=tuple(shape))
    table.sum_duplicates()
    table.sort_indices()
    return SeenPairs.of_pairs(table.indptr.astype(np.int64), table.indices.astype(np.int32, copy=False), None)
