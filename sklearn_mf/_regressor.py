"""The estimator: parameters, ``fit``, ``partial_fit``, ``fold_in`` and ``predict``."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import sklearn
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_mf._ids.checks import check_new_levels
from sklearn_mf._ids.tables import split_columns
from sklearn_mf._kernel.kernels import LOSSES
from sklearn_mf._prediction.recommend import RecommendingMixin
from sklearn_mf._prediction.top_items import CHUNK, Tables, predict_indices
from sklearn_mf._training.fit import Control, Start, fit_first_batch, fit_ratings
from sklearn_mf._training.online import pass_over, solve_levels
from sklearn_mf._training.progress import CallbackSupportMixin, FitTasks, Progress, loss_line, with_callbacks
from sklearn_mf._training.schedules import SCHEDULES
from sklearn_mf._utils.threads import Threads

# Before 1.7.2 one of scikit-learn's common checks subtracts a float from integers in place, and so fails by itself for
# every estimator with this tag; nothing else reads the tag.
_CATEGORICAL_TAG = parse_version(sklearn.__version__) >= parse_version("1.7.2")


class MatrixFactorizationRegressor(CallbackSupportMixin, RecommendingMixin, RegressorMixin, BaseEstimator):
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

        \sum w \, L(y, \hat y(x)) + \sum_{f, l} \tfrac12 (\alpha n + \delta) |V_f[l] - z_f[l]|^2
        + \tfrac12 (\alpha_b n + \delta) (b_f[l] - \zeta_f[l])^2

    with L the ``loss``, half the squared error by default, n the summed weight of the ratings of a level and
    :math:`\delta` the ``damping``. Inside, y is centerd and divided by its weighted standard deviation, so one
    ``learning_rate`` and one ``alpha`` serve every rating scale.

    That somebody rated an item says something about both, whatever the rating. So rows of users and items shrink to
    centers that are predicted from N, the set of their partners: the items that a user rated, the users of an item,

    .. math::

        z_u = |N(u)|^{-1/2} \sum_{j \in N(u)} s_j, \qquad z_i = |N(i)|^{-1/2} \sum_{v \in N(i)} t_v,

    and likewise those of their biases, :math:`\zeta`. The rows s and t are learned along with the factors as a ridge
    regression of the rows on who rated what: SVD++ [4]_ on both sides [5]_, in the form of a regression-based latent
    factor model [6]_. A partner counts once, whatever the number and weight of the ratings. Without implicit features,
    and for context columns, centers are zero.

    Ratings are visited block by block in a grid of user and item groups; blocks without a group in common are run in
    parallel, with the same result [3]_.

    Parameters
    ----------
    rank : int, default=32
        Number of latent factors, at least 0; 0 learns biases only (and their centers, with implicit features).

    learning_rate : float, default=0.15
        Initial step, above 0, on the standardized scale. The step of one rating is bounded by the curvature of its
        loss, so large weights and many columns do not diverge.

    schedule : {"linear", "constant", "invscaling"}, default="linear"
        Step in epoch t = 0, 1, ...: ``learning_rate * (1 - t / max_iter)``, ``learning_rate`` or
        ``learning_rate / (t + 1) ** 0.25``. What ``early_stopping`` and ``tol`` make of it is said there. In
        ``partial_fit``, t counts epochs and batches (``n_iter_``), and "linear" is the same as "constant".

    alpha : float, default=0.08
        L2 strength per rating, on factors; at least 0.

    alpha_bias : float, default=0.01
        L2 strength per rating, on biases; at least 0.

    damping : float, default=4.0
        L2 strength per level, on factors and biases, whatever its number of ratings; at least 0. It keeps levels
        with few ratings near their center. For levels of context columns it counts five times.

    implicit_features : {"user", "item", "both"} or None, default="both"
        Whose rows and biases shrink to a center predicted from who rated what: those of users (from the items that
        they rated), of items (from the users who rated them), of both; None shrinks all to zero. A fit takes two to
        four times as long with "both" as with None. A schedule of ``max_iter=1`` leaves centers at zero. None wants
        lower penalties: about ``alpha=0.04, learning_rate=0.05``.

    alpha_implicit : float, default=30.0
        Ridge strength of the regression that predicts the centers, above 0; large values draw centers to zero, values
        far below 10 fit them to noise.

    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson"}, default="squared_error"
        What errors cost: half their square; their absolute value (predicts medians); the square of small and the
        absolute value of large errors; the quantile loss (predicts quantiles); half the Poisson deviance, for counts
        y >= 0: then the model is that of log(y), and y is not standardized. The absolute and the quantile loss want
        about twice the ``alpha``.

    epsilon : float, default=1.35
        Of loss="huber": errors above ``epsilon`` standard deviations of y count linearly; above 0.

    quantile : float, default=0.5
        Of loss="quantile": which to predict, between 0 and 1.

    positive : bool, default=False
        Whether factors are kept at 0 or above (projected gradient). With ``fit_bias=False`` and without implicit
        features it is non-negative matrix factorization of what is known of the matrix.

    fit_bias : bool, default=True
        Whether to learn an intercept and biases. Without them, y is divided by its root mean square and not centerd,
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
        the parameters of the best epoch.

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
        Whether predictions are kept within the range of the ratings seen in ``fit``.

    handle_unknown : {"ignore", "warn", "error", "nan"}, default="ignore"
        What ``predict`` does with ids not seen in ``fit``: predict from the other columns, the same with a
        ``UserWarning``, raise a ``ValueError``, or return NaN for these rows (scikit-learn's scores refuse NaN: use
        it outside of cross-validation). Missing ids are an error in every mode.

    n_jobs : int or None, default=None
        Number of threads in ``fit`` and ``predict``. None is 1 unless in a ``joblib.parallel_config`` context, -1
        all processors. The result is the same, bit for bit, for every value.

    random_state : int, RandomState instance or None, default=None
        Seed of the initial factors, the groups, the order of visits and the ratings held out. An int gives the same
        model on every call.

    verbose : int, default=0
        1 or more prints a line for each epoch, and each batch of ``partial_fit``.

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

    rating_range_ : tuple of (float, float)
        Lowest and highest rating seen, the bounds of ``clip``.

    loss_curve_ : list of float
        Mean loss in each epoch that led to the model, each rating's as it was when the rating was visited; in the unit
        of the loss of y, without penalties. With implicit features it is the loss without what the rating's own pair
        tells, usually a little more than that of ``predict``. ``partial_fit`` adds one for each batch.

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

    Notes
    -----
    A fit depends on the set of ratings and on ``random_state`` only: not on the order of the rows, the number of
    threads or what the ids are called. A weight of 3 is the same as the rating given three times, a weight of 0 the
    same as leaving it out. No ratings are kept.

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

    Examples
    --------
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Casablanca"], ["cem", "Brazil"]]
    >>> y = [5, 3, 4, 2, 4]
    >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, y)
    >>> model.predict([["cem", "Alien"], ["ann", "Casablanca"]]).round(1)
    array([4. , 3.4])
    """

    _parameter_constraints: ClassVar[dict] = {
        "rank": [Interval(Integral, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions(set(SCHEDULES))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "alpha_bias": [Interval(Real, 0, None, closed="left")],
        "damping": [Interval(Real, 0, None, closed="left")],
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
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
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
        damping: float = 4.0,
        implicit_features: str | None = "both",
        alpha_implicit: float = 30.0,
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
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
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
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
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
            a pandas, polars or pyarrow table; each column of its own type.

        y : array-like of shape (n_ratings,)
            Ratings, finite numbers.

        sample_weight : array-like of shape (n_ratings,), default=None
            Weights, at least 0 and not all 0; their scale does not matter. None weighs all ratings alike.

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
            if weights are negative or all zero, if counts of ``loss="poisson"`` are, or if shapes do not fit.
        TypeError
            If X is sparse, or an id is neither number, text, bytes nor datetime.
        """
        ends_by_itself = self.early_stopping or self.tol is not None
        tasks = FitTasks(self, None if ends_by_itself else int(self.max_iter))
        fitted, columns, y_checked, weights = self._check_input(X, y, sample_weight, reset=True)
        held = self._check_validation(fitted, len(columns), X_val, y_val, sample_weight_val)
        before = self._learned_now("warm_start") if self.warm_start and hasattr(self, "_learned") else None
        control = Control(
            self.schedule,
            int(self.max_iter),
            self.tol,
            self.early_stopping,
            self.refit,
            int(self.n_iter_no_change),
            self.validation_fraction,
        )
        tasks.begin(X, y, sample_weight)
        with Threads(effective_n_jobs(self.n_jobs)) as threads:
            codes = fitted._fit_levels(columns, weights, threads)
            learned = fit_ratings(
                codes,
                y_checked,
                weights,
                [len(levels) for levels in fitted.categories_],
                fitted._hyperparameters(),
                control,
                None if held is None else fitted._encode_held_out(*held, threads),
                None if before is None else Start(before, self._places_of(columns, fitted.categories_)),
                fitted._rng(),
                threads,
                Progress(self.verbose, self.loss, tasks, fitted._attributes),
            )
        tasks.end(lambda: fitted._attributes(learned))
        return self._adopt(fitted, learned)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> MatrixFactorizationRegressor:
        """Visit a batch of ratings once; ids never seen before are added.

        The first call, or a ``fit`` before it, fixes the mean, scale and intercept, and, with implicit features, what
        the centers of new users and items are predicted with. A new level's center comes from the batch that brings it.
        Penalties of a level follow from all its ratings so far, where a rating that comes twice is two. Steps are as
        ``schedule`` says: "invscaling" is for streams, the others do not fall. ``early_stopping`` and ``tol`` have no
        part in it. Each call copies the model, and so takes longer the more levels there are.

        Parameters
        ----------
        X, y, sample_weight : as in ``fit``
            The batch. The scale of the weights is that of the first call's; None weighs each 1.

        Returns
        -------
        self : MatrixFactorizationRegressor
            The fitted estimator. A call that fails leaves it as it was.

        Raises
        ------
        ValueError
            As in ``fit``; if ids are of another kind than before; if ``rank``, ``loss``, ``positive``, ``fit_bias``
            or ``implicit_features`` was changed; or if all ratings of a first batch are the same.
        """
        is_first = not hasattr(self, "_learned")
        fitted, columns, y, weights = self._check_input(X, y, sample_weight, reset=is_first)
        hyper = self._hyperparameters()
        with Threads(effective_n_jobs(self.n_jobs)) as threads:
            if is_first:
                codes = fitted._fit_levels(columns, weights, threads)
                n_levels = [len(levels) for levels in fitted.categories_]
                learned = fit_first_batch(codes, y, weights, n_levels, hyper, self._rng(), threads)
            else:
                now = self._learned_now("partial_fit")
                codes, y, weights, _ = fitted._grow(columns, y, weights, threads)
                n_levels = [len(levels) for levels in fitted.categories_]
                factor = 1.0 if self.schedule == "linear" else SCHEDULES[self.schedule](now.n_iter, 0)
                learned = pass_over(now, codes, y, weights, n_levels, hyper, factor, self._rng(now.n_iter), threads)
        if self.verbose:
            print(f"Batch {learned.n_iter}  {loss_line(self.loss, learned.losses[-1])}")
        return self._adopt(fitted, learned)

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
        check_is_fitted(self)
        if self.loss != "squared_error" or self.positive:
            raise ValueError(
                "fold_in solves least squares, for loss='squared_error' and positive=False; use partial_fit for "
                f"loss={self.loss!r} and positive={self.positive}."
            )
        fitted, columns, y, weights = self._check_input(X, y, sample_weight, reset=False)
        now = self._learned_now("fold_in")
        with Threads(effective_n_jobs(self.n_jobs)) as threads:
            codes, y, weights, rows = fitted._grow(columns, y, weights, threads)
        indices = np.stack(codes, axis=1)
        is_new = indices >= np.array([len(rows) for rows in now.factors])
        check_new_levels(is_new, indices[:, 0], rows, bool(update_known))
        n_levels = [len(levels) for levels in fitted.categories_]
        hyper = self._hyperparameters()
        return self._adopt(fitted, solve_levels(now, indices, is_new.argmax(axis=1), y, weights, n_levels, hyper))

    def predict(self, X: Any) -> np.ndarray:
        """Predict the ratings of pairs.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, n_columns)
            Ids, in the columns and of the kinds given to ``fit``.

        Returns
        -------
        y : ndarray of shape (n_pairs,), float64
            Predicted ratings. An id not seen in ``fit`` is treated as ``handle_unknown`` says.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If ids are of another kind than in ``fit``, missing or, with ``handle_unknown="error"``, unknown.
        """
        check_is_fitted(self)
        columns = split_columns(X, type(self).__name__)
        validate_data(self, X, reset=False, skip_check_array=True)
        self._check_shape(columns)
        tables, unknown = Tables(*self._tables(), float(self.intercept_)), None
        with Threads(effective_n_jobs(self.n_jobs) if len(columns[0]) > CHUNK else 1) as threads:
            indices = self._encode(columns, threads)
            if self.handle_unknown != "ignore":
                unknown = (indices < 0).any(axis=1)
                self._report_unknown(columns, indices, unknown)
            y = predict_indices(tables, indices, threads)
        self._to_ratings(y)
        if self.handle_unknown == "nan":
            y[unknown] = np.nan
        return y

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = _CATEGORICAL_TAG
        tags.input_tags.string = True
        return tags
