"""Provide the regressor: predict ratings, recommend items, learn from ratings that come later."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_mf._base import (
    adopt,
    attributes_of,
    check_input,
    check_query,
    check_validation,
    encode_validation,
    fitted_model,
    float_of,
    frozen_copy,
    generator_of,
    learn_own_contexts,
    learned_so_far,
    levels_of,
    model_of,
    replace_rows,
    state_of,
    uncertainty_of,
    validate_parameters,
)
from sklearn_mf._ids.checks import check_new_levels, check_old_ratings, check_replaced_are_known
from sklearn_mf._ids.levels import Levels
from sklearn_mf._ids.tables import split_ids
from sklearn_mf._kernel.rows import RowTable
from sklearn_mf._prediction.explain import explain
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.model import MAX_CHUNK, as_table
from sklearn_mf._prediction.own_contexts import without_owners
from sklearn_mf._prediction.recommend import Question
from sklearn_mf._recommender import Recommender, check_count
from sklearn_mf._streaming import check_fit_input
from sklearn_mf._training.fit import fit_first_batch, fit_steps, learn
from sklearn_mf._training.fold_in import fold_in_levels
from sklearn_mf._training.hyperparameters import Damping, Hyperparameters, StoppingRule
from sklearn_mf._training.learned import Learned, Start
from sklearn_mf._training.losses import LOSSES, make_loss
from sklearn_mf._training.online import update_on_batch
from sklearn_mf._training.progress import Callback
from sklearn_mf._training.schedules import SCHEDULES
from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.callbacks import CallbackSupportMixin, with_callbacks
from sklearn_mf._utils.storage import storage_of
from sklearn_mf._utils.threads import Threads, count_threads

_TABLES = "_factors", "_biases"  # attributes that hold tables; they are pickled as arrays, without underscore
_DEVIATIONS_OF_BOUND = {"rating": 0.0, "lower": -1.0, "upper": 1.0}


class MatrixFactorizationRegressor(CallbackSupportMixin, RegressorMixin, Recommender):
    r"""Predict ratings by factorizing the matrix of users and items.

    Each column of ``X`` is a categorical field: column 0 the user, column 1 the item, any further column a context
    (week, device, age band). A level l of field f has a bias :math:`b_f[l]` and a row of ``rank`` factors
    :math:`V_f[l]`, and the rating of a row x is predicted as

    .. math::

        \hat y(x) = \mu + \sum_f b_f[x_f] + \sum_{f<g} \langle V_f[x_f], V_g[x_g] \rangle .

    With two columns this is biased matrix factorization, :math:`M \approx U V^T` [1]_; with more it is the
    pairwise form of a factorization machine over categorical fields [2]_. A level never seen in ``fit`` contributes
    nothing. Factors and biases minimize, by stochastic gradient descent,

    .. math::

        \sum w \, L(y, \hat y(x)) + \sum_{f, l} \tfrac12 (\alpha n + \delta_f) |V_f[l] - z_f[l]|^2
        + \tfrac12 (\alpha_b n + \delta'_f) (b_f[l] - \zeta_f[l])^2

    with L the ``loss``, half the squared error by default, n the summed weight of the ratings of a level and
    :math:`\delta_f` and :math:`\delta'_f` the ``damping`` of its column, for factors and for biases. Inside, y is
    centered and divided by its weighted standard deviation, so one
    ``learning_rate`` and one ``alpha`` serve every rating scale.

    That somebody rated an item says something about both, whatever the rating. So rows of users and items shrink to
    centers that are predicted from N, the set of their partners: the items that a user rated, the users of an item,

    .. math::

        z_u = |N(u)|^{-1/2} \sum_{j \in N(u)} s_j, \qquad z_i = |N(i)|^{-1/2} \sum_{v \in N(i)} t_v,

    and likewise those of their biases, :math:`\zeta`. The rows s and t are learned along with the factors as a ridge
    regression of the rows on who rated what: SVD++ [4]_ on both sides [5]_, in the form of a regression-based latent
    factor model [6]_. In ``fit`` a partner counts once, whatever the number and weight of the ratings. Without
    implicit features, and for context columns, centers are zero.

    Ratings are visited block by block in a grid of user and item groups; blocks without a group in common are run in
    parallel, with the same result [3]_.

    Parameters
    ----------
    rank : int, default=32
        Number of latent factors, at least 0 and below 2**31; 0 learns biases only (and their centers, with implicit
        features).

    learning_rate : float, default=0.15
        Initial step, above 0, on the standardized scale. The step of one rating is bounded by the curvature of its
        loss, so large weights and many columns do not diverge.

    schedule : {"linear", "constant", "invscaling"}, default="linear"
        Step in epoch t = 0, 1, ...: ``learning_rate * (1 - t / max_iter)``, ``learning_rate`` or
        ``learning_rate / (t + 1) ** 0.25``. What ``early_stopping`` and ``tol`` make of it is said there.
        ``partial_fit`` needs no schedule.

    alpha : float, default=0.08
        L2 strength per rating, on factors; at least 0.

    alpha_bias : float, default=0.01
        L2 strength per rating, on biases; at least 0.

    damping : "auto", float or pair of float, default="auto"
        L2 strength per level, on factors and biases, whatever its number of ratings; at least 0. It keeps levels
        with few ratings near their center. A pair is for users and for items; levels of context columns have five
        times the mean of both. "auto" estimates the damping of biases from the ratings [7]_: one number for users and
        one for items, within 0.05 and 100. Factors then have 5 (users) and 7 (items), levels of context columns 20.
        With ``fit_bias=False`` "auto" is 4 for users and items. ``damping_`` has what was used.

    implicit_features : {"user", "item", "both"} or None, default="both"
        Whose rows and biases shrink to a center predicted from who rated what: those of users (from the items that
        they rated), of items (from the users who rated them), of both; None shrinks all to zero. A fit takes about
        twice as long with "both" as with None. A schedule of ``max_iter=1`` leaves centers at zero. None wants lower
        penalties: about ``alpha=0.04``.

    alpha_implicit : float, default=32.0
        Ridge strength of the regression that predicts the centers, above 0; large values draw centers to zero, values
        far below 10 fit them to noise.

    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson"}, default="squared_error"
        What errors cost: half their square; their absolute value (predicts medians); the square of small and the
        absolute value of large errors; the quantile loss (predicts quantiles); half the Poisson deviance, for counts
        y >= 0: then the model is that of log(y), and y is not standardized. Instead, penalties of biases are multiplied
        by the mean of y, and those of factors by its standard deviation. With ``damping="auto"``, those of factors are
        also multiplied by ``penalty_scale_``, chosen on held-out ratings; a fit takes two to three times as long. The
        absolute and the quantile loss want about twice the ``alpha``.

    epsilon : float, default=1.35
        Of loss="huber": errors above ``epsilon`` standard deviations of y count linearly; above 0.

    quantile : float, default=0.5
        Of loss="quantile": which to predict, between 0 and 1.

    positive : bool, default=False
        Whether factors are kept at 0 or above (projected gradient). With ``fit_bias=False`` and without implicit
        features it is non-negative matrix factorization of what is known of the matrix.

    fit_bias : bool, default=True
        Whether to learn an intercept and biases. Without them, y is divided by its root mean square and not centered,
        the model of two columns is the plain product U V^T, and unknown ids give 0 (before ``clip``).

    max_iter : int, default=20
        Number of epochs, at least 1; with ``early_stopping`` or ``tol`` the most, give 200 or so.

    tol : float or None, default=None
        None runs the schedule to its end. A float lets the fit find its length: the step stays as it is until the score
        has not risen by more than ``tol`` in ``n_iter_no_change`` epochs; then the best epoch is taken up again with
        half the step, and so on until the step is small (with a schedule other than "linear", training ends there).
        The score is that of held-out ratings with ``early_stopping``, otherwise 1 - loss / loss of the best constant in
        training. Whatever it does, a "linear" step falls to zero in the second half of ``max_iter``.

    early_stopping : bool, default=False
        Whether to find the length on ratings held out of ``fit``, as ``tol`` says (None is 0 then). What is left are
        the parameters of the best epoch. With ``damping="auto"`` and at least 5,000 ratings, three short fits also
        choose the strength of the penalties of factors (``penalty_scale_``).

    refit : bool, default=True
        Whether to train once more, on all ratings, with the epochs and steps that led to the best, after
        ``early_stopping`` on ratings that were held out of X; with ``X_val`` there is no refit. Holding out costs
        accuracy, a refit gives it back for about half as much time again.

    validation_fraction : float, default=0.1
        Part of the (merged) ratings that ``early_stopping`` holds out, between 0 and 1.

    n_iter_no_change : int, default=10
        Number of epochs without a better score after which ``early_stopping`` and ``tol`` act, at least 1.

    warm_start : bool, default=False
        Whether ``fit`` starts from the factors, biases and centers of the fit before, for ids that it had.

    clip : bool, default=True
        Whether predictions are kept within the range of the ratings seen in ``fit`` and in ``partial_fit``.

    handle_unknown : {"ignore", "warn", "error", "nan"}, default="ignore"
        What ``predict`` does with ids not seen in ``fit``: predict from the other columns, the same with a
        ``UserWarning``, raise a ``ValueError``, or return NaN for these rows (scikit-learn's scores refuse NaN: use
        it outside of cross-validation). Missing ids are an error in every mode.

    n_jobs : int or None, default=None
        Number of threads in ``fit`` and ``predict``. None is 1 unless in a ``joblib.parallel_config`` context, -1
        all processors. The result is the same, bit for bit, for every value.

    forgetting : float, default=0.0
        Part of what is known of a row that ``partial_fit`` forgets before each rating of the row, at least 0 and below
        1: for tastes that drift. What is left rests on about the last ``1 / forgetting`` ratings of the row. ``fit``
        and ``fold_in`` do not forget.

    random_state : int, RandomState instance or None, default=None
        Seed of the initial factors, the groups, the order of visits and the ratings held out. An int gives the same
        model on every call.

    memory_map : None, True, str or path-like, default=None
        Where the large arrays of ``fit`` lie. None: in memory. The path of a folder: in files of that folder, which are
        mapped into memory, so that ratings may take more than the memory has. True: the same in the folder of the
        system for temporary files, which on some systems is memory itself. The files are removed when ``fit`` ends. The
        result is the same, bit for bit. ``fit`` then reads X twice.

    verbose : int, default=0
        1 or more prints a line for each epoch of ``fit``, and for each batch of ``partial_fit``.

    Attributes
    ----------
    categories_ : list of ndarray
        Sorted ids seen in ``fit``, one array per column; those that ``partial_fit`` and ``fold_in`` add follow.

    factors_ : list of ndarray of shape (n_levels, rank), float32
        Factor rows, one array per column, in the order of ``categories_``.

    biases_ : list of ndarray of shape (n_levels,), float32
        Biases, one array per column, in the order of ``categories_``.

    user_factors_, item_factors_ : ndarray of shape (n_users, rank) and (n_items, rank), float32
        The first two of ``factors_``.

    user_biases_, item_biases_ : ndarray of shape (n_users,) and (n_items,), float32
        The first two of ``biases_``.

    intercept_ : float
        Best constant of the loss: weighted mean, median or quantile of the ratings, or the log of their mean
        ("poisson"); 0 with ``fit_bias=False``.

    damping_ : ndarray of shape (n_columns, 2), float64
        Damping that ``fit`` used: of factors and of biases, for users, items and each context column.

    penalty_scale_ : float
        What ``alpha`` and ``damping`` of factors were multiplied by: 1, or what was chosen for counts or with early
        stopping.

    rating_range_ : tuple of (float, float)
        Lowest and highest rating seen, the bounds of ``clip``.

    loss_curve_ : list of float
        Mean loss in each epoch that led to the model, each rating's as it was when the rating was visited; in the unit
        of the loss of y, without penalties. With implicit features it is the loss without what the rating's own pair
        tells, usually a little more than that of ``predict``. ``partial_fit`` adds one for each batch; the last 10,000
        are kept.

    validation_scores_ : list of float
        With ``early_stopping``, 1 - loss / loss of the best constant on held-out ratings after each epoch that led to
        the best one, before ``clip``: R^2 for the squared loss. Empty without.

    best_validation_score_ : float or None
        The highest, and last, of them.

    n_iter_ : int
        Number of epochs that led to the model, and of batches since.

    n_features_in_ : int
        Number of columns seen in ``fit``.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X had names that are all strings.

    See Also
    --------
    MatrixFactorizationRanker : Finds what to offer, from ratings or clicks.

    Notes
    -----
    A fit depends on the set of ratings and on ``random_state`` only: not on the order of the rows, the number of
    threads or what the ids are called. A weight of 3 is the same as the rating given three times, a weight of 0 the
    same as leaving it out. No ratings are kept; for context columns in which each user, or each item, always has the
    same value, these values are, for :meth:`recommend` to warn by.

    An epoch in which the loss explodes is taken back and run again with half the step, with one ``ConvergenceWarning``.

    Ids are numbers, text, bytes or datetimes, one kind per column; 1, 1.0 and True are one id.

    References
    ----------
    .. [1] Y. Koren, R. Bell and C. Volinsky, "Matrix factorization techniques for recommender systems", Computer
       42(8), 2009.
    .. [2] S. Rendle, "Factorization machines", ICDM 2010.
    .. [3] R. Gemulla, E. Nijkamp, P. J. Haas and Y. Sismanis, "Large-scale matrix factorization with distributed
       stochastic gradient descent", KDD 2011.
    .. [4] Y. Koren, "Factorization meets the neighborhood: a multifaceted collaborative filtering model", KDD 2008.
    .. [5] S. Rendle, L. Zhang and Y. Koren, "On the difficulty of evaluating baselines: a study on recommender
       systems", 2019.
    .. [6] D. Agarwal and B.-C. Chen, "Regression-based latent factor models", KDD 2009.
    .. [7] S. R. Searle, G. Casella and C. E. McCulloch, "Variance components", Wiley 1992.

    Examples
    --------
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Casablanca"], ["cem", "Brazil"]]
    >>> y = [5, 3, 4, 2, 4]
    >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, y)
    >>> model.predict([["cem", "Alien"], ["ann", "Casablanca"]]).round(1)
    array([4. , 3.4])
    """

    _value_name: ClassVar[str] = "rating"
    _parameter_constraints: ClassVar[dict] = {
        "rank": [Interval(Integral, 0, 2**31, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions(set(SCHEDULES))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "alpha_bias": [Interval(Real, 0, None, closed="left")],
        "damping": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"}), tuple, list, np.ndarray],
        "implicit_features": [StrOptions({"user", "item", "both"}), None],
        "alpha_implicit": [Interval(Real, 0, None, closed="neither")],
        "loss": [StrOptions(set(LOSSES))],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "positive": ["boolean"],
        "fit_bias": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "early_stopping": ["boolean"],
        "refit": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "clip": ["boolean"],
        "handle_unknown": [StrOptions({"ignore", "warn", "error", "nan"})],
        "forgetting": [Interval(Real, 0, 1, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "memory_map": [None, "boolean", str, PathLike],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        rank: int = 32,
        *,
        learning_rate: float = 0.15,
        schedule: str = "linear",
        alpha: float = 0.08,
        alpha_bias: float = 0.01,
        damping: float | tuple[float, float] | str = "auto",
        implicit_features: str | None = "both",
        alpha_implicit: float = 32.0,
        loss: str = "squared_error",
        epsilon: float = 1.35,
        quantile: float = 0.5,
        positive: bool = False,
        fit_bias: bool = True,
        max_iter: int = 20,
        tol: float | None = None,
        early_stopping: bool = False,
        refit: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        clip: bool = True,
        handle_unknown: str = "ignore",
        forgetting: float = 0.0,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        memory_map: str | PathLike | bool | None = None,
        verbose: int = 0,
    ):
        self.rank = rank
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.alpha = alpha
        self.alpha_bias = alpha_bias
        self.damping = damping
        self.implicit_features = implicit_features
        self.alpha_implicit = alpha_implicit
        self.loss = loss
        self.epsilon = epsilon
        self.quantile = quantile
        self.positive = positive
        self.fit_bias = fit_bias
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.refit = refit
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.clip = clip
        self.handle_unknown = handle_unknown
        self.forgetting = forgetting
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.memory_map = memory_map
        self.verbose = verbose

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> MatrixFactorizationRegressor:
        """Learn factors and biases from rated pairs.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_ratings, n_columns)
            Ids: column 0 the user, column 1 the item, any further column a context. A NumPy array, a list of rows, or
            a pandas, polars or pyarrow table; each column of its own type. Or what
            :func:`~sklearn_mf.datasets.open_ratings` returns: a file that is read in batches, with its ratings and
            weights.

        y : array-like of shape (n_ratings,)
            Ratings, finite numbers. None where X is a file, which has them.

        sample_weight : array-like of shape (n_ratings,), default=None
            Weights, at least 0 and not all 0; their scale does not matter. None weighs all ratings alike, or as a file
            that is X says.

        X_val, y_val : as X and y, default=None
            Ratings to stop by, with ``early_stopping=True``, instead of some that are held out of X at random: later
            ones, say. They are not trained on. Ids that X has not are allowed.

        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of ``X_val``.

        Returns
        -------
        self : MatrixFactorizationRegressor
            The fitted estimator. A fit that fails or is interrupted leaves it as it was.

        Raises
        ------
        ValueError
            If ids are missing, NaN, infinite or of several kinds in one column, if ratings or weights are not finite,
            if weights are negative or all zero, if counts of ``loss="poisson"`` are, or if shapes do not fit; if
            ``memory_map`` is not a folder; if a file that is X has changed since it was opened.
        TypeError
            If X is sparse, or an id is neither number, text, bytes nor datetime.
        OSError
            If a file that is X cannot be read, or the disk of ``memory_map`` has too little room.
        """
        hyper, stopping = hyperparameters_of(self), stopping_rule_of(self)
        callback = Callback(self, hyper.loss, stopping.max_iter if stopping.has_fixed_length else None)
        before, frozen = frozen_copy(self), frozen_copy(self)
        memory_map = _memory_map_of(self)
        given = check_fit_input(frozen, X, y, sample_weight, hyper, is_mapped=memory_map is not None)
        held = check_validation(frozen, len(given.labels), X_val, y_val, sample_weight_val, hyper.loss)
        start = None
        if self.warm_start and hasattr(before, "_training_state"):
            start = learned_so_far(before, hyper, "warm_start")
        callback.begin_fit(X, y, sample_weight)
        with storage_of(memory_map) as storage, Threads(count_threads(self.n_jobs)) as threads:
            shard = Shard(threads, storage)
            levels, coded = given.fit_levels(shard)
            learn_own_contexts(frozen, coded)
            callback.attributes = lambda learned: attributes_of(frozen, levels, learned)
            steps = fit_steps(
                coded,
                hyper,
                stopping,
                None if held is None else encode_validation(held, levels, threads),
                None if start is None else Start(start, _places_in(before, levels, given.labels)),
                generator_of(self),
                shard,
            )
            del given, coded, held  # to make room
            learned = learn(steps, callback)
        callback.end_fit(learned)
        return adopt(self, frozen, levels, learned)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        y_old: ArrayLike | None = None,
    ) -> MatrixFactorizationRegressor:
        """Learn a batch of ratings that came later; ids never seen before are added.

        The first call is a ``fit``. Later calls learn each rating once, by recursive least squares [1]_: a rating moves
        the rows of its user and item by what they do not know yet, so a row with many ratings moves little, and no
        learning rate is chosen. ``learning_rate``, ``schedule``, ``max_iter``, ``tol`` and ``early_stopping`` matter
        in the first call alone.

        The mean, scale and intercept, the estimated damping and, with implicit features, what the centers of new
        users and items are predicted with, stay those of the first call, or of the ``fit`` before. A new row starts at
        its center, and known rows follow theirs when they gain a partner. No ratings are kept: a pair that is rated
        again counts twice, unless ``y_old`` says what its rating was.

        Parameters
        ----------
        X, y, sample_weight : as in ``fit``
            The batch. The scale of the weights is that of the first call's; None weighs each 1.

        y_old : array-like of shape (n_ratings,), default=None
            Where a rating replaces an earlier one of the same pair: the earlier rating, learned with the same weight.
            NaN elsewhere. None replaces nothing. No ratings are kept, so that a rating was there is not checked.

        Returns
        -------
        self : MatrixFactorizationRegressor
            The fitted estimator. A call that fails leaves it as it was.

        Raises
        ------
        ValueError
            As in ``fit``; if ids are of another kind than before; if ``rank``, ``loss``, ``positive``, ``fit_bias``
            or ``implicit_features`` was changed; if all ratings of a first batch are the same; if ``y_old`` is
            infinite, of another length than ``y``, beyond the range of the ratings learned, or given for a user, item
            or context that is new.

        Notes
        -----
        Ratings of a batch are learned in an order that depends on their set alone, by one thread. A call copies the
        parts of the model that it changes, in chunks of a kilobyte, and shares the others with the model
        before. So other threads may read the model all the time: they see it as it was before the call, or after.

        Rows of a model that has learned most of its ratings in this way take larger steps: the damping of factors is
        multiplied by the part of the ratings that ``fit`` had, 0.4 at least.

        References
        ----------
        .. [1] L. Ljung and T. Soederstroem, "Theory and practice of recursive identification", MIT Press 1983.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, [5, 3, 4, 2, 4])
        >>> before = model.predict([["dora", "Alien"]])
        >>> model = model.partial_fit([["dora", "Alien"], ["dora", "Brazil"]], [2, 1])
        >>> bool(model.predict([["dora", "Alien"]]) < before)
        True

        Dora thinks better of Brazil, of which she had said 1:

        >>> model = model.partial_fit([["dora", "Brazil"]], [4], y_old=[1])
        """
        frozen = frozen_copy(self)
        if "_training_state" not in vars(frozen):
            return self._fit_first_batch(X, y, sample_weight, y_old)
        validate_parameters(frozen)
        hyper = hyperparameters_of(frozen)
        given = check_input(frozen, X, y, sample_weight, hyper.loss, reset=False)
        y_old = check_old_ratings(y_old, len(given.y))
        with Threads(count_threads(frozen.n_jobs, len(given.y) > MAX_CHUNK)) as threads:
            known = learned_so_far(frozen, hyper, "partial_fit")
            levels, coded, rows = given.grow_levels(levels_of(frozen), threads)
            if y_old is not None:
                y_old = y_old[rows]
                hyper.loss.check_targets(y_old, (~np.isnan(y_old)).astype(np.float64), "y_old")
                is_new = np.stack(coded.codes, axis=1) >= np.array(known.model.n_levels)
                check_replaced_are_known(y_old, is_new, rows, known.rating_range)
            learn_own_contexts(frozen, coded, goes_on=True)
            learned = update_on_batch(
                known,
                coded,
                y_old,
                hyper,
                float_of(frozen, "forgetting"),
                lambda: generator_of(frozen, known.n_iter),
            )
        return self._adopt_batch(frozen, levels, learned, len(given.y))

    @_fit_context(prefer_skip_nested_validation=True)
    def _fit_first_batch(self, X: Any, y: Any, sample_weight: Any, y_old: Any) -> MatrixFactorizationRegressor:
        """Learn from nothing."""
        frozen = frozen_copy(self)
        hyper = hyperparameters_of(frozen)
        given = check_input(frozen, X, y, sample_weight, hyper.loss, reset=True)
        if check_old_ratings(y_old, len(given.y)) is not None:
            raise ValueError("y_old is given, and the model has learned nothing that could be replaced.")
        with Threads(count_threads(frozen.n_jobs)) as threads:
            shard = Shard(threads)
            levels, coded = given.fit_levels(shard)
            learn_own_contexts(frozen, coded)
            learned = fit_first_batch(coded, hyper, stopping_rule_of(frozen), generator_of(frozen), shard)
        return self._adopt_batch(frozen, levels, learned, len(given.y))

    def _adopt_batch(
        self, frozen: MatrixFactorizationRegressor, levels: Levels, learned: Learned, n_ratings: int
    ) -> MatrixFactorizationRegressor:
        """Become what was learned from a batch; say so if the user wants to know."""
        if self.verbose:
            print(f"Batch of {n_ratings} ratings  {learned.state.hyper.loss.training_line(learned.losses[-1])}")
        return adopt(self, frozen, levels, learned)

    def forget(self, users: ArrayLike) -> MatrixFactorizationRegressor:
        """Remove users from the model: their ids, their rows, and what is kept of their ratings.

        What items have learned from their ratings stays, as sums over all their users. To remove that too, ``fit``
        again without these users.

        Parameters
        ----------
        users : array-like of shape (n_users,)
            Ids of users that the model knows.

        Returns
        -------
        self : MatrixFactorizationRegressor
            The estimator. To it, these users are now as users never seen. The others, and their order in
            ``categories_``, stay as they are.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a user is not known, or all users would be removed.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, [5, 3, 4, 2, 4])
        >>> model.forget(["bob"]).categories_[0]
        array(['ann', 'cem'], dtype=object)
        """
        frozen = self._frozen()
        with Threads(count_threads(self.n_jobs)) as threads:
            levels, places = levels_of(frozen).without(0, split_ids(users, "users"), threads)
        own, state = vars(frozen).get("_own_contexts"), state_of(frozen)
        model = model_of(frozen)
        kept = [np.delete(tables[0].whole(), places, axis=0) for tables in (model.factors, model.biases)]
        frozen._factors, frozen._biases = (
            [as_table(kept[0]), *model.factors[1:]],
            [as_table(kept[1]), *model.biases[1:]],
        )
        frozen.categories_, frozen._sorters = levels.ids, levels.sorters
        frozen._own_contexts = own and without_owners(own, "user", places)
        frozen._training_state = state.without_levels(0, places)
        self.__dict__ = vars(frozen)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fold_in(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, *, update_known: bool = False
    ) -> MatrixFactorizationRegressor:
        """Add users, items or context levels never seen, without a refit.

        The bias and factors of each new level are the exact minimum of the objective of ``fit``, over all its ratings
        given here, with everything else held as it is; all other predictions stay the same, bit for bit. With implicit
        features the center of a new user comes from the items rated here, that of a new item from its users.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_ratings, n_columns)
            Ids, exactly one in each row new: for new users rating new items, fold in the users first, with their
            ratings of known items, then the items.

        y : array-like of shape (n_ratings,)
            Ratings.

        sample_weight : array-like of shape (n_ratings,), default=None
            Weights, on the scale of those of ``fit``; None weighs each 1.

        update_known : bool, default=False
            Whether rows without a new id are allowed: they solve their user again, from the ratings given here alone.

        Returns
        -------
        self : MatrixFactorizationRegressor
            The estimator, with the new levels at the end of ``categories_``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If rows have no new id, or several; if ``loss`` is not "squared_error", or ``positive`` is set: use
            ``partial_fit`` then; or as in ``fit``.
        """
        hyper, frozen = hyperparameters_of(self), frozen_copy(self)
        check_is_fitted(frozen)
        if not hyper.loss.is_least_squares or self.positive:
            raise ValueError(
                "fold_in solves least squares, and so does recommend_from, for loss='squared_error' and "
                f"positive=False; use partial_fit for loss={self.loss!r} and positive={self.positive}."
            )
        given = check_input(frozen, X, y, sample_weight, hyper.loss, reset=False)
        known = learned_so_far(frozen, hyper, "fold_in")
        with Threads(count_threads(self.n_jobs)) as threads:
            levels, coded, rows = given.grow_levels(levels_of(frozen), threads)
        learn_own_contexts(frozen, coded, goes_on=True)
        indices = np.stack(coded.codes, axis=1)
        is_new = indices >= np.array(known.model.n_levels)
        check_new_levels(is_new, indices[:, 0], rows, bool(update_known))
        learned = fold_in_levels(known, coded, is_new.argmax(axis=1), hyper)
        return adopt(self, frozen, levels, learned)

    def predict(self, X: Any, return_std: bool | str = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the ratings of pairs and, where it is asked for, how sure they are.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, n_columns)
            Ids, in the columns and of the kinds given to ``fit``.

        return_std : bool or "mean", default=False
            Whether to return standard deviations too. True: of a rating that would be given now. "mean": of what that
            rating is expected to be, without the noise of the rating itself.

        Returns
        -------
        y : ndarray of shape (n_pairs,), float64
            Predicted ratings. An id not seen in ``fit`` is treated as ``handle_unknown`` says.

        y_std : ndarray of shape (n_pairs,), float64
            Standard deviations, on the scale of y; with ``return_std`` alone. An id never seen counts as one without
            ratings. Where the prediction is NaN, the deviation is NaN too.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If ids are of another kind than in ``fit``, missing or, with ``handle_unknown="error"``, unknown; if
            ``return_std`` is none of these, or set for a loss other than "squared_error", "huber" and
            "absolute_error".

        Notes
        -----
        The variance of a rating is :math:`s_u^2 s_i^2 / s^2 \\, (1 + h)`. The noise s of a user, of an item and of all
        ratings comes from the errors in ``fit``, each as if its rating had been left out [1]_. For h, each row has a
        precision that grows with its ratings; ``partial_fit`` and ``fold_in`` keep all of it up to date. ``clip``
        does not change the deviations.

        References
        ----------
        .. [1] R. D. Cook and S. Weisberg, "Residuals and influence in regression", Chapman and Hall 1982.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, [5, 3, 4, 2, 4])
        >>> y, y_std = model.predict([["ann", "Casablanca"], ["zoe", "Casablanca"]], return_std="mean")
        >>> bool(y_std[0] < y_std[1])  # nothing is known of zoe
        True
        """
        if isinstance(return_std, np.bool_):
            return_std = bool(return_std)
        if return_std is False:
            return super().predict(X)
        if return_std is not True and not (isinstance(return_std, str) and return_std == "mean"):
            raise ValueError(f"return_std must be True, False or 'mean'. Got {return_std!r} instead.")
        frozen = self._frozen()
        columns, fitted = check_query(frozen, X), frozen._view_with_uncertainty()
        with Threads(count_threads(self.n_jobs, len(columns[0]) > MAX_CHUNK)) as threads:
            return fitted.predict_with_deviations(columns, return_std == "mean", threads)

    def recommend(
        self,
        users: ArrayLike,
        n_items: int = 10,
        *,
        by: str = "rating",
        exclude: Any = None,
        candidates: ArrayLike | None = None,
        context: Any = None,
        item_context: Any = None,
        as_frame: bool = False,
    ) -> tuple[np.ndarray, np.ndarray] | Any:
        """Find the items with the highest predicted ratings for each user.

        Parameters
        ----------
        users : array-like of shape (n_users,)
            User ids. A user never seen in ``fit`` gets the items with the highest biases, and is reported as
            ``handle_unknown`` says ("nan": their ratings are NaN). An empty list gives empty arrays.

        n_items : int, default=10
            How many items for each user, at least 1. With fewer candidates there are as many as these.

        by : {"rating", "lower", "upper"}, default="rating"
            What items are ranked by: the predicted rating; that minus its standard deviation, for careful lists; that
            plus its standard deviation, for lists that explore. The deviation is that of ``predict`` with
            ``return_std="mean"``. With context columns bounds take longer: each item is scored for each user by itself.

        exclude : array-like or dataframe of shape (n_pairs, >= 2), default=None
            (user, item) pairs not to recommend: the X of ``fit``, to leave out what was rated. Ids that are not known
            are no error. Further columns are not looked at. It takes about 11 bytes of memory a pair.

        candidates : array-like of shape (n_candidates,), default=None
            Ids of the items to choose from. None: all that were seen in ``fit``.

        context : array-like, default=None
            For models with context columns: one value for each, of shape (n_columns - 2,), for all users, or a table of
            shape (n_users, n_columns - 2); of a single context column also (n_users,). A value never seen in ``fit``
            adds nothing to the ranking and is warned of, with ``handle_unknown="ignore"`` too ("error" raises, "nan"
            makes the ratings NaN). Columns of ``item_context`` are left out.

        item_context : array-like, dataframe or mapping, default=None
            For context columns that belong to the item (its year, its genre): a table with the items in its first
            column and their values in further ones, a row for each candidate at least; or a mapping, or pandas Series,
            from an item to its value, or to a list of them. Each item is then ranked in its own context. A frame names
            the context columns that it has, where ``fit`` saw names. Otherwise its columns are all context columns, in
            the order of ``fit``, or all those where each item always had the same value in ``fit``.

        as_frame : bool, default=False
            Whether to return a pandas frame with a row for each item that was found: user, item, place (from 1 on) and
            rating. Users and items are called as the columns of ``fit``, where these had names.

        Returns
        -------
        items : ndarray of shape (n_users, min(n_items, n_candidates))
            Item ids, best first. What is predicted the same is in the order of ``categories_[1]``. n_candidates is the
            number of different candidates. Where ``exclude`` leaves fewer items, the end of the row is filled with -1
            (ids that are int; the largest number if unsigned 64 bit), NaN (float), NaT (datetimes) or None (text).
            Where that may be an id itself, leave fills out by another mark: their ratings are NaN.

        ratings : ndarray of shape (n_users, min(n_items, n_candidates)), float64
            What ``predict`` gives for these pairs, NaN where there is no item. The order is that of the model, also
            among ratings that ``clip`` made equal. With ``by="lower"`` or "upper" the order is that of the bounds.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If ``by`` is none of these, or a bound and the loss has no deviations; if a candidate is not known, ids
            are of another kind than in ``fit``, ``n_items`` is below 1, context is
            missing, ``item_context`` has no row for a candidate or several that differ, or with
            ``handle_unknown="error"`` a user or a context is not known.
        TypeError
            If ``n_items`` is not an int.

        Warns
        -----
        UserWarning
            If a context was never seen in ``fit``; if ``context`` has a column in which each item always had the same
            value, and candidates had another; if one row of ``context`` is given for several users, in a column in
            which each user always had the same value, and some had another. The model keeps these values, no ratings.

        Notes
        -----
        Scores of blocks of users come from a product of matrices, which chooses items that may be among the best; they
        are then ordered by what ``predict`` computes. So the result does not depend on ``n_jobs`` or on who else is
        asked for. ``n_jobs`` threads share the users, and BLAS has one thread in each.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, [5, 3, 4, 2, 4])
        >>> items, ratings = model.recommend(["bob", "cem"], 2, exclude=X)
        >>> items
        array([['Brazil', None],
               ['Alien', 'Casablanca']], dtype=object)

        The decade of a film belongs to the item:

        >>> decades = {"Alien": "70s", "Brazil": "80s", "Casablanca": "40s"}
        >>> with_decades = [[user, film, decades[film]] for user, film in X]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(with_decades, [5, 3, 4, 2, 4])
        >>> items, ratings = model.recommend(["bob", "cem"], 1, exclude=X, item_context=decades)
        >>> items
        array([['Brazil'],
               ['Alien']], dtype=object)
        """
        frozen, n_items = self._frozen(), check_count(n_items, "n_items")
        if not (isinstance(by, str) and by in _DEVIATIONS_OF_BOUND):
            raise ValueError(f"by must be one of {', '.join(map(repr, _DEVIATIONS_OF_BOUND))}. Got {by!r} instead.")
        question = Question(users, n_items, exclude, candidates, context, item_context)
        question = replace(question, n_deviations=_DEVIATIONS_OF_BOUND[by])
        return frozen._answer(question, as_frame)

    def explain(self, X: Any) -> Bunch:
        """Take predictions apart.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, n_columns)
            Ids, as for ``predict``.

        Returns
        -------
        parts : :class:`~sklearn.utils.Bunch` of ndarrays of shape (n_pairs,), float64
            ``intercept``, ``user_bias``, ``item_bias``, ``context`` (all that context columns bring: their biases, and
            their factors with those of user, item and each other), ``interaction`` (user factors times item factors),
            ``score`` (the sum of these), and ``rating``: what ``predict`` returns, that is the score, its exponential
            with ``loss="poisson"``, within the range of the ratings with ``clip``. An id never seen adds 0.
            ``pandas.DataFrame(parts)`` makes a table of it.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            As in ``predict``.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, [5, 3, 4, 2, 4])
        >>> parts = model.explain([["cem", "Alien"]])
        >>> [f"{name} {values[0]:.2f}" for name, values in parts.items()]  # doctest: +ELLIPSIS
        ['intercept 3.60', 'user_bias 0...', 'item_bias 0...', 'context 0.00', ...]
        """
        frozen = self._frozen()
        columns, fitted = check_query(frozen, X), fitted_model(frozen)
        with Threads(count_threads(self.n_jobs)) as threads:
            return Bunch(**explain(fitted, columns, threads))

    @property
    def factors_(self) -> list[np.ndarray]:
        """Factor rows, one array per column, in the order of ``categories_``.

        They cannot be written to; to replace them, set the attribute.
        """
        return self._whole("_factors")

    @factors_.setter
    def factors_(self, arrays: list[np.ndarray]) -> None:
        replace_rows(self, "_factors", arrays)

    @property
    def biases_(self) -> list[np.ndarray]:
        """Biases, one array per column, in the order of ``categories_``.

        They cannot be written to; to replace them, set the attribute.
        """
        return self._whole("_biases")

    @biases_.setter
    def biases_(self, arrays: list[np.ndarray]) -> None:
        replace_rows(self, "_biases", arrays)

    def _whole(self, name: str) -> list[np.ndarray]:
        """Give the tables of an attribute as arrays."""
        if name not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} has no {name[1:]}_ before fit.")
        return [rows.whole() if isinstance(rows, RowTable) else rows for rows in vars(self)[name]]

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        for name in _TABLES:
            if name in state:
                state[f"{name[1:]}_"] = [np.asarray(rows) for rows in state.pop(name)]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        parameters = signature(type(self).__init__).parameters.values()
        state = {**{each.name: each.default for each in parameters if each.default is not each.empty}, **state}
        for name in _TABLES:
            if f"{name[1:]}_" in state:
                state[name] = [as_table(rows) for rows in state.pop(f"{name[1:]}_")]
        super().__setstate__(state)

    @property
    def user_biases_(self) -> np.ndarray:
        """Biases of the users, ``biases_[0]``."""
        return self.biases_[0]

    @property
    def item_biases_(self) -> np.ndarray:
        """Biases of the items, ``biases_[1]``."""
        return self.biases_[1]

    def _view(self) -> FittedModel:
        """Give what the reading methods work on; ``self`` is a copy of a fitted estimator."""
        return fitted_model(self)

    def _view_with_uncertainty(self) -> FittedModel:
        """Give the same, for methods that tell how sure predictions are."""
        return replace(fitted_model(self), uncertainty=uncertainty_of(self))

    def _view_for(self, question: Question) -> FittedModel:
        """Give what a question needs."""
        return self._view_with_uncertainty() if question.n_deviations else self._view()

    def _learn_users(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Know no users but those of X, from what is given here; ``self`` is a copy of the estimator."""
        if y is None:
            raise ValueError("recommend_from needs y, the ratings of the pairs in X.")
        model = model_of(self)
        no_factors, no_bias = np.empty((0, model.rank), dtype=np.float32), np.empty(0, dtype=np.float32)
        self._factors, self._biases = [as_table(no_factors), model.factors[1]], [as_table(no_bias), model.biases[1]]
        self.categories_, self._sorters = [self.categories_[0][:0], self.categories_[1]], [None, self._sorters[1]]
        self._training_state = state_of(self).without_users()
        self.fold_in(X, y, sample_weight)


def hyperparameters_of(model: MatrixFactorizationRegressor) -> Hyperparameters:
    """Give what training is told of the parameters."""
    return Hyperparameters(
        int(model.rank),
        float_of(model, "learning_rate"),
        float_of(model, "alpha"),
        float_of(model, "alpha_bias"),
        _damping_of(model),
        model.implicit_features,
        float_of(model, "alpha_implicit"),
        bool(model.fit_bias),
        make_loss(model.loss, epsilon=float_of(model, "epsilon"), quantile=float_of(model, "quantile")),
        bool(model.positive),
    )


def _damping_of(model: MatrixFactorizationRegressor) -> Damping | None:
    """Give the damping of users and of items; None where it is estimated."""
    if isinstance(model.damping, str):
        return None
    if isinstance(model.damping, Real):
        return Damping.of_sides(*[float_of(model, "damping")] * 2)
    pair, largest = list(model.damping), float(np.finfo(np.float64).max)
    if len(pair) != 2 or not all(isinstance(d, Real) and 0 <= d <= largest for d in pair):
        raise InvalidParameterError(
            f"The 'damping' parameter of {type(model).__name__} must be 'auto', a number, or two numbers, of users and "
            f"of items, each at least 0. Got {model.damping!r} instead."
        )
    return Damping.of_sides(float(pair[0]), float(pair[1]))


def stopping_rule_of(model: MatrixFactorizationRegressor) -> StoppingRule:
    """Give how long to train."""
    return StoppingRule(
        model.schedule,
        int(model.max_iter),
        None if model.tol is None else float_of(model, "tol"),
        bool(model.early_stopping),
        bool(model.refit),
        int(model.n_iter_no_change),
        model.validation_fraction,
    )


def _memory_map_of(model: MatrixFactorizationRegressor) -> str | PathLike | bool | None:
    """Give the folder for large arrays, True for a temporary one, or None."""
    path = model.memory_map
    if not isinstance(path, (str, PathLike)):
        return True if path else None
    if not str(path) or not Path(path).is_dir():
        raise InvalidParameterError(
            f"The 'memory_map' parameter of {type(model).__name__} must be None, True or the path of a folder that "
            f"exists. There is no folder {str(path)!r}."
        )
    return path


def _places_in(model: MatrixFactorizationRegressor, levels: Levels, labels: list[str]) -> list[np.ndarray]:
    """Find where levels are among those that the model has, -1 for nowhere."""
    own = levels_of(model)
    if len(levels.ids) != len(own.ids):
        raise ValueError(
            f"warm_start goes on from a model of {len(own.ids)} columns, and X has {len(levels.ids)}. Give "
            "it the same ones, or fit anew with warm_start=False."
        )
    return own.find(levels, labels)
