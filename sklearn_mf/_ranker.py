"""Provide the ranker: what to offer to whom, learned from clicks, plays, purchases or ratings."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_mf._base import check_pairs, check_query, float_of, frozen_copy, generator_of, levels_of
from sklearn_mf._ids.checks import check_new_levels
from sklearn_mf._ids.levels import Levels
from sklearn_mf._ids.tables import Column
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.held_out import ndcg_of_held_out
from sklearn_mf._prediction.model import Model
from sklearn_mf._prediction.recommend import Question
from sklearn_mf._prediction.seen import SeenPairs
from sklearn_mf._prediction.shares import explain_pairs
from sklearn_mf._recommender import Recommender, check_count
from sklearn_mf._training.als import PreferenceHyperparameters
from sklearn_mf._training.choose_penalties import Score
from sklearn_mf._training.fit_pairs import Preferences, PreferenceState, fit_pairs, fold_in_pairs
from sklearn_mf._training.pairs import CodedPairs, PairsBySide, distinct_pairs, weigh_pairs
from sklearn_mf._training.progress import Callback
from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.callbacks import CallbackSupportMixin, with_callbacks
from sklearn_mf._utils.threads import Threads, count_threads
from sklearn_mf.metrics._catalog_scorer import Catalog, score_catalog
from sklearn_mf.metrics._ndcg_and_auc import ndcg_at_k


class MatrixFactorizationRanker(CallbackSupportMixin, Recommender):
    r"""Rank items for users by factorizing who chose what: clicks, plays, purchases, or ratings.

    Column 0 of ``X`` is the user, column 1 the item. Users and items have rows of ``rank`` factors p and q, and the
    preference of a user for an item is predicted as :math:`\langle p_u, q_i \rangle`: near 1 for what was chosen, near
    0 for most of the rest. Factors minimize

    .. math::

        \sum_{(u, i) \in S} c_{ui} (1 - \langle p_u, q_i \rangle)^2 + w_0 \sum_{u, i} \langle p_u, q_i \rangle^2
        + \sum_u (\alpha (n_u + w_0 n_{items}) + \delta) |p_u|^2
        + \sum_i (\alpha (n_i + w_0 n_{users}) + \delta) |q_i|^2

    over the observed pairs S with their confidence c, and all pairs with a small weight :math:`w_0` [1]_ [2]_. n sums
    the confidence of a row, and :math:`\delta` is the ``damping``. So what a user did not choose counts a little
    against it: over the whole catalog such lists are far better than those by predicted rating (see the user guide).

    Ratings are not what is predicted. They say how sure it is that something was liked: the confidence of a rating y
    is :math:`\exp(\gamma z)`, divided by its mean over the pairs, where z is the normal score [3]_ of the share of
    ratings below y and half of those equal to it, and :math:`\gamma` is ``confidence``. It depends on the order of the
    ratings alone, so any scale will do, and counts with heavy tails too. Without y, or when all y are the same, every
    pair counts alike. What is said of a pair several times adds up.

    Users and items are solved in turns, by two steps of conjugate gradients a row from where it was [4]_; at the end
    users are solved to single precision.

    Parameters
    ----------
    rank : int, default=128
        Number of latent factors, at least 1. Lists want more of them than predicted ratings do.

    alpha : float or "auto", default="auto"
        L2 strength per unit of confidence, of observed and unobserved pairs alike; at least 0. "auto" is 0.01 times a
        factor of 0.7, 1 or 1.4: the one whose lists find most of a tenth of the pairs, held out of fits of at most
        rank 64; with fewer than 50,000 pairs, in several rounds. A fit then takes 1.5 to 4 times as long, on a few
        thousand pairs up to 20 times (tenths of a second).

    damping : float or "auto", default="auto"
        L2 strength per user and item, whatever they have; at least 0. "auto" is 2 times the same factor.

    unobserved_weight : float, default=10.0
        Weight of all pairs together that were not observed, relative to those that were; at least 0. 0 knows only what
        was chosen, and prefers everything.

    confidence : float, default=0.7
        Strength of the ratings: how much more a high rating counts than a low one; 0 takes all alike.

    max_iter : int, default=16
        Number of alternations, at most; at least 1.

    tol : float, default=1e-5
        An alternation that lowers the objective by less than this share of it is the last; at least 0.

    relevant : float or None, default=None
        Held-out ratings from this one on are what ``score`` looks for. None: every held-out pair.

    keep_pairs : bool, default=True
        Whether the model keeps the pairs that it was fitted on, for ``exclude="seen"``, ``explain`` and ``score``. A
        pair takes 4 bytes, and 1 to 4 more for ratings or weights. **A stored model then holds who chose what.**

    handle_unknown : {"ignore", "warn", "error", "nan"}, default="ignore"
        What ``predict`` does with ids not seen in ``fit``: take the mean of all users, or of all items, for them; the
        same with a ``UserWarning``; raise a ``ValueError``; or return NaN for these rows.

    n_jobs : int or None, default=None
        Number of threads. None is 1 unless in a ``joblib.parallel_config`` context, -1 all processors. The result is
        the same, bit for bit, for every value.

    random_state : int, RandomState instance or None, default=None
        Seed of the rows that items start from. An int gives the same model on every call.

    verbose : int, default=0
        1 or more prints a line for each alternation.

    Attributes
    ----------
    categories_ : list of ndarray
        Sorted ids of users and of items seen in ``fit``; those that ``fold_in`` adds follow.

    factors_ : list of ndarray of shape (n_levels, rank), float32
        Factor rows of users and of items, in the order of ``categories_``. Read only.

    user_factors_, item_factors_ : ndarray of shape (n_users, rank) and (n_items, rank), float32
        The two of ``factors_``.

    alpha_, damping_ : float
        The strengths that were used.

    objective_curve_ : list of float
        The objective after the users of each alternation, divided by the number of distinct pairs.

    n_iter_ : int
        Number of alternations.

    n_features_in_ : int
        Number of columns seen in ``fit``, 2.

    feature_names_in_ : ndarray of shape (2,)
        Names of the columns, where X had names that are all strings.

    See Also
    --------
    MatrixFactorizationRegressor : Predicts ratings.

    Notes
    -----
    A fit depends on the set of pairs and on ``random_state`` only: not on the order of the rows, the number of threads
    or what the ids are called, as long as their sorted order is the same. A weight of 3 is the same as the pair given
    three times, a weight of 0 the same as leaving it out, and the scale of weights does not matter.

    References
    ----------
    .. [1] Y. Hu, Y. Koren and C. Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.
    .. [2] S. Rendle, W. Krichene, L. Zhang and Y. Koren, "Revisiting the performance of iALS on item recommendation
       benchmarks", RecSys 2022.
    .. [3] B. L. van der Waerden, "Order tests for the two-sample problem and their power", 1952.
    .. [4] G. Takács, I. Pilászy and D. Tikk, "Applications of the conjugate gradient method for implicit feedback
       collaborative filtering", RecSys 2011.

    Examples
    --------
    >>> from sklearn_mf import MatrixFactorizationRanker
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Brazil"], ["cem", "Brazil"]]
    >>> model = MatrixFactorizationRanker(rank=2, random_state=0).fit(X)
    >>> items, preferences = model.recommend(["cem"], 1)
    >>> items
    array([['Alien']], dtype=object)
    """

    _value_name: ClassVar[str] = "preference"
    _parameter_constraints: ClassVar[dict] = {
        "rank": [Interval(Integral, 1, 2**31, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "damping": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "unobserved_weight": [Interval(Real, 0, None, closed="left")],
        "confidence": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "relevant": [Interval(Real, None, None, closed="neither"), None],
        "keep_pairs": ["boolean"],
        "handle_unknown": [StrOptions({"ignore", "warn", "error", "nan"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        rank: int = 128,
        *,
        alpha: float | str = "auto",
        damping: float | str = "auto",
        unobserved_weight: float = 10.0,
        confidence: float = 0.7,
        max_iter: int = 16,
        tol: float = 1e-5,
        relevant: float | None = None,
        keep_pairs: bool = True,
        handle_unknown: str = "ignore",
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

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> MatrixFactorizationRanker:
        """Learn factors from pairs that were chosen.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, 2)
            Ids: column 0 the user, column 1 the item, each of its own type. A pair may be there several times.

        y : array-like of shape (n_pairs,), default=None
            Ratings, plays, amounts: finite numbers, of which a larger one is surer. None takes all pairs alike.

        sample_weight : array-like of shape (n_pairs,), default=None
            Weights, at least 0 and not all 0; their scale does not matter.

        Returns
        -------
        self : MatrixFactorizationRanker
            The fitted estimator. A fit that fails or is interrupted leaves it as it was.

        Raises
        ------
        ValueError
            If X does not have two columns, ids are missing or of several kinds in one column, ratings or weights are
            not finite, weights are negative or all zero, or shapes do not fit.
        TypeError
            If X is sparse, or an id is neither number, text, bytes nor datetime.
        """
        hyper = hyperparameters_of(self)
        callback = Callback(self, None, int(self.max_iter), "Iteration")  # it notes itself in the estimator
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fold_in(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        update_known: bool = False,
    ) -> MatrixFactorizationRanker:
        """Add users or items never seen, without a refit.

        The row of each is the exact minimum of the objective of ``fit``, over all its pairs given here, with
        everything else held as it is; all other predictions stay the same, bit for bit.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, 2)
            Ids, exactly one in each row new: for new users of new items, fold in the users first, with the known items
            that they chose, then the items.

        y : array-like of shape (n_pairs,), default=None
            Ratings, on the scale of those of ``fit``; None where ``fit`` had none.

        sample_weight : array-like of shape (n_pairs,), default=None
            Weights, on the scale of those of ``fit``; None weighs each 1, also where those of ``fit`` were far from 1.

        update_known : bool, default=False
            Whether rows without a new id are allowed: they solve their user again, from what is given here alone.

        Returns
        -------
        self : MatrixFactorizationRanker
            The estimator, with the new levels at the end of ``categories_``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If rows have no new id, or two; if y is there and ``fit`` had none, or the other way round; or as in
            ``fit``.
        """
        frozen = self._frozen()
        given = check_pairs(frozen, X, y, sample_weight, reset=False)
        known: Preferences = frozen._preferences
        rule = known.state.rule
        if (rule is None) != (given.y is None):
            had, has = ("no y", "has y") if rule is None else ("y", "has none")
            raise ValueError(f"fit had {had}, and this call {has}: give both of them ratings, or none.")
        with Threads(count_threads(self.n_jobs)) as threads:
            levels, codes = levels_of(frozen).grow(given.columns, given.weights, threads)
        codes, ratings, weights = given.those_that_count(codes)
        indices = np.stack(codes, axis=1)
        is_new = indices >= np.array([len(ids) for ids in frozen.categories_])
        check_new_levels(is_new, indices[:, 0], given.rows_that_count(), bool(update_known))
        if weights is not None or known.state.weight_scale != 1.0:
            with np.errstate(over="ignore"):
                weights = (np.ones(len(indices)) if weights is None else weights) / known.state.weight_scale
        confidence = weights if ratings is None else rule.of_rows(ratings, weights)
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

    def recommend(
        self,
        users: ArrayLike,
        n_items: int = 10,
        *,
        exclude: Any = "seen",
        candidates: ArrayLike | None = None,
        as_frame: bool = False,
    ) -> tuple[np.ndarray, np.ndarray] | Any:
        """Find the items with the highest preference for each user.

        Parameters
        ----------
        users : array-like of shape (n_users,)
            User ids. A user never seen in ``fit`` gets what users like on average, and is reported as
            ``handle_unknown`` says ("nan": their preferences are NaN). An empty list gives empty arrays.

        n_items : int, default=10
            How many items for each user, at least 1. With fewer candidates there are as many as these.

        exclude : "seen", None, or array-like or dataframe of shape (n_pairs, 2), default="seen"
            (user, item) pairs not to recommend: those of ``fit`` and ``fold_in``, none, or those given.

        candidates : array-like of shape (n_candidates,), default=None
            Ids of the items to choose from. None: all that the model knows.

        as_frame : bool, default=False
            Whether to return a pandas frame with a row for each item that was found: user, item, place (from 1 on) and
            preference. Users and items are called as the columns of ``fit``, where these had names.

        Returns
        -------
        items : ndarray of shape (n_users, min(n_items, n_candidates))
            Item ids, best first, of equal ones in the order of ``categories_[1]``. Where fewer are left, the end of
            the row is filled with -1 (ids that are int; the largest number if unsigned 64 bit), NaN (float), NaT
            (datetimes) or None (text).

        preferences : ndarray of shape (n_users, min(n_items, n_candidates)), float64
            What ``predict`` gives for these pairs, NaN where there is no item.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the model keeps no pairs and ``exclude`` is "seen", a candidate is not known, ids are of another kind
            than in ``fit``, ``n_items`` is below 1, or with ``handle_unknown="error"`` a user is not known.
        TypeError
            If ``n_items`` is not an int.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Brazil"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRanker(rank=2, random_state=0).fit(X)
        >>> items, preferences = model.recommend(["bob", "cem"], 2)
        >>> items
        array([[None, None],
               ['Alien', None]], dtype=object)
        """
        frozen, n_items = self._frozen(), check_count(n_items, "n_items")
        pairs, seen = frozen._pairs_to_leave_out(exclude)
        return frozen._answer(Question(users, n_items, pairs, candidates, seen=seen), as_frame)

    def recommend_users(
        self,
        items: ArrayLike,
        n_users: int = 10,
        *,
        exclude: Any = "seen",
        candidates: ArrayLike | None = None,
        as_frame: bool = False,
    ) -> tuple[np.ndarray, np.ndarray] | Any:
        """Find the users with the highest preference for each item.

        Parameters
        ----------
        items : array-like of shape (n_items,)
            Item ids. One never seen in ``fit`` is reported as ``handle_unknown`` says.

        n_users : int, default=10
            How many users for each item, at least 1.

        exclude, candidates, as_frame
            As in :meth:`recommend`; candidates are users.

        Returns
        -------
        users : ndarray of shape (n_items, min(n_users, n_candidates))
            User ids, best first, filled as the items of :meth:`recommend`.

        preferences : ndarray of shape (n_items, min(n_users, n_candidates)), float64
            What ``predict`` gives for these pairs, NaN where there is no user.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As :meth:`recommend`.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Brazil"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRanker(rank=2, random_state=0).fit(X)
        >>> model.recommend_users(["Alien"], 1)[0]
        array([['cem']], dtype=object)
        """
        frozen, n_users = self._frozen(), check_count(n_users, "n_users")
        pairs, seen = frozen._pairs_to_leave_out(exclude)
        question = Question(items, n_users, pairs, candidates, seen=seen, field=1, caller="recommend_users")
        return frozen._answer(question, as_frame)

    def explain(self, X: Any, n_items: int | None = 10) -> Bunch:
        """Tell which of a user's own items a preference is due to.

        A user's row solves A p = sum_j c_j q_j over the items j that the user chose, so the preference for an item i
        is the sum of the shares c_j <q_i, A^-1 q_j> (Hu, Koren and Volinsky 2008).

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, 2)
            Users and items, as for ``predict``.

        n_items : int or None, default=10
            How many of the user's own items to give for each pair, the largest share first; None gives all.

        Returns
        -------
        parts : :class:`~sklearn.utils.Bunch`
            items : ndarray of shape (n_pairs, k)
                The user's own items, filled as those of :meth:`recommend`; k is ``n_items``, or the most that a user
                of X has if that is less.
            shares : ndarray of shape (n_pairs, k), float64
                What each brings to the preference, NaN where there is no item. All shares of a pair add up to its
                preference, but for rounding in single precision.
            preference : ndarray of shape (n_pairs,), float64
                What ``predict`` returns.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the model keeps no pairs, or as in ``predict``.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Brazil"], ["cem", "Brazil"]]
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

    def score(self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Score lists over the whole catalog: NDCG@10 of held-out pairs among all items that their users had not seen.

        An item of a held-out pair counts 1 if it is relevant, all others count 0. Users and items that the model does
        not know are left out, users with a warning, and so are users without a relevant pair. Pairs that the model was
        fitted on are left out with a warning: lists do not repeat them, so the score of training pairs alone is NaN.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, 2)
            Held-out pairs, which the model was not fitted on.

        y : array-like of shape (n_pairs,), default=None
            Their ratings: with ``relevant``, pairs rated lower do not count. None: every pair counts.

        sample_weight : array-like of shape (n_pairs,), default=None
            Weights, at least 0. A pair of weight 0 is left out; a user counts with the mean weight of the pairs that
            are looked for.

        Returns
        -------
        ndcg : float
            Between 0 and 1, the higher the better; NaN, with an ``UndefinedMetricWarning``, if no user is left.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the model keeps no pairs, or as in ``fit``.

        See Also
        --------
        sklearn_mf.metrics.make_catalog_scorer : Other metrics, for models that keep no pairs too.
        """
        frozen = self._frozen()
        seen = frozen._kept_pairs("score", "score with sklearn_mf.metrics.make_catalog_scorer(ndcg_at_k, X=X) instead")
        columns = frozen._take_fields(check_query(frozen, X))
        with Threads(1) as threads:
            is_seen = seen.has(*levels_of(frozen).encode(columns, threads).T)
        relevant = None if frozen.relevant is None else float_of(frozen, "relevant")
        return score_catalog(Catalog(frozen, "seen", is_seen, relevant), X, y, sample_weight, ndcg_at_k, {"k": 10})

    @property
    def factors_(self) -> list[np.ndarray]:
        """Factor rows of users and of items."""
        rows = [own[:-1] for own in self._preferences.rows]
        for own in rows:
            own.flags.writeable = False
        return rows

    def _take_fields(self, columns: list[Column]) -> list[Column]:
        """Give the columns, of which there must be two."""
        if len(columns) > 2:
            raise ValueError(
                f"X has {len(columns)} columns, and {type(self).__name__} takes two: users and items. Ratings go into "
                "y. Leave others out, or predict ratings with MatrixFactorizationRegressor, which takes contexts."
            )
        return columns

    def _view(self) -> FittedModel:
        """Give what the reading methods work on; ``self`` is a copy of a fitted estimator."""
        return FittedModel(
            levels_of(self),
            Model(self._preferences.rows, self._no_biases, 0.0),
            self.handle_unknown,
            list(getattr(self, "feature_names_in_", [])),
            type(self).__name__,
            has_average_rows=True,
        )

    def _learn_users(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Know no users but those of X, from what is given here; ``self`` is a copy of the estimator."""
        known = self._preferences
        self._preferences = replace(known, rows=[known.rows[0][-1:], known.rows[1]])
        self._seen_pairs = None
        self.categories_, self._sorters = [self.categories_[0][:0], self.categories_[1]], [None, self._sorters[1]]
        self.fold_in(X, y, sample_weight)

    def _kept_pairs(self, caller: str, what_to_do: str) -> SeenPairs:
        """Give the pairs that the model keeps."""
        if self._seen_pairs is None:
            raise ValueError(f"{caller} needs the pairs of fit, and this model keeps none: {what_to_do}.")
        return self._seen_pairs

    def _pairs_to_leave_out(self, exclude: Any) -> tuple[Any, SeenPairs | None]:
        """Give the table of pairs to leave out, or those that the model keeps."""
        if not isinstance(exclude, str):
            return exclude, None
        if exclude != "seen":
            raise ValueError(f"exclude={exclude!r}: give 'seen', a table of pairs, or None.")
        return None, self._kept_pairs("exclude='seen'", "give exclude the X of fit, or None")


def hyperparameters_of(model: MatrixFactorizationRanker) -> PreferenceHyperparameters:
    """Give what training is told of the parameters."""
    return PreferenceHyperparameters(
        int(model.rank),
        None if model.alpha == "auto" else float_of(model, "alpha"),
        None if model.damping == "auto" else float_of(model, "damping"),
        float_of(model, "unobserved_weight"),
        int(model.max_iter),
        float_of(model, "tol"),
    )


def score_with(threads: Threads) -> Score:
    """Give what judges penalties: lists of small fits."""

    def score(users: np.ndarray, items: np.ndarray, seen: PairsBySide, held: PairsBySide) -> np.ndarray:
        return ndcg_of_held_out(users, items, (seen.start, seen.index), (held.start, held.index, held.weights), threads)

    return score


def attributes_of(
    frozen: MatrixFactorizationRanker, levels: Levels, preferences: Preferences, seen: SeenPairs | None
) -> dict[str, Any]:
    """Give the attributes of a ranker with what was learned."""
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
