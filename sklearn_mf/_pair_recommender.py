"""Provide what the ranker and the baseline share: lists without the pairs that a model keeps, and their score."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_mf._base import check_query, float_of, levels_of, named_without_class
from sklearn_mf._ids.tables import Column
from sklearn_mf._prediction.recommend import Question
from sklearn_mf._prediction.seen import SeenPairs
from sklearn_mf._recommender import Recommender, check_count
from sklearn_mf._utils.threads import Threads
from sklearn_mf.metrics._catalog_scorer import Catalog, score_catalog
from sklearn_mf.metrics._ndcg_and_auc import ndcg_at_k

if TYPE_CHECKING:
    import pandas as pd


@named_without_class
class PairRecommender(Recommender):
    """Recommend items from pairs that the model keeps, and score such lists; subclasses learn from the pairs."""

    relevant: float | None
    _seen_pairs: SeenPairs | None
    _parameter_constraints: ClassVar[dict] = {
        "relevant": [Interval(Real, None, None, closed="neither"), None],
        "keep_pairs": ["boolean"],
        "handle_unknown": [StrOptions({"ignore", "warn", "error", "nan"})],
        "n_jobs": [Integral, None],
    }

    @overload
    def recommend(
        self,
        users: ArrayLike,
        n_items: int = ...,
        *,
        exclude: Any = ...,
        candidates: ArrayLike | None = ...,
        as_frame: Literal[False] = ...,
    ) -> tuple[np.ndarray, NDArray[np.float64]]: ...
    @overload
    def recommend(
        self,
        users: ArrayLike,
        n_items: int = ...,
        *,
        exclude: Any = ...,
        candidates: ArrayLike | None = ...,
        as_frame: Literal[True],
    ) -> pd.DataFrame: ...
    @overload
    def recommend(
        self,
        users: ArrayLike,
        n_items: int = ...,
        *,
        exclude: Any = ...,
        candidates: ArrayLike | None = ...,
        as_frame: bool,
    ) -> tuple[np.ndarray, NDArray[np.float64]] | pd.DataFrame: ...
    def recommend(
        self,
        users: ArrayLike,
        n_items: int = 10,
        *,
        exclude: Any = "seen",
        candidates: ArrayLike | None = None,
        as_frame: bool = False,
    ) -> tuple[np.ndarray, NDArray[np.float64]] | pd.DataFrame:
        """Find the best items for each user.

        Parameters
        ----------
        users : array-like of shape (n_users,)
            User ids. An unknown user (cold start) gets the items that users like on average, or the most popular ones.
            ``handle_unknown`` says how unknown users are reported; with "nan" their values are NaN. An empty list gives
            empty arrays.

        n_items : int, default=10
            Number of items for each user, at least 1. If there are fewer candidates, all of them are returned.

        exclude : "seen", None, or array-like or dataframe of shape (n_pairs, 2), default="seen"
            (user, item) pairs to leave out. "seen" leaves out the pairs that the model has learned. None leaves out
            nothing. A table leaves out the pairs of the table only.

        candidates : array-like of shape (n_candidates,), default=None
            Ids of the items to choose from. None means all items that the model knows.

        as_frame : bool, default=False
            Whether to return a pandas DataFrame with a row for each recommended item. Its columns are user, item, place
            (from 1 on) and preference or popularity. The columns for users and items have the names from ``fit``, if
            there were names.

        Returns
        -------
        items : ndarray of shape (n_users, min(n_items, n_candidates))
            Item ids, best first. Items with equal values are in the order of ``categories_[1]``. If fewer items are
            left, the end of the row is filled with -1 (int ids; the largest number for unsigned 64 bit), NaN (float),
            NaT (datetimes) or None (text).

        values : ndarray of shape (n_users, min(n_items, n_candidates)), float64
            Preferences (ranker) or popularity, equal to those of ``predict``; NaN where there is no item.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If ``exclude`` is "seen" and the model keeps no pairs; if a candidate is unknown, or ids are of another type
            than in ``fit``; if ``n_items`` is below 1; if a user is unknown with ``handle_unknown="error"``.
        TypeError
            If ``n_items`` is not an int.

        See Also
        --------
        recommend_from : Recommend items to users who are not in the model.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker, MostPopularRecommender
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Brazil"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRanker(rank=2, random_state=0).fit(X)
        >>> items, preferences = model.recommend(["bob", "cem"], 2)
        >>> items
        array([[None, None],
               ['Alien', None]], dtype=object)
        >>> MostPopularRecommender().fit(X).recommend(["bob", "cem"], 2)[1]
        array([[nan, nan],
               [ 2., nan]])
        """
        frozen, n_items = self._frozen(), check_count(n_items, "n_items")
        pairs, seen = frozen._pairs_to_leave_out(exclude)
        return frozen._answer(Question(users, n_items, pairs, candidates, seen=seen), as_frame)

    def score(self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Compute NDCG@10 of lists over the whole catalog.

        The lists rank all items that a user has not seen in ``fit``. An item counts 1 if it is in a relevant held-out
        pair of the user, and 0 otherwise. Unknown items, unknown users, and users without a relevant pair are left out;
        unknown users give a warning. Pairs that the model was fitted on are also left out, with a warning, because the
        lists do not contain them. So the score is NaN if X has training pairs only.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, 2)
            Held-out pairs, which the model was not fitted on.

        y : array-like of shape (n_pairs,), default=None
            Their ratings. If the parameter ``relevant`` is set, pairs with a lower rating are not relevant. None means
            that every pair is relevant.

        sample_weight : array-like of shape (n_pairs,), default=None
            Weights, at least 0. A pair of weight 0 is left out. The weight of a user is the mean weight of the user's
            relevant pairs.

        Returns
        -------
        ndcg : float
            Between 0 and 1, the higher the better. NaN, with an ``UndefinedMetricWarning``, if no user is left.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the model keeps no pairs, or as in ``fit``.

        See Also
        --------
        sklearn_mf.metrics.make_catalog_scorer : Other metrics, also for models that keep no pairs.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker, MostPopularRecommender
        >>> from sklearn_mf.datasets import make_ratings
        >>> from sklearn_mf.model_selection import PerUserShuffleSplit
        >>> X, y = make_ratings(300, 100, 5_000, random_state=0, return_X_y=True)
        >>> train, test = next(PerUserShuffleSplit(n_splits=1, random_state=0).split(X))
        >>> ranker = MatrixFactorizationRanker(rank=8, random_state=0).fit(X[train], y[train])
        >>> popular = MostPopularRecommender().fit(X[train])
        >>> 0 < ranker.score(X[test], y[test]) < 1
        True
        >>> 0 < popular.score(X[test], y[test]) < 1
        True
        """
        frozen = self._frozen()
        seen = frozen._kept_pairs("score", "score with sklearn_mf.metrics.make_catalog_scorer(ndcg_at_k, X=X) instead")
        columns = frozen._take_fields(check_query(frozen, X))
        with Threads(1) as threads:
            is_seen = seen.has(*levels_of(frozen).encode(columns, threads).T)
        relevant = None if frozen.relevant is None else float_of(frozen, "relevant")
        return score_catalog(Catalog(frozen, "seen", is_seen, relevant), X, y, sample_weight, ndcg_at_k, {"k": 10})

    def _take_fields(self, columns: list[Column]) -> list[Column]:
        """Check that there are two columns, and return them."""
        if len(columns) > 2:
            raise ValueError(
                f"X has {len(columns)} columns, but {type(self).__name__} takes two: users and items. Pass ratings as "
                "y. Leave other columns out, or use MatrixFactorizationRegressor, which takes context columns."
            )
        return columns

    def _kept_pairs(self, caller: str, what_to_do: str) -> SeenPairs:
        """Return the pairs that the model keeps; raise a ValueError if it keeps none."""
        if self._seen_pairs is None:
            raise ValueError(f"{caller} needs the pairs of fit, but this model keeps none: {what_to_do}.")
        return self._seen_pairs

    def _pairs_to_leave_out(self, exclude: Any) -> tuple[Any, SeenPairs | None]:
        """Return the table of pairs to exclude, or the pairs that the model keeps."""
        if not np.isscalar(exclude):
            return exclude, None
        if not isinstance(exclude, str) or exclude != "seen":
            given = f"{exclude!r} instead."
            if isinstance(exclude, (bool, np.bool_)):
                given = "True instead. Give 'seen'." if exclude else "False instead. Give None."
            raise ValueError(f"exclude must be 'seen', a table of pairs, or None. Got {given}")
        return None, self._kept_pairs("exclude='seen'", "pass the X of fit, or None, as exclude")
