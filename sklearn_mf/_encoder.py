"""Provide the encoder, which turns ids into factors and biases as features for other models."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment
from sklearn.base import TransformerMixin, _fit_context, clone
from sklearn.utils import Tags, check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from sklearn_mf._base import Request, WholeStates, check_query, fitted_model, frozen_copy
from sklearn_mf._ids.batches import RatingBatches
from sklearn_mf._ids.checks import check_ratings, check_weights
from sklearn_mf._ids.tables import split_columns
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._regressor import MatrixFactorizationRegressor
from sklearn_mf._utils.callbacks import keep_type
from sklearn_mf._utils.threads import Threads, one_blas_thread

if TYPE_CHECKING:
    from typing_extensions import Self

_ONE_THREAD = Threads(1)


class MatrixFactorizationEncoder(TransformerMixin, WholeStates):
    r"""Encode columns of ids as biases and factors, learned by factorizing ``y``.

    Use it next to other features, with any downstream model. Each column of ids becomes ``1 + rank`` columns: the bias
    of the id and its factors.

    ``fit_transform`` uses cross-fitting, as :class:`~sklearn.preprocessing.TargetEncoder` does, to avoid leakage of
    ``y`` into the features. It encodes the rows of each fold by a model that was fitted on the other folds. So the
    downstream model learns how useful the features are on new rows. Because of cross-fitting,
    ``fit(X, y).transform(X)`` differs from ``fit_transform(X, y)``. Use ``fit_transform`` for training data;
    :class:`~sklearn.pipeline.Pipeline` and :class:`~sklearn.compose.ColumnTransformer` do so.

    Factors are only determined up to a rotation, and the rotation differs between fits. So the encoder rotates the
    factors of each fold's model to match the model that was fitted on all rows. Let :math:`V_k` be the stacked factor
    rows of the fold's model, and :math:`V` those of the model of all rows, for the ids that both models have. The
    rotation is

    .. math:: R_k = \arg\min_{R^T R = 1} \| V_k R - V \|^2

    (orthogonal Procrustes problem [1]_). The rotation does not change the predictions of the model. With
    ``positive=True``, :math:`R_k` is the best permutation instead, which keeps factors positive.

    So the orientation of a fold's factors depends on all rows. It consists of rank (rank - 1) / 2 numbers for each
    fold. The lengths of factors, the angles between them, and the biases depend on the other folds only. This small
    leak is negligible at usual sizes, but keep ``rank`` well below the number of users and the number of items. In a
    test with rank 30 and 300 ratings of 30 users, pure noise was predicted with a correlation of 0.04.

    Parameters
    ----------
    regressor : MatrixFactorizationRegressor or None, default=None
        The regressor to fit; it is cloned. None means ``MatrixFactorizationRegressor(rank=8)``. To search over its
        parameters (as ``regressor__rank``), give a regressor. Its ``handle_unknown`` says what ``transform`` does with
        unknown ids: "ignore" encodes them as zeros, "warn" also gives a warning, "nan" encodes them as NaN, and
        "error" raises an error.

    cv : int, splitter or list, default=5
        The folds of ``fit_transform``. An int, at least 2, is the number of shuffled folds. A splitter should shuffle,
        because tables are often sorted by user. If a fold has all rows of a user, it encodes this user as unknown. A
        list has two arrays of row numbers for each fold: rows to train on, and rows to encode. An example is
        ``list(GroupKFold(5).split(X, y, groups))``. Each row must be encoded exactly once, by a model that was not
        trained on it.

    random_state : int, RandomState instance or None, default=None
        Seed of the folds, and of the regressor if its own ``random_state`` is None.

    Attributes
    ----------
    regressor_ : MatrixFactorizationRegressor
        The model fitted on all rows, which encodes new rows.

    n_features_in_ : int
        Number of columns of X.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X. Only defined if X has names that are all strings.

    See Also
    --------
    MatrixFactorizationRegressor : Predicts ratings itself.
    sklearn.preprocessing.TargetEncoder : Means of the target by category.

    References
    ----------
    .. [1] Schönemann, P. H., "A generalized solution of the orthogonal Procrustes problem", Psychometrika 31(1), 1966.

    Examples
    --------
    >>> from sklearn.compose import make_column_transformer
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_mf import MatrixFactorizationEncoder
    >>> from sklearn_mf.datasets import make_ratings
    >>> X, y = make_ratings(100, 50, 2_000, random_state=0, return_X_y=True)
    >>> encoder = MatrixFactorizationEncoder(random_state=0)
    >>> columns = make_column_transformer((encoder, [0, 1]), remainder="passthrough")
    >>> model = make_pipeline(columns, Ridge()).fit(X, y)
    >>> encoder.fit(X, y).get_feature_names_out(["user", "film"])[:3]
    array(['user_bias', 'user_factor0', 'user_factor1'], dtype=object)
    """

    regressor_: MatrixFactorizationRegressor
    _parameter_constraints: ClassVar[dict] = {
        "regressor": [MatrixFactorizationRegressor, None],
        "cv": [Interval(Integral, 2, None, closed="left"), HasMethods(["split", "get_n_splits"]), list],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        regressor: MatrixFactorizationRegressor | None = None,
        *,
        cv: Any = 5,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.regressor = regressor
        self.cv = cv
        self.random_state = random_state

    if TYPE_CHECKING:  # scikit-learn makes this method, without types

        def set_fit_request(self, *, sample_weight: Request = ...) -> Self: ...

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the encoder, and those of the regressor as ``regressor__<name>``.

        Parameters
        ----------
        **params : dict
            Parameters by name.

        Returns
        -------
        self : MatrixFactorizationEncoder
            The encoder.

        Raises
        ------
        ValueError
            If there is no such parameter, or if a parameter of the regressor is set while ``regressor`` is None. No
            parameter is set in these cases.
        """
        nested = [name for name in params if name.startswith("regressor__")]
        if nested and params.get("regressor", self.regressor) is None:
            raise ValueError(
                f"{nested[0]} cannot be set while regressor is None. Set "
                "regressor=MatrixFactorizationRegressor(rank=8) to search over its parameters."
            )
        return super().set_params(**params)

    @keep_type(_fit_context(prefer_skip_nested_validation=False))
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the regressor on all rows.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_rows, n_columns)
            Ids, at least two columns, as in ``MatrixFactorizationRegressor.fit``.

        y : array-like of shape (n_rows,)
            Target of the factorization, finite numbers.

        sample_weight : array-like of shape (n_rows,), default=None
            Weights, at least 0.

        Returns
        -------
        self : MatrixFactorizationEncoder
            The fitted encoder.

        Raises
        ------
        ValueError, TypeError
            As ``MatrixFactorizationRegressor.fit``.

        See Also
        --------
        fit_transform : Use this for training data.
        """
        frozen, _ = self._fit(X, y, sample_weight, check_random_state(self.random_state))
        self.__dict__ = vars(frozen)
        return self

    @keep_type(_fit_context(prefer_skip_nested_validation=False))
    def fit_transform(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> NDArray[np.float64]:
        """Fit on all rows, and encode each row by a model that was not fitted on its fold.

        Parameters
        ----------
        X, y, sample_weight : as in ``fit``
            The rows to fit on and to encode.

        Returns
        -------
        features : ndarray of shape (n_rows, n_columns * (1 + rank)), float64
            For each column: the bias of the id, then its factors. An id that occurs in only one fold is unknown to the
            model that encodes this fold.

        Raises
        ------
        ValueError, TypeError
            As ``fit``; also if the test parts of ``cv`` do not contain each row exactly once, or if there are fewer
            rows than folds.

        See Also
        --------
        transform : Use this for new data.
        """
        rng = check_random_state(self.random_state)
        frozen, seeded = self._fit(X, y, sample_weight, rng)
        # A fit does not depend on the names of ids. So the models of folds use indices of categories as ids.
        whole = frozen.regressor_
        indices = fitted_model(whole).levels.encode(check_query(frozen, X), _ONE_THREAD)
        y, weights = check_ratings(y, len(indices)), check_weights(sample_weight, len(indices))
        features = np.empty((len(indices), len(frozen.get_feature_names_out())))
        for train, test in self._folds(X, y, rng):
            model = cast(MatrixFactorizationRegressor, clone(seeded))
            with warnings.catch_warnings():  # the fit on all rows has already warned
                warnings.filterwarnings(
                    "ignore", message=".* (looks like an identifier of rows|takes a row for each pair)"
                )
                model.fit(indices[train], y[train], None if weights is None else weights[train])
            fold = fitted_model(model)
            own = fold.levels.encode(split_columns(indices[test], type(model).__name__), _ONE_THREAD)
            features[test] = _features(fold, own, _rotation(fold, whole.factors_, model.positive))
        self.__dict__ = vars(frozen)
        return features

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Encode rows by the model that was fitted on all rows.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_rows, n_columns)
            Ids, with the same columns and types as in ``fit``.

        Returns
        -------
        features : ndarray of shape (n_rows, n_columns * (1 + rank)), float64
            For each column: the bias of the id, then its factors. An unknown id has zeros, or NaN if the regressor has
            ``handle_unknown="nan"``.

        Raises
        ------
        NotFittedError
            If the encoder is not fitted.
        ValueError
            As ``MatrixFactorizationRegressor.predict``.

        See Also
        --------
        fit_transform : Use this for training data.
        """
        frozen = frozen_copy(self)
        check_is_fitted(frozen)
        columns, fitted = check_query(frozen, X), fitted_model(frozen_copy(frozen.regressor_))
        indices = fitted.levels.encode(columns, _ONE_THREAD)
        fitted.report_unknown(columns, indices, indices.min(axis=1) < 0, then="Their features are zero.")
        return _features(fitted, indices, np.eye(fitted.model.rank))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Return the names of the features: ``<name>_bias``, ``<name>_factor0`` and so on for each column.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns. None means those seen in ``fit``, or "x0", "x1" and so on if there were none.

        Returns
        -------
        names : ndarray of shape (n_columns * (1 + rank),), object
            The names, each a str.
        """
        frozen = frozen_copy(self)
        check_is_fitted(frozen)
        names = cast(np.ndarray, _check_feature_names_in(frozen, input_features))
        rank = frozen.regressor_.user_factors_.shape[1]
        each = ["bias", *(f"factor{r}" for r in range(rank))]
        return np.array([f"{name}_{feature}" for name in names for feature in each], dtype=object)

    def _fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, rng: np.random.RandomState
    ) -> tuple[Any, Any]:
        """Fit on all rows; return a fitted copy, and an unfitted clone of its regressor with the same seed."""
        if isinstance(X, RatingBatches):
            X.refuse()
        given = MatrixFactorizationRegressor(rank=8) if self.regressor is None else self.regressor
        seeded = cast(MatrixFactorizationRegressor, clone(given))
        if seeded.random_state is None:
            seeded.set_params(random_state=rng.randint(np.iinfo(np.int32).max))
        frozen = frozen_copy(self)
        frozen.regressor_ = cast(MatrixFactorizationRegressor, clone(seeded)).fit(X, y, sample_weight)
        validate_data(frozen, X, reset=True, skip_check_array=True)
        return frozen, seeded

    def _folds(self, X: Any, y: np.ndarray, rng: np.random.RandomState) -> list:
        """Split the rows, and check that each is encoded once, by a model that was not trained on it."""
        from sklearn.model_selection import KFold, check_cv  # a tenth of the time of `import sklearn_mf`

        cv, n_rows = self.cv, len(y)
        if isinstance(cv, Integral):
            cv = KFold(int(cv), shuffle=True, random_state=rng.randint(np.iinfo(np.int32).max))
        splitter: Any = check_cv(cv, y, classifier=False)  # pyright: ignore[reportArgumentType]
        folds = list(splitter.split(X, y))
        counts = np.zeros(n_rows, dtype=np.intp)
        for train, test in folds:
            np.add.at(counts, test, 1)
            both = np.intersect1d(np.arange(n_rows)[train], np.arange(n_rows)[test])
            if len(both):
                raise ValueError(f"cv has row {both[0]} in both the training and the test part of a fold.")
        if (counts != 1).any():
            row = int(np.flatnonzero(counts != 1)[0])
            raise ValueError(
                f"The test parts of cv must contain each row once, but row {row} is in {counts[row]} of them. Give an "
                "int or a splitter such as KFold."
            )
        return folds

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(MatrixFactorizationRegressor()).input_tags
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        # scikit-learn's checks expect fit_transform(X, y) to equal fit(X, y).transform(X). With cross-fitting they
        # differ. This tag switches the check off. (With a seed, all results are deterministic.)
        tags.non_deterministic = True
        return tags


def _rotation(fold: FittedModel, factors: list[np.ndarray], positive: bool) -> np.ndarray:
    """Find the orthogonal matrix (rank, rank) that rotates the factors of a fold onto ``factors``.

    The ids of the fold's model are the row numbers of ``factors``. With ``positive`` the matrix is a permutation.
    """
    own = np.concatenate([rows.whole() for rows in fold.model.factors]).astype(np.float64)
    others = [rows[ids] for rows, ids in zip(factors, fold.levels.ids, strict=True)]
    other = np.concatenate(others).astype(np.float64)
    with one_blas_thread():  # the same bits on any number of threads
        if not positive:
            return orthogonal_procrustes(own, other)[0] if own.size else np.eye(own.shape[1])
        # |V_k P - V|^2 is smallest where the trace of P^T V_k^T V is largest.
        place, target = linear_sum_assignment(own.T @ other, maximize=True)
    rotation = np.zeros((own.shape[1],) * 2)
    rotation[place, target] = 1.0
    return rotation


def _features(fitted: FittedModel, indices: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return biases and rotated factors of each column, side by side."""
    unknown = np.nan if fitted.handle_unknown == "nan" else 0.0
    blocks = []
    for bias, rows, column in zip(fitted.model.biases, fitted.model.factors, indices.T, strict=True):
        table = np.column_stack([bias.whole().astype(np.float64), rows.whole().astype(np.float64) @ rotation])
        blocks.append(np.vstack([table, np.full(table.shape[1], unknown)])[column])  # -1 selects the last row
    return np.hstack(blocks)
