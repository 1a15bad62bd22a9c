"""Provide the ranker, which learns top-N lists from clicks, plays, purchases or ratings."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_mf._base import Request, check_pairs, check_query, float_of, frozen_copy, generator_of, levels_of
from sklearn_mf._ids.checks import check_new_levels
from sklearn_mf._ids.levels import Levels
from sklearn_mf._pair_recommender import PairRecommender
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.held_out import ndcg_of_held_out
from sklearn_mf._prediction.model import Model
from sklearn_mf._prediction.recommend import Question
from sklearn_mf._prediction.seen import SeenPairs
from sklearn_mf._prediction.shares import explain_pairs
from sklearn_mf._recommender import FactorRecommender, check_count
from sklearn_mf._training.als import PreferenceHyperparameters
from sklearn_mf._training.choose_penalties import Score
from sklearn_mf._training.fit_pairs import Preferences, PreferenceState, fit_pairs, fold_in_pairs
from sklearn_mf._training.pairs import CodedPairs, PairsBySide, distinct_pairs, weigh_pairs
from sklearn_mf._training.progress import Callback
from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.callbacks import CallbackSupportMixin, keep_type, with_callbacks
from sklearn_mf._utils.threads import Threads, count_threads

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Self


class MatrixFactorizationRanker(CallbackSupportMixin, PairRecommender, FactorRecommender):
    r"""Rank items for users by factorizing who chose what: clicks, plays, purchases or ratings.

    This is collaborative filtering for implicit feedback (iALS). Column 0 of ``X`` is the user, column 1 the item. Each
    user has a row of ``rank`` factors p, and each item a row q. The predicted preference of a user for an item is
    :math:`\langle p_u, q_i \rangle`. It is near 1 for items that the user chose, and near 0 for most others. Factors
    minimize

    .. math::

        &\sum_{(u, i) \in S} c_{ui} (1 - \langle p_u, q_i \rangle)^2 + w_0 \sum_{u, i} \langle p_u, q_i \rangle^2 \\
        &+ \sum_u (\alpha (n_u + w_0 n_{items}) + \delta) |p_u|^2 \\
        &+ \sum_i (\alpha (n_i + w_0 n_{users}) + \delta) |q_i|^2 .

    The first sum is over the observed pairs S, with their confidence c. The second sum is over all pairs, with a small
    weight :math:`w_0` [1]_ [2]_. :math:`n_u` and :math:`n_i` are the summed confidence of a user or item, and
    :math:`\delta` is the ``damping``. So each missing pair is weak evidence that the user does not like the item. Over
    a whole catalog, such lists are far better than lists by predicted rating (see the
    :doc:`user guide </user_guide/ranking>`).

    Ratings are not predicted. They only say how likely it is that the user liked the item. The confidence of a rating y
    is :math:`\exp(\gamma z)`, divided by its mean over the pairs. Here z is the normal score [3]_ of the rank of y. The
    rank is the share of ratings below y plus half the share of ratings equal to y. :math:`\gamma` is the parameter
    ``confidence``. Only the order of the ratings matters. So any scale works, and so do counts with heavy tails.
    Without y, or if all y are the same, every pair has the same confidence. If a pair is given several times, its
    confidences add up.

    ``fit`` alternates between users and items. In each turn, it starts from the current rows and improves each row by
    two steps of conjugate gradients [4]_. At the end, it solves the rows of users to single precision.

    Parameters
    ----------
    rank : int, default=128
        Number of latent factors, at least 1. Good lists need more factors than good predictions of ratings.

    alpha : float or "auto", default="auto"
        L2 penalty per unit of confidence; at least 0. It is the same for observed and unobserved pairs. "auto" is 0.01
        times a factor of 0.7, 1 or 1.4. To choose the factor, ``fit`` holds out a tenth of the pairs and trains small
        models (rank 64 or less). It takes the factor whose lists rank the held-out pairs best (NDCG@10). With 25,000
        distinct pairs or fewer, ``fit`` repeats this with other held-out pairs, up to 10 times. On large data, ``fit``
        with "auto" takes about 1.5 to 2 times as long with the default rank, and up to 4 times as long with a smaller
        rank. On a few thousand pairs it takes up to 20 times as long, which is tenths of a second.

    damping : float or "auto", default="auto"
        L2 penalty per user and item, whatever the number of their pairs; at least 0. "auto" is 2 times the factor
        chosen for ``alpha="auto"``.

    unobserved_weight : float, default=10.0
        Weight of all pairs together, relative to that of the observed pairs; at least 0. With 0 the model learns
        only from chosen items, and predicts a high preference for every item.

    confidence : float, default=0.7
        How much more a high rating counts than a low one; at least 0. With 0 all ratings count the same.

    max_iter : int, default=16
        Maximum number of iterations, at least 1. Each iteration updates the rows of users and those of items.

    tol : float, default=1e-5
        Training stops after an iteration that lowers the objective by less than this share of its value; at least 0.

    relevant : float or None, default=None
        Only for ``score``: held-out ratings of at least this value are relevant. None means that every held-out pair is
        relevant.

    keep_pairs : bool, default=True
        Whether the model keeps the pairs of ``fit``, which ``exclude="seen"``, ``explain`` and ``score`` need. A pair
        takes 4 bytes, plus 1 or 4 bytes if there are ratings or weights. **Privacy**: a saved model then contains who
        chose what.

    handle_unknown : {"ignore", "warn", "error", "nan"}, default="ignore"
        What ``predict`` does with ids that ``fit`` has not seen: use the mean row of all users or all items for them
        ("ignore"), also give a ``UserWarning`` ("warn"), raise a ``ValueError`` ("error"), or return NaN for these rows
        ("nan").

    n_jobs : int or None, default=None
        Number of threads. None means 1 unless in a ``joblib.parallel_config`` context. -1 means all processors. The
        result is the same, bit for bit, for every value.

    random_state : int, RandomState instance or None, default=None
        Seed of the initial rows of items. Pass an int to get the same model on every call.

    verbose : int, default=0
        With 1 or more, ``fit`` prints a line for each iteration.

    Attributes
    ----------
    categories_ : list of ndarray
        Sorted ids of users and of items seen in ``fit``. Ids added by ``fold_in`` follow.

    factors_ : list of ndarray of shape (n_categories, rank), float32
        Factor rows of users and of items, in the order of ``categories_``. Read-only.

    user_factors_, item_factors_ : ndarray of shape (n_users, rank) and (n_items, rank), float32
        The two arrays of ``factors_``.

    alpha_, damping_ : float
        The penalties that were used.

    objective_curve_ : list of float
        The objective after the update of users in each iteration, divided by the number of distinct pairs.

    n_iter_ : int
        Number of iterations.

    n_features_in_ : int
        Number of columns seen in ``fit``, 2.

    feature_names_in_ : ndarray of shape (2,)
        Names of the columns of X. Only defined if X has names that are all strings.

    See Also
    --------
    MatrixFactorizationRegressor : Predicts ratings.
    sklearn_mf.dask.DaskMatrixFactorizationRanker : The same model, fitted on a Dask cluster.

    Notes
    -----
    A fit depends only on the set of pairs and on ``random_state``. It does not depend on the order of the rows,
    on the number of threads, or on the names of the ids, as long as their sorted order is the same. A weight of 3 is
    the same as three copies of the pair. A weight of 0 is the same as leaving the pair out. The scale of weights does
    not matter.

    References
    ----------
    .. [1] Hu, Y., Y. Koren and C. Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.
    .. [2] Rendle, S., W. Krichene, L. Zhang and Y. Koren, "Revisiting the performance of iALS on item recommendation
       benchmarks", RecSys 2022.
    .. [3] van der Waerden, B. L., "Order tests for the two-sample problem and their power", 1952.
    .. [4] Takács, G., I. Pilászy and D. Tikk, "Applications of the conjugate gradient method for implicit feedback
       collaborative filtering", RecSys 2011.

    Examples
    --------
    >>> from sklearn_mf import MatrixFactorizationRanker
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
    ...      ["bob", "Brazil"], ["cem", "Brazil"]]
    >>> model = MatrixFactorizationRanker(rank=2, random_state=0).fit(X)
    >>> items, preferences = model.recommend(["cem"], 1)
    >>> items
    array([['Alien']], dtype=object)
    """

    categories_: list[np.ndarray]
    alpha_: float
    damping_: float
    objective_curve_: list[float]
    n_iter_: int
    _preferences: Preferences
    _no_biases: list[np.ndarray]
    _seen_pairs: SeenPairs | None
    _value_name: ClassVar[str] = "preference"
    _parameter_constraints: ClassVar[dict] = {
        "rank": [Interval(Integral, 1, 2**31, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "damping": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "unobserved_weight": [Interval(Real, 0, None, closed="left")],
        "confidence": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        **PairRecommender._parameter_constraints,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        rank: int = 128,
        *,
        alpha: float | Literal["auto"] = "auto",
        damping: float | Literal["auto"] = "auto",
        unobserved_weight: float = 10.0,
        confidence: float = 0.7,
        max_iter: int = 16,
        tol: float = 1e-5,
        relevant: float | None = None,
        keep_pairs: bool = True,
        handle_unknown: Literal["ignore", "warn", "error", "nan"] = "ignore",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.rank = rank
        self.alpha = alpha
        self.damping = damping
        self.unobserved_weight = unobserved_weight
        self.confidence = confidence
        self.max_iter = max_iter
        self.tol = tol
        self.relevant = relevant
        self.keep_pairs = keep_pairs
        self.handle_unknown = handle_unknown
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    if TYPE_CHECKING:  # scikit-learn makes these methods, without types

        def set_fit_request(self, *, sample_weight: Request = ...) -> Self: ...
        def set_score_request(self, *, sample_weight: Request = ...) -> Self: ...

    @with_callbacks
    @keep_type(_fit_context(prefer_skip_nested_validation=True))
    def fit(self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn factors from observed (user, item) pairs.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, 2)
            Ids: column 0 the user, column 1 the item, each of its own type. A pair may be given several times.

        y : array-like of shape (n_pairs,), default=None
            Ratings, numbers of plays or amounts: finite numbers. A larger number gives more confidence. None gives all
            pairs the same confidence. A row with 0 is still a choice: leave out rows of items that the user did not
            choose.

        sample_weight : array-like of shape (n_pairs,), default=None
            Weights, at least 0 and not all 0; their scale does not matter.

        Returns
        -------
        self : MatrixFactorizationRanker
            The fitted estimator. If the fit fails or is interrupted, the estimator stays as it was.

        Raises
        ------
        ValueError
            If X does not have two columns; if ids are missing or of several types in one column; if ratings or weights
            are not finite; if weights are negative or all zero; if shapes do not match.
        TypeError
            If X is sparse, or an id is not a number, text, bytes or datetime.

        See Also
        --------
        fold_in : Add new users or items without changing the rest of the model.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker
        >>> from sklearn_mf.datasets import make_ratings
        >>> X, y = make_ratings(300, 100, 5_000, random_state=0, return_X_y=True)
        >>> MatrixFactorizationRanker(rank=8, random_state=0).fit(X, y).factors_[1].shape
        (100, 8)
        """
        hyper = hyperparameters_of(self)
        callback = Callback(self, None, int(self.max_iter), "Iteration")  # stores itself in the estimator
        frozen = frozen_copy(self)
        given = check_pairs(frozen, X, y, sample_weight, reset=True)
        callback.begin_fit(X, y, sample_weight)
        with Threads(count_threads(self.n_jobs)) as threads:
            levels, codes = Levels.fit(given.columns, given.weights, threads)
            shard, strength = Shard(threads), float_of(self, "confidence")
            pairs, rule, weight_scale = weigh_pairs(*given.those_that_count(codes), levels.counts, strength, shard)
            del codes
            by_user, unit = distinct_pairs(pairs, shard)
            seen = SeenPairs.of_pairs(by_user.start, by_user.index, by_user.weight) if self.keep_pairs else None
            callback.attributes = lambda preferences: attributes_of(frozen, levels, preferences, seen)
            state = PreferenceState(hyper, rule, weight_scale, unit, 0.0, [])
            preferences = fit_pairs(
                by_user, levels.counts, state, generator_of(self), shard, callback, score_with(threads)
            )
        attributes = attributes_of(frozen, levels, preferences, seen)
        callback.end_fit(preferences)
        self.__dict__ = {**vars(frozen), **attributes}
        return self

    @keep_type(_fit_context(prefer_skip_nested_validation=True))
    def fold_in(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        update_known: bool = False,
    ) -> Self:
        """Add new users or items without a refit.

        The row of each new user or item is the exact minimum of the objective of ``fit`` over its pairs in X, with all
        other rows held fixed. All other predictions stay the same, bit for bit.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, 2)
            Ids. Each row must have exactly one new id. If new users chose new items, first fold in the users, with the
            known items that they chose. Then fold in the items.

        y : array-like of shape (n_pairs,), default=None
            Ratings, on the scale of those of ``fit``. None if ``fit`` had none.

        sample_weight : array-like of shape (n_pairs,), default=None
            Weights, on the scale of those of ``fit``. None means a weight of 1 for each pair, whatever the weights of
            ``fit``. So if ``fit`` had weights, give weights of the same size.

        update_known : bool, default=False
            Whether to allow rows without a new id. The users of these rows are then solved again, from the pairs in X
            only. So give all pairs of these users, old and new. Otherwise they lose their history. Known items never
            change. To learn from new pairs of known items, fit again.

        Returns
        -------
        self : MatrixFactorizationRanker
            The estimator, with the new ids at the end of ``categories_``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a row has no new id, or two; if y is given and ``fit`` had none, or the reverse; or as in ``fit``.

        See Also
        --------
        recommend_from : Recommend items to new users without storing them.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Brazil"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRanker(rank=2, random_state=0).fit(X)
        >>> model.fold_in([["dora", "Alien"]]).recommend(["dora"], 1)[0]
        array([['Brazil']], dtype=object)
        """
        frozen = self._frozen()
        given = check_pairs(frozen, X, y, sample_weight, reset=False)
        known: Preferences = frozen._preferences
        rule = known.state.rule
        if (rule is None) != (given.y is None):
            had, has = ("no y", "y") if rule is None else ("y", "no y")
            raise ValueError(f"fit had {had}, but this call has {has}. Give ratings to both, or to neither.")
        with Threads(count_threads(self.n_jobs)) as threads:
            levels, codes = levels_of(frozen).grow(given.columns, given.weights, threads)
        codes, ratings, weights = given.those_that_count(codes)
        indices = np.stack(codes, axis=1)
        is_new = indices >= np.array([len(ids) for ids in frozen.categories_])
        check_new_levels(is_new, indices[:, 0], given.rows_that_count(), bool(update_known))
        if weights is not None or known.state.weight_scale != 1.0:
            with np.errstate(over="ignore"):
                weights = (np.ones(len(indices)) if weights is None else weights) / known.state.weight_scale
        confidence = weights if rule is None else rule.of_rows(ratings, weights)
        pairs = CodedPairs(codes, confidence, levels.counts)
        grown, solved = fold_in_pairs(known, pairs, is_new.argmax(axis=1))
        seen = frozen._seen_pairs
        if seen is not None:
            of_users, of_items = (
                {row.level: (row.partners, row.weights) for row in solved if row.field == f} for f in range(2)
            )
            seen = seen.with_users(of_users).with_items(of_items)
        self.__dict__ = {**vars(frozen), **attributes_of(frozen, levels, grown, seen)}
        return self

    @overload  # type: ignore[override]  # without context columns
    def recommend_users(
        self,
        items: ArrayLike,
        n_users: int = ...,
        *,
        exclude: Any = ...,
        candidates: ArrayLike | None = ...,
        as_frame: Literal[False] = ...,
    ) -> tuple[np.ndarray, NDArray[np.float64]]: ...
    @overload
    def recommend_users(
        self,
        items: ArrayLike,
        n_users: int = ...,
        *,
        exclude: Any = ...,
        candidates: ArrayLike | None = ...,
        as_frame: Literal[True],
    ) -> pd.DataFrame: ...
    @overload
    def recommend_users(
        self,
        items: ArrayLike,
        n_users: int = ...,
        *,
        exclude: Any = ...,
        candidates: ArrayLike | None = ...,
        as_frame: bool,
    ) -> tuple[np.ndarray, NDArray[np.float64]] | pd.DataFrame: ...
    def recommend_users(
        self,
        items: ArrayLike,
        n_users: int = 10,
        *,
        exclude: Any = "seen",
        candidates: ArrayLike | None = None,
        as_frame: bool = False,
    ) -> tuple[np.ndarray, NDArray[np.float64]] | pd.DataFrame:
        """Find the users with the highest preference for each item.

        Parameters
        ----------
        items : array-like of shape (n_items,)
            Item ids. ``handle_unknown`` says how unknown items are reported.

        n_users : int, default=10
            Number of users for each item, at least 1.

        exclude, candidates, as_frame : as in :meth:`recommend`
            Pairs to leave out, users to choose from, and whether to return a data frame.

        Returns
        -------
        users : ndarray of shape (n_items, min(n_users, n_candidates))
            User ids, best first. Empty places at the end of a row are filled as in :meth:`recommend`.

        preferences : ndarray of shape (n_items, min(n_users, n_candidates)), float64
            Predicted preferences, equal to those of ``predict``; NaN where there is no user.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As :meth:`recommend`.

        See Also
        --------
        recommend : The best items for each user.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Brazil"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRanker(rank=2, random_state=0).fit(X)
        >>> model.recommend_users(["Alien"], 1)[0]
        array([['cem']], dtype=object)
        """
        frozen, n_users = self._frozen(), check_count(n_users, "n_users")
        pairs, seen = frozen._pairs_to_leave_out(exclude)
        question = Question(items, n_users, pairs, candidates, seen=seen, field=1, caller="recommend_users")
        return frozen._answer(question, as_frame)

    def explain(self, X: Any, n_items: int | None = 10) -> Bunch:
        r"""Show how much each of a user's own items adds to a preference.

        A user's row p solves :math:`A p = \sum_j c_j q_j`, where j runs over the items that the user chose. So the
        preference for an item i is a sum over these items. The share of item j in it is
        :math:`c_j \langle q_i, A^{-1} q_j \rangle` [1]_.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, 2)
            Users and items, as for ``predict``.

        n_items : int or None, default=10
            Number of the user's own items for each pair, largest share first. None returns all.

        Returns
        -------
        parts : :class:`~sklearn.utils.Bunch`
            Bunch with these attributes:

            items : ndarray of shape (n_pairs, k)
                The user's own items. Empty places are filled as in :meth:`recommend`. k is ``n_items``. If no user in X
                has so many items, k is the largest number of items of a user in X. An unknown user has no items.
            shares : ndarray of shape (n_pairs, k), float64
                Part of the preference that comes from each item; NaN where there is no item. All shares of a pair add
                up to its preference, except for rounding in single precision.
            preference : ndarray of shape (n_pairs,), float64
                The preferences, as ``predict`` returns them.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the model keeps no pairs, or as in ``predict``.

        See Also
        --------
        predict : The preferences alone.

        References
        ----------
        .. [1] Hu, Y., Y. Koren and C. Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Brazil"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRanker(rank=2, random_state=0).fit(X)
        >>> parts = model.explain([["cem", "Alien"]])
        >>> parts["items"]
        array([['Brazil']], dtype=object)
        >>> bool(abs(parts.shares.sum() - parts.preference[0]) < 1e-6)
        True
        """
        frozen = self._frozen()
        if n_items is not None:
            n_items = check_count(n_items, "n_items")
        seen = frozen._kept_pairs("explain", "fit with keep_pairs=True")
        columns, fitted = frozen._take_fields(check_query(frozen, X)), frozen._view()
        with Threads(count_threads(self.n_jobs)) as threads:
            return Bunch(**explain_pairs(fitted, columns, seen, frozen._preferences.system_of_user, n_items, threads))

    @property
    def factors_(self) -> list[NDArray[np.float32]]:
        """Factor rows of users and of items."""
        rows = [own[:-1] for own in self._preferences.rows]
        for own in rows:
            own.flags.writeable = False
        return rows

    def _view(self) -> FittedModel:
        """Return the fitted model for methods that do not change it; ``self`` is a copy of a fitted estimator."""
        return FittedModel(
            levels_of(self),
            Model(self._preferences.rows, self._no_biases, 0.0),
            self.handle_unknown,
            list(getattr(self, "feature_names_in_", [])),
            type(self).__name__,
            has_average_rows=True,
        )

    def _learn_users(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Replace all users by those of X, learned from these pairs; ``self`` is a copy of the estimator."""
        known = self._preferences
        self._preferences = replace(known, rows=[known.rows[0][-1:], known.rows[1]])
        self._seen_pairs = None
        self.categories_, self._sorters = [self.categories_[0][:0], self.categories_[1]], [None, self._sorters[1]]
        self.fold_in(X, y, sample_weight)


def hyperparameters_of(model: MatrixFactorizationRanker) -> PreferenceHyperparameters:
    """Return the hyperparameters of training."""
    return PreferenceHyperparameters(
        int(model.rank),
        None if model.alpha == "auto" else float_of(model, "alpha"),
        None if model.damping == "auto" else float_of(model, "damping"),
        float_of(model, "unobserved_weight"),
        int(model.max_iter),
        float_of(model, "tol"),
    )


def score_with(threads: Threads) -> Score:
    """Return a function that scores penalties by the lists of small fits."""

    def score(users: np.ndarray, items: np.ndarray, seen: PairsBySide, held: PairsBySide) -> np.ndarray:
        return ndcg_of_held_out(users, items, (seen.start, seen.index), (held.start, held.index, held.weights), threads)

    return score


def attributes_of(
    frozen: MatrixFactorizationRanker, levels: Levels, preferences: Preferences, seen: SeenPairs | None
) -> dict[str, Any]:
    """Return the attributes of a ranker with these learned parameters."""
    return {
        "categories_": levels.ids,
        "_sorters": levels.sorters,
        "_kinds": levels.kinds,
        "alpha_": preferences.state.hyper.alpha,
        "damping_": preferences.state.hyper.damping,
        "objective_curve_": preferences.objectives,
        "n_iter_": len(preferences.objectives),
        "_preferences": preferences,
        "_no_biases": [np.zeros(len(rows), dtype=np.float32) for rows in preferences.rows],
        "_seen_pairs": seen,
    }
