"""The estimator: parameters, ``fit`` and ``predict``."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from copy import copy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import sklearn
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_mf._checks import check_ratings, check_weights
from sklearn_mf._encoding import (
    Column,
    decode_unknown,
    drop_unused_levels,
    encode_columns,
    fit_columns,
    split_columns,
    warn_of_continuous_columns,
)
from sklearn_mf._kernels import predict as predict_kernel
from sklearn_mf._ratings import canonical_ratings, location_and_scale, make_grid
from sklearn_mf._threads import Threads, chunks
from sklearn_mf._training import SCHEDULES, Hyperparameters, initial_parameters, levels_in_order, train

# Before 1.7.2 one of scikit-learn's common checks subtracts a float from integers in place, and so fails by itself for
# every estimator with this tag; nothing else reads the tag.
_CATEGORICAL_TAG = parse_version(sklearn.__version__) >= parse_version("1.7.2")

_CHUNK = 2**16  # pairs to predict a task


class MatrixFactorizationRegressor(RegressorMixin, BaseEstimator):
    r"""Predict ratings by factorizing the matrix of users and items.

    Each column of ``X`` is a categorical field: column 0 the user, column 1 the item, any further column a context
    (week, device, age band). A level l of field f has a bias :math:`b_f[l]` and a row of ``rank`` factors
    :math:`V_f[l]`, and the rating of a row x is predicted as

    .. math::

        \hat y(x) = \mu + \sum_f b_f[x_f] + \sum_{f<g} \langle V_f[x_f], V_g[x_g] \rangle .

    With two columns this is biased matrix factorization, :math:`M \approx U V^T` [1]_; with more it is the
    pairwise form of a factorization machine over categorical fields [2]_. A level never seen in ``fit`` contributes
    nothing. Factors and biases minimise, by stochastic gradient descent,

    .. math::

        \sum w \tfrac12 (y - \hat y(x))^2 + \sum_{f, l} \tfrac12 (\alpha n + \delta) |V_f[l] - z_f[l]|^2
        + \tfrac12 (\alpha_b n + \delta) (b_f[l] - \zeta_f[l])^2

    with n the summed weight of the ratings of a level and :math:`\delta` the ``damping``. Inside, y is centred and
    divided by its weighted standard deviation, so one ``learning_rate`` and one ``alpha`` serve every rating scale.

    That somebody rated an item says something about both, whatever the rating. So rows of users and items shrink to
    centres that are predicted from N, the set of their partners: the items that a user rated, the users of an item,

    .. math::

        z_u = |N(u)|^{-1/2} \sum_{j \in N(u)} s_j, \qquad z_i = |N(i)|^{-1/2} \sum_{v \in N(i)} t_v,

    and likewise those of their biases, :math:`\zeta`. The rows s and t are learned along with the factors as a ridge
    regression of the rows on who rated what: SVD++ [4]_ on both sides [5]_, in the form of a regression-based latent
    factor model [6]_. A partner counts once, whatever the number and weight of the ratings. Without implicit features,
    and for context columns, centres are zero.

    Ratings are visited block by block in a grid of user and item groups; blocks without a group in common are run in
    parallel, with the same result [3]_.

    Parameters
    ----------
    rank : int, default=32
        Number of latent factors, at least 0; 0 learns biases only (and their centres, with implicit features).

    learning_rate : float, default=0.15
        Initial step, above 0, on the standardised scale. The step of one rating is bounded by the curvature of its
        loss, so large weights and many columns do not diverge.

    schedule : {"linear", "constant", "invscaling"}, default="linear"
        Step in epoch t = 0, 1, ...: ``learning_rate * (1 - t / max_iter)``, ``learning_rate`` or
        ``learning_rate / (t + 1) ** 0.25``.

    alpha : float, default=0.08
        L2 strength per rating, on factors; at least 0.

    alpha_bias : float, default=0.01
        L2 strength per rating, on biases; at least 0.

    damping : float, default=4.0
        L2 strength per level, on factors and biases, whatever its number of ratings; at least 0. It keeps levels
        with few ratings near their centre.

    implicit_features : {"user", "item", "both"} or None, default="both"
        Whose rows and biases shrink to a centre predicted from who rated what: those of users (from the items that
        they rated), of items (from the users who rated them), of both; None shrinks all to zero. A fit takes two to
        four times as long with "both" as with None. With ``max_iter=1`` there is nothing to predict centres from, and
        they are zero. None wants lower penalties: about ``alpha=0.04, learning_rate=0.05``.

    alpha_implicit : float, default=30.0
        Ridge strength of the regression that predicts the centres, above 0; large values draw centres to zero, values
        far below 10 fit them to noise.

    fit_bias : bool, default=True
        Whether to learn an intercept and biases. Without them, y is divided by its root mean square and not centred,
        the model of two columns is the plain product U V^T, and unknown ids give 0 (before ``clip``).

    max_iter : int, default=20
        Number of epochs, at least 1.

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
        Seed of the initial factors, the groups and the order of visits. An int gives the same model on every call.

    verbose : int, default=0
        1 prints a line for each epoch.

    Attributes
    ----------
    categories_ : list of ndarray
        Sorted ids seen in ``fit``, one array per column.

    factors_ : list of ndarray of shape (n_levels, rank), float32
        Factor rows, one array per column, in the order of ``categories_``.

    biases_ : list of ndarray of shape (n_levels,), float32
        Biases, one array per column, in the order of ``categories_``.

    user_factors_, item_factors_ : ndarray of shape (n_users, rank) and (n_items, rank), float32
        The first two of ``factors_``.

    user_biases_, item_biases_ : ndarray of shape (n_users,) and (n_items,), float32
        The first two of ``biases_``.

    intercept_ : float
        Weighted mean of the ratings; 0 with ``fit_bias=False``.

    rating_range_ : tuple of (float, float)
        Lowest and highest rating seen, the bounds of ``clip``.

    loss_curve_ : list of float
        Mean of half the squared error in each epoch, each rating's error as it was when the rating was visited; in
        squared units of y, without penalties. With implicit features it is the error without what the rating's own
        pair tells, usually a little more than that of ``predict``.

    n_iter_ : int
        Number of epochs run.

    n_features_in_ : int
        Number of columns seen in ``fit``.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X had names that are all strings.

    Notes
    -----
    A fit depends on the set of ratings and on ``random_state`` only: not on the order of the rows, the number of
    threads or what the ids are called. A weight of 3 is the same as the rating given three times, a weight of 0 the
    same as leaving it out. No ratings are kept.

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
        "fit_bias": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
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
        fit_bias: bool = True,
        max_iter: int = 20,
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
        self.fit_bias = fit_bias
        self.max_iter = max_iter
        self.clip = clip
        self.handle_unknown = handle_unknown
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> MatrixFactorizationRegressor:
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

        Returns
        -------
        self : MatrixFactorizationRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If ids are missing, NaN, infinite or of several kinds in one column, if ratings or weights are not finite,
            if weights are negative or all zero, or if shapes do not fit.
        TypeError
            If X is sparse, or an id is neither number, text, bytes nor datetime.
        """
        columns = split_columns(X, type(self).__name__)
        self._check_shape(columns)
        fitted = copy(self)  # so that a fit that fails leaves this estimator as it was
        validate_data(fitted, X, y, skip_check_array=True)
        n_rows = len(columns[0])
        y = check_ratings(y, n_rows)
        weights = check_weights(sample_weight, n_rows)
        with Threads(effective_n_jobs(self.n_jobs)) as threads:
            levels, codes = fit_columns(columns, threads)
            if weights is not None and not weights.all():
                levels, codes = drop_unused_levels(levels, codes, weights)
            warn_of_continuous_columns(columns, levels, n_rows if weights is None else np.count_nonzero(weights))
            fitted.categories_ = levels
            fitted._fit_ratings(codes, y, weights, threads)
        self.__dict__ = fitted.__dict__
        return self

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
        y = np.empty(len(columns[0]))
        tables, unknown = self._tables(), None
        n_threads = effective_n_jobs(self.n_jobs) if len(y) > _CHUNK else 1
        with Threads(n_threads) as threads:
            indices = encode_columns(columns, self.categories_, threads)
            if self.handle_unknown != "ignore":
                unknown = (indices < 0).any(axis=1)
                self._report_unknown(columns, indices, unknown)

            def predict_rows(piece: tuple[int, int]) -> None:
                part = slice(*piece)
                predict_kernel(indices[part], *tables, self.intercept_, y[part])
                if self.clip:
                    np.clip(y[part], *self.rating_range_, out=y[part])

            threads.map(predict_rows, chunks(len(y), _CHUNK))
        if self.handle_unknown == "nan":
            y[unknown] = np.nan
        return y

    @property
    def user_factors_(self) -> np.ndarray:
        """Factor rows of the users, ``factors_[0]``."""
        return self.factors_[0]

    @property
    def item_factors_(self) -> np.ndarray:
        """Factor rows of the items, ``factors_[1]``."""
        return self.factors_[1]

    @property
    def user_biases_(self) -> np.ndarray:
        """Biases of the users, ``biases_[0]``."""
        return self.biases_[0]

    @property
    def item_biases_(self) -> np.ndarray:
        """Biases of the items, ``biases_[1]``."""
        return self.biases_[1]

    def _check_shape(self, columns: list[Column]) -> None:
        name = type(self).__name__
        n_columns, n_rows = len(columns), len(columns[0]) if columns else 0
        if n_columns < 2:
            raise ValueError(
                f"Found array with {n_columns} feature(s) (shape=({n_rows}, {n_columns})) while a minimum of 2 is "
                f"required by {name}: column 0 holds the users, column 1 the items."
            )
        if n_rows == 0:
            raise ValueError(
                f"Found array with 0 sample(s) (shape=(0, {n_columns})) while a minimum of 1 is required by {name}: "
                "X has no rows."
            )

    def _fit_ratings(
        self, codes: list[np.ndarray], y: np.ndarray, weights: np.ndarray | None, threads: Threads
    ) -> None:
        n_levels = [len(levels) for levels in self.categories_]
        rank = int(self.rank)
        hyper = Hyperparameters(
            rank,
            self.learning_rate,
            self.schedule,
            self.alpha,
            self.alpha_bias,
            self.damping,
            self.implicit_features,
            self.alpha_implicit,
            self.fit_bias,
            int(self.max_iter),
        )
        rng = np.random.default_rng(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        ratings = canonical_ratings(codes, y, weights, n_levels, rank, rng, threads)
        location, scale, self.rating_range_ = location_and_scale(ratings, self.fit_bias, threads)
        grid = make_grid(ratings, location, scale, threads)
        parameters = initial_parameters(grid, hyper, rng, threads)
        losses = train(grid, parameters, hyper, rng, threads, self._epoch_printer(scale))
        factors, biases = levels_in_order(grid, parameters, rank)
        # Back to the scale of y: a product of two factor rows takes sqrt(scale) from each.
        self.factors_ = [rows * np.float32(scale**0.5) for rows in factors]
        self.biases_ = [bias * np.float32(scale) for bias in biases]
        self.intercept_ = location
        self.loss_curve_ = [loss * scale**2 for loss in losses]
        self.n_iter_ = len(losses)

    def _tables(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Factors and biases as the kernel needs them: a user may have put others in their place."""
        factors = [np.ascontiguousarray(rows, dtype=np.float32) for rows in self.factors_]
        biases = [np.ascontiguousarray(bias, dtype=np.float32) for bias in self.biases_]
        shapes = [rows.shape for rows in factors], [bias.shape for bias in biases]
        n_levels, rank = [len(levels) for levels in self.categories_], factors[0].shape[-1] if factors else 0
        if shapes != ([(n, rank) for n in n_levels], [(n,) for n in n_levels]):
            raise ValueError(
                f"factors_ and biases_ have shapes {shapes[0]} and {shapes[1]}, which do not fit categories_: each "
                f"needs a row for each level, {n_levels} by column, and all factors the same rank."
            )
        return factors, biases

    def _epoch_printer(self, scale: float) -> Callable[[int, float, float], None] | None:
        if not self.verbose:
            return None
        start = time.perf_counter()

        def print_epoch(epoch: int, step: float, loss: float) -> None:
            rmse, seconds = scale * (2 * loss) ** 0.5, time.perf_counter() - start
            print(f"Epoch {epoch + 1}/{self.max_iter}  step {step:.4g}  training RMSE {rmse:.4f}  {seconds:.2f} s")

        return print_epoch

    def _report_unknown(self, columns: list[Column], indices: np.ndarray, unknown: np.ndarray) -> None:
        if self.handle_unknown == "nan" or not unknown.any():
            return
        found = "; ".join(
            f"{len(ids)} in {label} ({', '.join(repr(i) for i in ids[:5].tolist())}{', ...' if len(ids) > 5 else ''})"
            for label, ids in decode_unknown(columns, indices)
        )
        message = f"X has ids not seen in fit, in {np.count_nonzero(unknown)} of {len(unknown)} rows: {found}."
        if self.handle_unknown == "error":
            raise ValueError(message + " Leave these rows out, or set handle_unknown to 'ignore', 'warn' or 'nan'.")
        warnings.warn(message + " They are predicted from the other columns.", UserWarning, stacklevel=3)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = _CATEGORICAL_TAG
        tags.input_tags.string = True
        return tags
