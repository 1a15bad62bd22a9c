"""Provide the regressor, which predicts ratings, recommends items and learns from new ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from inspect import signature
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_mf._base import (
    Request,
    add_rows_of,
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
from sklearn_mf._ids.rows import warn_of_other_order
from sklearn_mf._ids.tables import split_ids
from sklearn_mf._kernel.rows import RowTable
from sklearn_mf._prediction.explain import explain
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.model import MAX_CHUNK, as_table
from sklearn_mf._prediction.own_contexts import without_owners
from sklearn_mf._prediction.recommend import Question
from sklearn_mf._recommender import ONE_TABLE, FactorRecommender, check_count
from sklearn_mf._streaming import check_fit_input
from sklearn_mf._training.fit import fit_first_batch, fit_steps, learn
from sklearn_mf._training.fold_in import fold_in_levels
from sklearn_mf._training.hyperparameters import Damping, Hyperparameters, StoppingRule
from sklearn_mf._training.learned import Learned, Start, TrainingState
from sklearn_mf._training.losses import LOSSES, make_loss
from sklearn_mf._training.online import update_on_batch
from sklearn_mf._training.progress import Callback
from sklearn_mf._training.schedules import SCHEDULES
from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.callbacks import CallbackSupportMixin, keep_type, with_callbacks
from sklearn_mf._utils.storage import storage_of
from sklearn_mf._utils.threads import Threads, count_threads

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Self

_TABLES = "_factors", "_biases"  # attributes with tables; pickled as arrays, under the public names
_DEVIATIONS_OF_BOUND = {"rating": 0.0, "lower": -1.0, "upper": 1.0}


class MatrixFactorizationRegressor(CallbackSupportMixin, RegressorMixin, FactorRecommender):
    r"""Predict ratings by factorizing the matrix of users and items.

    This is collaborative filtering for explicit feedback. Each column of ``X`` is a categorical field: column 0 is the
    user, column 1 the item, and any further column a context (week, device, age band). A category is one distinct value
    of a column, such as one user or one item. Category :math:`l` of column :math:`f` has a bias :math:`b_f[l]` and a
    row of ``rank`` factors :math:`V_f[l]`. The predicted rating of a row x is

    .. math::

        \hat y(x) = {} & \mu + \sum_f b_f[x_f] \\
        & + \sum_{f<g} \langle V_f[x_f], V_g[x_g] \rangle .

    With two columns this is biased matrix factorization, :math:`M \approx U V^T` [1]_. With more columns it is the
    pairwise form of a factorization machine over categorical columns [2]_. A category that ``fit`` has not seen (cold
    start) contributes nothing. Stochastic gradient descent learns the factors and biases. It minimizes

    .. math::

        & \sum w \, L(y, \hat y(x)) \\
        & + \sum_{f, l} \tfrac12 (\alpha n + \delta_f) |V_f[l] - z_f[l]|^2 \\
        & + \sum_{f, l} \tfrac12 (\alpha_b n + \delta'_f) (b_f[l] - \zeta_f[l])^2 .

    Here :math:`L` is the ``loss``, half the squared error by default, and n is the summed weight of the ratings of a
    category. :math:`\delta_f` and :math:`\delta'_f` are the ``damping`` of the column, for factors and for biases.
    ``fit`` centers y and divides it by its weighted standard deviation. So one ``learning_rate`` and one ``alpha`` suit
    every rating scale.

    With ``implicit_features``, the model also learns from who rated what, independent of the value of the rating. The
    penalties then pull rows toward centers instead of zero. The center of a user is predicted from N(u), the items that
    the user rated. The center of an item is predicted from N(i), the users who rated it:

    .. math::

        z_u &= |N(u)|^{-1/2} \sum_{j \in N(u)} s_j \\
        z_i &= |N(i)|^{-1/2} \sum_{v \in N(i)} t_v .

    The centers of biases, :math:`\zeta`, have the same form. The rows s and t are learned together with the factors, by
    a ridge regression of the rows on who rated what. This is SVD++ [4]_ on both sides [5]_, in the form of a
    regression-based latent factor model [6]_. In ``fit`` each user or item counts once in N, whatever the number and
    weight of its ratings. Without implicit features, and for context columns, centers are zero.

    ``fit`` divides users and items into groups, and visits one block of ratings (a group of users and a group of items)
    after the other. Blocks that share no group run in parallel. The result does not depend on the number of threads
    [3]_.

    Read more in the :doc:`user guide </user_guide/model>`.

    Parameters
    ----------
    rank : int, default=32
        Number of latent factors, at least 0 and below 2**31. With 0 the model has only biases. With implicit features,
        biases then still have centers.

    learning_rate : float, default=0.15
        Initial step of gradient descent, above 0, for standardized y. The curvature of the loss bounds the step of each
        rating. So training does not diverge with large weights or many columns.

    schedule : {"linear", "constant", "invscaling"}, default="linear"
        Step in epoch t = 0, 1, ...: ``learning_rate * (1 - t / max_iter)`` for "linear", ``learning_rate`` for
        "constant", ``learning_rate / (t + 1) ** 0.25`` for "invscaling". ``early_stopping`` and ``tol`` change the
        schedule (see ``tol``). ``partial_fit`` needs no schedule.

    alpha : float, default=0.08
        L2 penalty per rating on factors; at least 0.

    alpha_bias : float, default=0.01
        L2 penalty per rating on biases; at least 0.

    damping : "auto", float or pair of float, default="auto"
        L2 penalty per category on factors and biases, whatever its number of ratings; at least 0. It keeps categories
        with few ratings near their center. A pair is for users and for items; context columns then use five times the
        mean of the pair. "auto" estimates the damping of biases from the ratings [7]_: one number for users and one for
        items, from 0.05 to 100 (for "poisson", these limits depend on the mean of y). The damping of factors is then 5
        for users, 7 for items and 20 for context columns. With ``fit_bias=False``, "auto" is 4 for users and items. The
        attribute ``damping_`` has the values that were used.

    implicit_features : {"user", "item", "both"} or None, default="both"
        Which rows and biases are pulled toward a center, which is predicted from who rated what. "user": those of
        users, toward a center from the items that they rated. "item": those of items, toward a center from the users
        who rated them. "both": those of users and of items. None: all are pulled toward zero. "both" takes about twice
        as long to fit as None. With ``max_iter=1`` centers stay zero. None needs lower penalties: use about
        ``alpha=0.04``.

    alpha_implicit : float, default=32.0
        Ridge penalty of the regression that predicts the centers, above 0. Large values pull centers to zero. Values
        far below 10 fit the centers to noise.

    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson"}, default="squared_error"
        Loss of each rating:

        - "squared_error": half the squared error; predicts means.
        - "absolute_error": the absolute error; predicts medians. Use about twice the ``alpha``.
        - "huber": squared for small errors, linear for large ones (see ``epsilon``).
        - "quantile": the pinball loss; predicts the ``quantile``. Use about twice the ``alpha``.
        - "poisson": half the Poisson deviance, for counts y >= 0. Factors and biases give the log of the expected
          count, and y is not standardized. Instead, the penalties of biases are multiplied by the mean of y, and those
          of factors by its standard deviation. With ``damping="auto"``, the penalties of factors are also multiplied by
          ``penalty_scale_``, which is chosen on held-out ratings. The fit then takes two to three times as long.

    epsilon : float, default=1.35
        Only for loss="huber", above 0. Errors of more than ``epsilon`` standard deviations of y have a linear loss.

    quantile : float, default=0.5
        Only for loss="quantile": the quantile to predict, between 0 and 1.

    positive : bool, default=False
        Whether to keep factors at 0 or above (projected gradient). With ``fit_bias=False`` and
        ``implicit_features=None`` this is non-negative matrix factorization of the known entries of the matrix.

    fit_bias : bool, default=True
        Whether to learn an intercept and biases. With False, y is divided by its root mean square and not centered. A
        model of two columns is then the plain product U V^T. For unknown ids it predicts 0 (before ``clip``).

    max_iter : int, default=20
        Number of epochs, at least 1. With ``early_stopping`` or ``tol`` it is the maximum: set it to about 200.

    tol : float or None, default=None
        With None, all epochs of the schedule run. With a float of at least 0, the fit chooses the number of epochs. The
        step stays constant until the score has not improved by more than ``tol`` for ``n_iter_no_change`` epochs.
        Training then goes back to the best epoch and continues with half the step, until the step is small. With a
        schedule other than "linear", training ends instead. A "linear" step always falls to zero in the second
        half of ``max_iter``. The score is that of held-out ratings with ``early_stopping``. Otherwise it is 1 - loss /
        loss of the best constant, on the training ratings.

    early_stopping : bool, default=False
        Whether to choose the number of epochs on held-out ratings, as described for ``tol`` (None then means 0). The
        model has the parameters of the best epoch. With ``damping="auto"`` and at least 5,000 ratings, three short fits
        also choose the size of the penalties of factors (``penalty_scale_``).

    refit : bool, default=True
        Whether to train again on all ratings after ``early_stopping``, with the epochs and steps that led to the best
        epoch. Holding out ratings costs accuracy, and the refit recovers it. The fit takes about 1.5 times as long. It
        has no effect if ``X_val`` is given to ``fit``.

    validation_fraction : float, default=0.1
        Part of the ratings that ``early_stopping`` holds out, between 0 and 1. Equal ratings (same ids and same y)
        count as one.

    n_iter_no_change : int, default=10
        Number of epochs without a better score before ``early_stopping`` and ``tol`` take effect, at least 1.

    warm_start : bool, default=False
        Whether ``fit`` starts from the factors, biases and centers of the previous fit, for the ids that it had.

    clip : bool, default=True
        Whether to clip predictions to the range of the ratings seen in ``fit`` and ``partial_fit``.

    handle_unknown : {"ignore", "warn", "error", "nan"}, default="ignore"
        What ``predict`` does with ids that ``fit`` has not seen: predict from the other columns ("ignore"), also give a
        ``UserWarning`` ("warn"), raise a ``ValueError`` ("error"), or return NaN for these rows ("nan"). The metrics of
        scikit-learn reject NaN, so do not use "nan" in cross-validation. Missing ids are always an error.

    forgetting : float, default=0.0
        Only for ``partial_fit``: part of the knowledge about a category that is forgotten before each of its ratings,
        at least 0 and below 1. Use it when tastes drift. A row then depends on about its last ``1 / forgetting``
        ratings. ``fit`` and ``fold_in`` do not forget.

    n_jobs : int or None, default=None
        Number of threads of ``fit`` and ``predict``. None means 1 unless in a ``joblib.parallel_config`` context. -1
        means all processors. The result is the same, bit for bit, for every value.

    random_state : int, RandomState instance or None, default=None
        Seed of the initial factors, the groups, the order of visits and the held-out ratings. Pass an int to get the
        same model on every call.

    memory_map : None, True, str or path-like, default=None
        Where ``fit`` keeps its large arrays. None: in memory. A path to a folder: in memory-mapped files in this
        folder, so that ratings may be larger than memory. True: in files in the system's temporary folder, which on
        some systems is itself in memory. The files are removed when ``fit`` ends. The result is the same, bit for bit.
        With a ``memory_map``, ``fit`` reads X twice.

    verbose : int, default=0
        With 1 or more, ``fit`` prints a line for each epoch and ``partial_fit`` a line for each batch.

    Attributes
    ----------
    categories_ : list of ndarray
        Sorted ids seen in ``fit``, one array per column. Ids added by ``partial_fit`` and ``fold_in`` follow.

    factors_ : list of ndarray of shape (n_categories, rank), float32
        Factor rows, one array per column, in the order of ``categories_``.

    biases_ : list of ndarray of shape (n_categories,), float32
        Biases, one array per column, in the order of ``categories_``.

    user_factors_, item_factors_ : ndarray of shape (n_users, rank) and (n_items, rank), float32
        The first two arrays of ``factors_``.

    user_biases_, item_biases_ : ndarray of shape (n_users,) and (n_items,), float32
        The first two arrays of ``biases_``.

    intercept_ : float
        Best constant prediction for the loss: weighted mean, median or quantile of the ratings, or the log of their
        mean for "poisson". 0 with ``fit_bias=False``.

    damping_ : ndarray of shape (n_columns, 2), float64
        Damping that ``fit`` used, for factors and for biases: of users, of items and of each context column.

    penalty_scale_ : float
        Number by which ``alpha`` and ``damping`` of factors were multiplied. With ``damping="auto"``, it is chosen on
        held-out ratings for loss "poisson", and for early stopping with at least 5,000 ratings. Otherwise it is 1. For
        "poisson" with fewer than 500 ratings above 0, it is 4.

    rating_range_ : tuple of (float, float)
        Lowest and highest rating seen, the bounds of ``clip``.

    loss_curve_ : list of float
        Mean loss in each epoch that led to the model, on the scale of y, without penalties. The loss of a rating is
        measured when the rating is visited. With implicit features, the prediction for this loss does not use that the
        user rated the item. So this loss is usually slightly higher than the loss of ``predict``. ``partial_fit`` adds
        one value for each batch, and keeps the last 10,000 values.

    validation_scores_ : list of float
        With ``early_stopping``: score on held-out ratings after each epoch up to the best one, before ``clip``. The
        score is 1 - loss / loss of the best constant, which is R^2 for the squared loss. Empty without
        ``early_stopping``.

    best_validation_score_ : float or None
        The highest of ``validation_scores_``, which is also the last.

    n_iter_ : int
        Number of epochs that led to the model, plus the number of batches learned by ``partial_fit``.

    n_features_in_ : int
        Number of columns seen in ``fit``.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X. Only defined if X has names that are all strings.

    See Also
    --------
    MatrixFactorizationRanker : Top-N recommendation from ratings or clicks.
    MatrixFactorizationEncoder : Factors and biases as features for other models.
    sklearn_mf.dask.DaskMatrixFactorizationRegressor : The same model, fitted on a Dask cluster.

    Notes
    -----
    A fit depends only on the set of ratings and on ``random_state``. It does not depend on the order of the rows,
    on the number of threads, or on the names of the ids, as long as their sorted order is the same. A weight of 3 is
    the same as three copies of the rating. A weight of 0 is the same as leaving the rating out.

    The model keeps no ratings. It does keep the values of a context column in which each user, or each item, always has
    the same value. :meth:`recommend` needs them for its warnings.

    If the loss explodes in an epoch, the epoch is undone and run again with half the step. A ``ConvergenceWarning``
    says so once.

    Ids are numbers, text, bytes or datetimes, of one type per column. 1, 1.0 and True are the same id.

    References
    ----------
    .. [1] Koren, Y., R. Bell and C. Volinsky, "Matrix factorization techniques for recommender systems", Computer
       42(8), 2009.
    .. [2] Rendle, S., "Factorization machines", ICDM 2010.
    .. [3] Gemulla, R., E. Nijkamp, P. J. Haas and Y. Sismanis, "Large-scale matrix factorization with distributed
       stochastic gradient descent", KDD 2011.
    .. [4] Koren, Y., "Factorization meets the neighborhood: a multifaceted collaborative filtering model", KDD 2008.
    .. [5] Rendle, S., L. Zhang and Y. Koren, "On the difficulty of evaluating baselines: a study on recommender
       systems", 2019.
    .. [6] Agarwal, D., and B.-C. Chen, "Regression-based latent factor models", KDD 2009.
    .. [7] Searle, S. R., G. Casella and C. E. McCulloch, "Variance components", Wiley 1992.

    Examples
    --------
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
    ...      ["bob", "Casablanca"], ["cem", "Brazil"]]
    >>> y = [5, 3, 4, 2, 4]
    >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, y)
    >>> model.predict([["cem", "Alien"], ["ann", "Casablanca"]]).round(1)
    array([4. , 3.4])
    """

    categories_: list[np.ndarray]
    intercept_: float
    damping_: NDArray[np.float64]
    penalty_scale_: float
    rating_range_: tuple[float, float]
    loss_curve_: list[float]
    validation_scores_: list[float]
    best_validation_score_: float | None
    n_iter_: int
    _training_state: TrainingState
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
        schedule: Literal["linear", "constant", "invscaling"] = "linear",
        alpha: float = 0.08,
        alpha_bias: float = 0.01,
        damping: float | Sequence[float] | np.ndarray | Literal["auto"] = "auto",
        implicit_features: Literal["user", "item", "both"] | None = "both",
        alpha_implicit: float = 32.0,
        loss: Literal["squared_error", "absolute_error", "huber", "quantile", "poisson"] = "squared_error",
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
        handle_unknown: Literal["ignore", "warn", "error", "nan"] = "ignore",
        forgetting: float = 0.0,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        memory_map: str | PathLike[str] | bool | None = None,
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

    if TYPE_CHECKING:  # scikit-learn makes these methods, without types

        def set_fit_request(
            self,
            *,
            sample_weight: Request = ...,
            X_val: Request = ...,
            y_val: Request = ...,
            sample_weight_val: Request = ...,
        ) -> Self: ...
        def set_partial_fit_request(self, *, sample_weight: Request = ..., y_old: Request = ...) -> Self: ...
        def set_predict_request(self, *, return_std: Request = ...) -> Self: ...
        def set_score_request(self, *, sample_weight: Request = ...) -> Self: ...
        def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float: ...

    @with_callbacks
    @keep_type(_fit_context(prefer_skip_nested_validation=True))
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Learn factors and biases from ratings.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_ratings, n_columns)
            Ids: column 0 the user, column 1 the item, any further column a context. Give a NumPy array, a list of rows,
            or a pandas, polars or pyarrow table. Each column may have its own type. X may also be the result of
            :func:`~sklearn_mf.datasets.open_ratings`: a file that is read in batches and has its own ratings and
            weights.

        y : array-like of shape (n_ratings,)
            Ratings, finite numbers. None if X is a file, which has the ratings.

        sample_weight : array-like of shape (n_ratings,), default=None
            Weights, at least 0 and not all 0; their scale does not matter. None gives all ratings the same weight, or
            the weights of the file if X is a file.

        X_val, y_val : as X and y, default=None
            Ratings for ``early_stopping=True``, to use instead of a random part of X, for example later ratings. The
            model is not trained on them. They may have ids that are not in X.

        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of ``X_val``.

        Returns
        -------
        self : MatrixFactorizationRegressor
            The fitted estimator. If the fit fails or is interrupted, the estimator stays as it was.

        Raises
        ------
        ValueError
            If ids are missing, NaN, infinite or of several types in one column; if ratings or weights are not finite,
            or shapes do not match; if weights are negative or all zero, or ratings are negative or all zero with
            ``loss="poisson"``; if ``memory_map`` is not a folder; if X is a file that has changed since it was opened.
        TypeError
            If X is sparse, or an id is not a number, text, bytes or datetime.
        OSError
            If X is a file that cannot be read, or the disk of ``memory_map`` has too little space.

        See Also
        --------
        partial_fit : Learn from a batch of new ratings.
        fold_in : Add new users or items without changing the rest of the model.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> from sklearn_mf.datasets import make_ratings
        >>> X, y = make_ratings(300, 100, 5_000, random_state=0, return_X_y=True)
        >>> model = MatrixFactorizationRegressor(rank=8, max_iter=200, early_stopping=True)
        >>> model.fit(X[:4_000], y[:4_000], X_val=X[4_000:], y_val=y[4_000:]).n_iter_ < 200
        True
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
            add_rows_of(before, frozen)
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
            del given, coded, held  # to free memory
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
    ) -> Self:
        """Learn from a batch of new ratings, and add ids not seen before.

        The first call is a ``fit``. Later calls learn from each rating once, by recursive least squares [1]_. No
        learning rate is needed: a row that has many ratings moves little, a row that has few moves more.
        ``learning_rate``, ``schedule``, ``max_iter``, ``tol`` and ``early_stopping`` matter only in the first call.

        Some values stay as they were after the first call or the last ``fit``: the mean and scale of y, the intercept,
        the estimated damping and, with implicit features, the rows that predict centers. A new row starts near its
        center. If a known user rates another item, the centers of both change, and their rows follow. The model keeps
        no ratings, so a pair that is rated again counts twice, unless ``y_old`` gives its earlier rating.

        Parameters
        ----------
        X, y, sample_weight : as in ``fit``
            The batch. Weights are on the scale of those of the first call. None means a weight of 1 for each rating.

        y_old : array-like of shape (n_ratings,), default=None
            For a rating that replaces an earlier rating of the same pair: the earlier rating, which was learned with
            the same weight. NaN for all other ratings. None replaces nothing. The model keeps no ratings, so it cannot
            check that the earlier rating was there.

        Returns
        -------
        self : MatrixFactorizationRegressor
            The fitted estimator. If the call fails, the estimator stays as it was.

        Raises
        ------
        ValueError
            As in ``fit``; if ids are of another type than before; if ``rank``, ``loss``, ``positive``, ``fit_bias`` or
            ``implicit_features`` has changed; if all ratings of a first batch are the same; if ``y_old`` is infinite,
            not as long as ``y``, outside the range of the ratings learned, or given for a new user, item or context.

        See Also
        --------
        fit : Learn from all ratings at once.
        fold_in : Add new users or items without changing the rest of the model.
        forget : Remove users.

        Notes
        -----
        One thread learns the ratings of a batch, in an order that depends only on the set of ratings. A call
        copies the parts of the model that it changes, in chunks of a kilobyte, and shares the other parts with the
        earlier model. So other threads may read the model at any time. They see it as it was before the call, or as it
        is after the call.

        Rows take larger steps if the model has learned most of its ratings by ``partial_fit``: the damping of factors
        is multiplied by the share of the ratings that came from ``fit``, but by no less than 0.4.

        References
        ----------
        .. [1] Ljung, L., and T. Soederstroem, "Theory and practice of recursive identification", MIT Press 1983.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0)
        >>> model = model.fit(X, [5, 3, 4, 2, 4])
        >>> before = model.predict([["dora", "Alien"]])
        >>> model = model.partial_fit([["dora", "Alien"], ["dora", "Brazil"]], [2, 1])
        >>> bool(model.predict([["dora", "Alien"]]) < before)
        True

        Dora changes her rating of Brazil from 1 to 4:

        >>> model = model.partial_fit([["dora", "Brazil"]], [4], y_old=[1])
        """
        frozen = frozen_copy(self)
        if "_training_state" not in vars(frozen):
            return self._fit_first_batch(X, y, sample_weight, y_old)
        validate_parameters(frozen)
        hyper = hyperparameters_of(frozen)
        given = check_input(frozen, X, y, sample_weight, hyper.loss, reset=False)
        warn_of_other_order(X, y_old=y_old)
        old = check_old_ratings(y_old, len(given.y))
        with Threads(count_threads(frozen.n_jobs, len(given.y) > MAX_CHUNK)) as threads:
            known = learned_so_far(frozen, hyper, "partial_fit")
            levels, coded, rows = given.grow_levels(levels_of(frozen), threads)
            if old is not None:
                old = old[rows]
                hyper.loss.check_targets(old, (~np.isnan(old)).astype(np.float64), "y_old")
                is_new = np.stack(coded.codes, axis=1) >= np.array(known.model.n_levels)
                check_replaced_are_known(old, is_new, rows, known.rating_range)
            learn_own_contexts(frozen, coded, goes_on=True)
            learned = update_on_batch(
                known,
                coded,
                old,
                hyper,
                float_of(frozen, "forgetting"),
                lambda: generator_of(frozen, known.n_iter),
            )
        return self._adopt_batch(frozen, levels, learned, len(given.y))

    @keep_type(_fit_context(prefer_skip_nested_validation=True))
    def _fit_first_batch(self, X: Any, y: Any, sample_weight: Any, y_old: Any) -> Self:
        """Fit the model on the first batch."""
        frozen = frozen_copy(self)
        hyper = hyperparameters_of(frozen)
        given = check_input(frozen, X, y, sample_weight, hyper.loss, reset=True)
        if check_old_ratings(y_old, len(given.y)) is not None:
            raise ValueError("y_old is given, but the model has not learned any ratings yet. Leave y_old out.")
        with Threads(count_threads(frozen.n_jobs)) as threads:
            shard = Shard(threads)
            levels, coded = given.fit_levels(shard)
            learn_own_contexts(frozen, coded)
            learned = fit_first_batch(coded, hyper, stopping_rule_of(frozen), generator_of(frozen), shard)
        return self._adopt_batch(frozen, levels, learned, len(given.y))

    def _adopt_batch(self, frozen: Self, levels: Levels, learned: Learned, n_ratings: int) -> Self:
        """Store the values learned from a batch; print a line if ``verbose``."""
        if self.verbose:
            print(f"Batch of {n_ratings} ratings  {learned.state.hyper.loss.training_line(learned.losses[-1])}")
        return adopt(self, frozen, levels, learned)

    def forget(self, users: ArrayLike) -> Self:
        """Remove users from the model: their ids, their rows and statistics of their ratings.

        Items keep what they learned from the ratings of these users, as part of sums over all users. To remove this as
        well, call ``fit`` again without these users.

        Parameters
        ----------
        users : array-like of shape (n_users,)
            Ids of users that the model knows.

        Returns
        -------
        self : MatrixFactorizationRegressor
            The estimator, to which these users are now unknown. Other users, and their order in ``categories_``, stay
            as they are.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a user is not known, or if all users would be removed.

        See Also
        --------
        partial_fit : Learn from a batch of new ratings.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0)
        >>> model = model.fit(X, [5, 3, 4, 2, 4])
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
        vars(frozen).pop("_n_fitted", None)
        self.__dict__ = vars(frozen)
        return self

    @keep_type(_fit_context(prefer_skip_nested_validation=True))
    def fold_in(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, *, update_known: bool = False
    ) -> Self:
        """Add new users, items or context categories without a refit.

        The bias and factors of each new category are the exact minimum of the objective of ``fit`` over its ratings in
        X, with all other parameters held fixed. All other predictions stay the same, bit for bit. With implicit
        features, the center of a new user comes from the items that the user rated in X. The center of a new item comes
        from its users in X.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_ratings, n_columns)
            Ids. Each row must have exactly one new id. If new users rated new items, first fold in the users, with
            their ratings of known items. Then fold in the items.

        y : array-like of shape (n_ratings,)
            Ratings.

        sample_weight : array-like of shape (n_ratings,), default=None
            Weights, on the scale of those of ``fit``. None means a weight of 1 for each rating. So if ``fit`` had
            weights, give weights of the same size.

        update_known : bool, default=False
            Whether to allow rows without a new id. The users of these rows are then solved again, from the ratings in X
            only. So give all ratings of these users, old and new. Otherwise they lose their history. Known items never
            change.

        Returns
        -------
        self : MatrixFactorizationRegressor
            The estimator, with the new categories at the end of ``categories_``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a row has no new id, or more than one; if ``loss`` is not "squared_error" or ``positive`` is set (use
            ``partial_fit`` in these cases); or as in ``fit``.

        See Also
        --------
        partial_fit : Learn from new ratings of any ids.
        recommend_from : Recommend items to new users without storing them.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0)
        >>> model = model.fit(X, [5, 3, 4, 2, 4])
        >>> model = model.fold_in([["dora", "Alien"], ["dora", "Brazil"]], [2, 1])
        >>> model.categories_[0]
        array(['ann', 'bob', 'cem', 'dora'], dtype=object)
        """
        hyper, frozen = hyperparameters_of(self), frozen_copy(self)
        check_is_fitted(frozen)
        if not hyper.loss.is_least_squares or self.positive:
            raise ValueError(
                "fold_in and recommend_from need loss='squared_error' and positive=False. Got "
                f"loss={self.loss!r} and positive={self.positive}. Use partial_fit instead."
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

    @overload
    def predict(self, X: Any, return_std: Literal[False] = ...) -> NDArray[np.float64]: ...
    @overload
    def predict(self, X: Any, return_std: Literal[True, "mean"]) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    @overload
    def predict(
        self, X: Any, return_std: bool | Literal["mean"]
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    def predict(
        self, X: Any, return_std: bool | Literal["mean"] = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict ratings, with standard deviations on request.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, n_columns)
            Ids, with the same columns and types as in ``fit``.

        return_std : bool or "mean", default=False
            Whether to return standard deviations too. True gives the deviation of a rating that the user would give
            now. "mean" gives the deviation of the expected rating, without the noise of a single rating.

        Returns
        -------
        y : ndarray of shape (n_pairs,), float64
            Predicted ratings. ``handle_unknown`` says what happens to ids that ``fit`` has not seen.

        y_std : ndarray of shape (n_pairs,), float64
            Standard deviations, on the scale of y. Only returned if ``return_std`` is set. An unknown id counts as an
            id without ratings. Where the prediction is NaN, so is the deviation.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If ids are missing, of another type than in ``fit`` or, with ``handle_unknown="error"``, unknown; if
            ``return_std`` has another value, or is set for a loss other than "squared_error", "huber" and
            "absolute_error".

        See Also
        --------
        recommend : The items with the highest predicted ratings.
        explain : The parts of a prediction.

        Notes
        -----
        The variance of a rating is :math:`s_u^2 s_i^2 / s^2 \\, (1 + h)`. Here :math:`s_u`, :math:`s_i` and s are
        the noise of the user, of the item and of all ratings. They come from the errors in ``fit``, each computed as if
        its rating had been left out [1]_. h comes from the precision of each row, which grows with the number of its
        ratings. ``partial_fit`` and ``fold_in`` update all of these. ``clip`` does not change the deviations.

        Read more in the :doc:`user guide </user_guide/uncertainty>`.

        References
        ----------
        .. [1] Cook, R. D., and S. Weisberg, "Residuals and influence in regression", Chapman and Hall 1982.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0)
        >>> model = model.fit(X, [5, 3, 4, 2, 4])
        >>> pairs = [["ann", "Casablanca"], ["zoe", "Casablanca"]]
        >>> y, y_std = model.predict(pairs, return_std="mean")
        >>> bool(y_std[0] < y_std[1])  # zoe is unknown
        True
        """
        if isinstance(return_std, np.bool_):
            return_std = bool(return_std)
        if return_std is False:
            return super().predict(X)
        if return_std is not True and not (isinstance(return_std, str) and return_std == "mean"):
            is_short = return_std is None or np.isscalar(return_std)
            given = repr(return_std) if is_short else f"a {type(return_std).__name__}"
            raise ValueError(f"return_std must be True, False or 'mean'. Got {given} instead. {ONE_TABLE}")
        frozen = self._frozen()
        columns, fitted = check_query(frozen, X), frozen._view_with_uncertainty()
        with Threads(count_threads(self.n_jobs, len(columns[0]) > MAX_CHUNK)) as threads:
            return fitted.predict_with_deviations(columns, return_std == "mean", threads)

    @overload
    def recommend(
        self,
        users: ArrayLike,
        n_items: int = ...,
        *,
        by: Literal["rating", "lower", "upper"] = ...,
        exclude: Any = ...,
        candidates: ArrayLike | None = ...,
        context: Any = ...,
        item_context: Any = ...,
        as_frame: Literal[False] = ...,
    ) -> tuple[np.ndarray, NDArray[np.float64]]: ...
    @overload
    def recommend(
        self,
        users: ArrayLike,
        n_items: int = ...,
        *,
        by: Literal["rating", "lower", "upper"] = ...,
        exclude: Any = ...,
        candidates: ArrayLike | None = ...,
        context: Any = ...,
        item_context: Any = ...,
        as_frame: Literal[True],
    ) -> pd.DataFrame: ...
    @overload
    def recommend(
        self,
        users: ArrayLike,
        n_items: int = ...,
        *,
        by: Literal["rating", "lower", "upper"] = ...,
        exclude: Any = ...,
        candidates: ArrayLike | None = ...,
        context: Any = ...,
        item_context: Any = ...,
        as_frame: bool,
    ) -> tuple[np.ndarray, NDArray[np.float64]] | pd.DataFrame: ...
    def recommend(
        self,
        users: ArrayLike,
        n_items: int = 10,
        *,
        by: Literal["rating", "lower", "upper"] = "rating",
        exclude: Any = None,
        candidates: ArrayLike | None = None,
        context: Any = None,
        item_context: Any = None,
        as_frame: bool = False,
    ) -> tuple[np.ndarray, NDArray[np.float64]] | pd.DataFrame:
        """Find the items with the highest predicted ratings for each user.

        Parameters
        ----------
        users : array-like of shape (n_users,)
            User ids. An unknown user (cold start) gets the items with the highest biases. ``handle_unknown`` says how
            unknown users are reported; with "nan" their ratings are NaN. An empty list gives empty arrays.

        n_items : int, default=10
            Number of items for each user, at least 1. If there are fewer candidates, all of them are returned.

        by : {"rating", "lower", "upper"}, default="rating"
            How to rank items. "rating" ranks by the predicted rating. "lower" ranks by the rating minus its standard
            deviation, for careful lists. "upper" ranks by the rating plus its standard deviation, for lists that
            explore. The deviation is that of ``predict`` with ``return_std="mean"``. With context columns, "lower" and
            "upper" are slower, because each item is scored separately for each user.

        exclude : array-like or dataframe of shape (n_pairs, >= 2), default=None
            (user, item) pairs to leave out. Give the X of ``fit`` to leave out the items that users have rated.
            Unknown ids are allowed, and further columns are ignored. Takes about 11 bytes of memory per pair.

        candidates : array-like of shape (n_candidates,), default=None
            Ids of the items to choose from. None means all items seen in ``fit``.

        context : array-like, default=None
            For models with context columns: one value per context column, of shape (n_columns - 2,), for all users; or
            a table of shape (n_users, n_columns - 2). If there is a single context column, an array of shape (n_users,)
            is also allowed. Leave out columns that ``item_context`` has. A value that ``fit`` has not seen adds nothing
            to the ranking. With ``handle_unknown="ignore"`` or "warn" it gives a warning. With "error" it raises an
            error, and with "nan" the ratings are NaN.

        item_context : array-like, dataframe or mapping, default=None
            For context columns that belong to the item, such as its year or genre. Each item is then ranked in its own
            context. Give a table with item ids in its first column and context values in further columns, with a row
            for each candidate. Or give a mapping or pandas Series from an item to its value or list of values. If the
            table and the X of ``fit`` have column names, columns are matched by name. Otherwise give all context
            columns in the order of ``fit``. Or give only those in which each item had a single value in ``fit``.

        as_frame : bool, default=False
            Whether to return a pandas DataFrame with a row for each recommended item. Its columns are user, item, place
            (from 1 on) and rating. The columns for users and items have the names from ``fit``, if there were names.

        Returns
        -------
        items : ndarray of shape (n_users, min(n_items, n_candidates))
            Item ids, best first; n_candidates is the number of different candidates. Items with equal predictions are
            in the order of ``categories_[1]``. If ``exclude`` leaves fewer items, the end of the row is filled with -1
            (int ids; the largest number for unsigned 64 bit), NaN (float), NaT (datetimes) or None (text). If the fill
            value may be an id itself, recognize filled places by their rating, which is NaN.

        ratings : ndarray of shape (n_users, min(n_items, n_candidates)), float64
            Predicted ratings, equal to those of ``predict``; NaN where there is no item. Items are ranked before
            ``clip``, so the order of items that ``clip`` made equal is known. With ``by="lower"`` or "upper", items are
            in the order of the bounds.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If ``by`` has another value, or is a bound and the loss has no deviations; if ids are of another type than
            in ``fit``, or a candidate is unknown; if ``n_items`` is below 1; if context is missing; if ``item_context``
            has no row for a candidate, or several rows that differ; if a user or context is unknown with
            ``handle_unknown="error"``.
        TypeError
            If ``n_items`` is not an int.

        Warns
        -----
        UserWarning
            If ``fit`` has not seen a context value. If each item had a single value of a context column in ``fit``, and
            ``context`` gives a candidate another value. If each user had a single value of a context column in ``fit``,
            and one row of ``context`` for several users gives one of them another value.

        See Also
        --------
        recommend_users : The best users for each item.
        recommend_from : Recommend items to users who are not in the model.
        MatrixFactorizationRanker : Lists of what users are likely to choose.

        Notes
        -----
        For blocks of users, fast products of factors find the items that may be among the best (candidate generation).
        Then these items are sorted by the exact predictions of ``predict``. So the result does not depend on ``n_jobs``
        or on the other users of the call. ``n_jobs`` threads share the users. BLAS uses one thread in each of them.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> y = [5, 3, 4, 2, 4]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, y)
        >>> items, ratings = model.recommend(["bob", "cem"], 2, exclude=X)
        >>> items
        array([['Brazil', None],
               ['Alien', 'Casablanca']], dtype=object)

        A context that belongs to the item, here the decade of a film:

        >>> decades = {"Alien": "70s", "Brazil": "80s", "Casablanca": "40s"}
        >>> X_decades = [[user, film, decades[film]] for user, film in X]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X_decades, y)
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
        """Split predictions into their parts.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, n_columns)
            Ids, as for ``predict``.

        Returns
        -------
        parts : :class:`~sklearn.utils.Bunch` of ndarrays of shape (n_pairs,), float64
            The parts. ``pandas.DataFrame(parts)`` makes a table of them. An unknown id adds 0.

            - ``intercept``, ``user_bias``, ``item_bias``: the parameters of the model.
            - ``context``: the sum of all that context columns add. These are their biases, and the products of their
              factors with those of the user, of the item and of each other.
            - ``interaction``: product of user and item factors.
            - ``score``: sum of the parts above.
            - ``rating``: result of ``predict``. It is the score, or its exponential with ``loss="poisson"``, clipped
              to the range of the ratings with ``clip``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            As in ``predict``.

        See Also
        --------
        predict : The predictions alone.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0)
        >>> parts = model.fit(X, [5, 3, 4, 2, 4]).explain([["cem", "Alien"]])
        >>> [f"{name} {values[0]:.2f}" for name, values in parts.items()]  # doctest: +ELLIPSIS
        ['intercept 3.60', 'user_bias 0...', 'item_bias 0...', 'context 0.00', ...]
        """
        frozen = self._frozen()
        columns, fitted = check_query(frozen, X), fitted_model(frozen)
        with Threads(count_threads(self.n_jobs)) as threads:
            return Bunch(**explain(fitted, columns, threads))

    @property
    def factors_(self) -> list[NDArray[np.float32]]:
        """Factor rows, one array per column, in the order of ``categories_``.

        The arrays are read-only. To replace them, set the attribute.
        """
        return self._whole("_factors")

    @factors_.setter
    def factors_(self, arrays: list[np.ndarray]) -> None:
        replace_rows(self, "_factors", arrays)

    @property
    def biases_(self) -> list[NDArray[np.float32]]:
        """Biases, one array per column, in the order of ``categories_``.

        The arrays are read-only. To replace them, set the attribute.
        """
        return self._whole("_biases")

    @biases_.setter
    def biases_(self, arrays: list[np.ndarray]) -> None:
        replace_rows(self, "_biases", arrays)

    def _whole(self, name: str) -> list[np.ndarray]:
        """Return the tables of an attribute as arrays."""
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
    def user_biases_(self) -> NDArray[np.float32]:
        """Biases of the users, ``biases_[0]``."""
        return self.biases_[0]

    @property
    def item_biases_(self) -> NDArray[np.float32]:
        """Biases of the items, ``biases_[1]``."""
        return self.biases_[1]

    def _view(self) -> FittedModel:
        """Return the fitted model for methods that do not change it; ``self`` is a copy of a fitted estimator."""
        return fitted_model(self)

    def _view_with_uncertainty(self) -> FittedModel:
        """Return the fitted model with the statistics for standard deviations."""
        return replace(fitted_model(self), uncertainty=uncertainty_of(self))

    def _view_for(self, question: Question) -> FittedModel:
        """Return the fitted model, with statistics for standard deviations if the request needs them."""
        return self._view_with_uncertainty() if question.n_deviations else self._view()

    def _learn_users(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Replace all users by those of X, learned from these ratings; ``self`` is a copy of the estimator."""
        if y is None:
            raise ValueError("recommend_from needs y: the ratings of the pairs in X.")
        model = model_of(self)
        no_factors, no_bias = np.empty((0, model.rank), dtype=np.float32), np.empty(0, dtype=np.float32)
        self._factors, self._biases = [as_table(no_factors), model.factors[1]], [as_table(no_bias), model.biases[1]]
        self.categories_, self._sorters = [self.categories_[0][:0], self.categories_[1]], [None, self._sorters[1]]
        self._training_state = state_of(self).without_users()
        self.fold_in(X, y, sample_weight)


def hyperparameters_of(model: MatrixFactorizationRegressor) -> Hyperparameters:
    """Return the hyperparameters of training."""
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
    """Return the damping of users and items, or None if it is estimated."""
    if isinstance(model.damping, str):
        return None
    given: Any = model.damping
    if isinstance(given, Real):
        return Damping.of_sides(*[float_of(model, "damping")] * 2)
    pair = [_float_or_infinity(number) if isinstance(number, Real) else np.nan for number in given]
    if len(pair) != 2 or not all(0 <= number < np.inf for number in pair):
        raise InvalidParameterError(
            f"The 'damping' parameter of {type(model).__name__} must be 'auto', a number, or two numbers (for users "
            f"and for items), each at least 0. Got {model.damping!r} instead."
        )
    return Damping.of_sides(*pair)


def _float_or_infinity(number: Real) -> float:
    """Return a number as a float, or infinity if it is too large for a float."""
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def stopping_rule_of(model: MatrixFactorizationRegressor) -> StoppingRule:
    """Return the rule that says how long to train."""
    return StoppingRule(
        model.schedule,
        int(model.max_iter),
        None if model.tol is None else float_of(model, "tol"),
        bool(model.early_stopping),
        bool(model.refit),
        int(model.n_iter_no_change),
        model.validation_fraction,
    )


def _memory_map_of(model: MatrixFactorizationRegressor) -> str | PathLike[str] | bool | None:
    """Return the folder for large arrays, True for a temporary folder, or None."""
    path = model.memory_map
    if not isinstance(path, (str, PathLike)):
        return True if path else None
    if not str(path) or not Path(path).is_dir():
        raise InvalidParameterError(
            f"The 'memory_map' parameter of {type(model).__name__} must be None, True or the path of an existing "
            f"folder. There is no folder {str(path)!r}."
        )
    return path


def _places_in(model: MatrixFactorizationRegressor, levels: Levels, labels: list[str]) -> list[np.ndarray]:
    """Find the place of each category in the earlier model; -1 if the model does not have it."""
    own = levels_of(model)
    if len(levels.ids) != len(own.ids):
        raise ValueError(
            f"warm_start continues from a model of {len(own.ids)} columns, but X has {len(levels.ids)}. Give "
            "the same columns, or set warm_start=False."
        )
    return own.find(levels, labels)
